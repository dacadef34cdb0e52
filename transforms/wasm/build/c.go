package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// The source of a module in C or C++ is all files of the folder itself, not those in folders below; names that end with _test are for the
// developer's machine. Without headers of the C library it is built without one, else with wasi-libc.
var cFamily = language{
	name:    "C",
	source:  func(file string) bool { return inRoot(file, ".c", ".cc", ".cpp") },
	example: "main.c",
	escapes: func(file string, text []byte) bool {
		return slices.ContainsFunc(cIncludes.FindAllSubmatch(text, -1), func(m [][]byte) bool {
			return m[1][0] == '"' && leaves(file, string(m[2]))
		})
	},
	find: findClang,
}

// cArgs are the flags of clang. leat's host has all these features, and vectors make loops over bytes five times as fast; --stack-first makes an
// overflow of the stack a trap.
var cArgs = []string{
	"-O3", "-msimd128", "-mbulk-memory", "-msign-ext", "-mnontrapping-fptoint", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
	"-fno-color-diagnostics", "-Wno-unused-command-line-argument", "-Wl,--strip-all", "-Wl,--stack-first", "-Wl,-z,stack-size=262144",
}

var (
	freestandingArgs = []string{"--target=wasm32", "-nostdlib", "-Wl,--no-entry"}
	libcArgs         = []string{
		"--target=wasm32-wasi", "-mexec-model=reactor",
		"-DLEAT_COUNT", "-Wl,--wrap=malloc", "-Wl,--wrap=calloc", "-Wl,--wrap=realloc", "-Wl,--wrap=aligned_alloc", // as leat.h says
	}
)

var (
	cIncludes = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]`)
	// ownHeaders need no C library.
	ownHeaders = []string{
		"leat.h", "float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h", "wasm_simd128.h",
	}
)

const installClang = "on Debian and Ubuntu: apt install clang lld; or give the path of a built .wasm file"

// clang is a C compiler for WASM.
type clang struct {
	path    string
	version string
	libc    bool // the source uses the C library
}

// findClang finds clang: that of $WASI_SDK_PATH, else the first on PATH, whose name may end with a version.
func findClang(ctx context.Context, s *source) (toolchain, error) {
	t := clang{}
	for _, name := range s.files {
		if !slices.Contains([]string{".c", ".cc", ".cpp", ".h", ".hpp"}, path.Ext(name)) {
			continue
		}
		text, err := os.ReadFile(s.path(name))
		if err != nil {
			return nil, fault.New(fault.Permanent, CodeNoFolder, "read the transform's source in %s: %w", s.given, err)
		}
		for _, m := range cIncludes.FindAllSubmatch(text, -1) {
			t.libc = t.libc || m[1][0] == '<' && !slices.Contains(ownHeaders, string(m[2]))
		}
	}
	var candidates []string
	if sdk := os.Getenv("WASI_SDK_PATH"); sdk != "" {
		candidates = append(candidates, filepath.Join(sdk, "bin", "clang"))
	}
	candidates = append(candidates, "clang")
	for version := 22; version >= 13; version-- {
		candidates = append(candidates, fmt.Sprintf("clang-%d", version))
	}
	for _, name := range candidates {
		p, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if t.version, err = ask(ctx, p, "--version"); err != nil {
			return nil, err
		}
		t.path = p
		return t, nil
	}
	return nil, noToolchain("a folder of C source needs clang, which is not on PATH").WithHint(installClang)
}

func (t clang) args() []string {
	if t.libc {
		return append(slices.Clone(libcArgs), cArgs...)
	}
	return append(slices.Clone(freestandingArgs), cArgs...)
}

func (t clang) key() string {
	return fmt.Sprintf("%s\nflags %q\nsdk %s", t.version, t.args(), cSDK.digest())
}

func (t clang) compile(ctx context.Context, j *job) error {
	sdk, err := cSDK.extract(j.cacheDir)
	if err != nil {
		return err
	}
	if targets, err := ask(ctx, t.path, "--print-targets"); err != nil {
		return err
	} else if !strings.Contains(targets, "wasm32") {
		return noToolchain("%s cannot compile for WASM", t.path).WithHint("use LLVM's clang; %s", installClang)
	}
	linker, err := ask(ctx, t.path, "--target=wasm32", "-print-prog-name=wasm-ld")
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(linker); err != nil {
		return noToolchain("%s finds no linker for WASM, wasm-ld", t.path).WithHint(installClang)
	}
	args := append(t.args(), "-I", sdk, "-o", j.module)
	for _, name := range j.files {
		if j.language.source(name) {
			args = append(args, name)
		}
	}
	return t.explain(j.run(ctx, command{path: t.path, args: args, aliases: []string{sdk + string(filepath.Separator), ""}, hint: cHint}))
}

// explain tells a missing C library from other errors.
func (t clang) explain(err error) error {
	if err == nil || fault.CodeOf(err) != CodeFailed || !t.libc {
		return err
	}
	text := err.Error()
	for _, part := range []string{"crt1-reactor.o", "libclang_rt.builtins", "unable to find library -lc", "stdlib.h' file not found", "string.h' file not found", "stdio.h' file not found"} {
		if strings.Contains(text, part) {
			return noToolchain("the source includes headers of the C library, and wasi-libc is not installed: %s", text).
				WithHint("on Debian 12: apt install wasi-libc libclang-rt-14-dev-wasm32; elsewhere set WASI_SDK_PATH to a WASI SDK")
		}
	}
	return err
}

func cHint(printed string) string {
	switch {
	case strings.Contains(printed, "duplicate symbol: leat__"):
		return "a module is one transform: one file has LEAT_EACH or LEAT_BATCH, once"
	case strings.Contains(printed, "undefined symbol:"):
		return "a function without a body is declared: without headers of the C library there is none"
	}
	return ""
}
