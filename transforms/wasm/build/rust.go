package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// A module in Rust is a lone lib.rs or src/lib.rs, or a crate. A crate whose only dependency is the SDK is built by rustc alone; with more, by
// cargo, offline, in a copy of the folder, so that no Cargo.lock appears in the user's.
var rust = language{
	name:    "Rust",
	source:  func(file string) bool { return file == "Cargo.toml" || file == "lib.rs" || file == "src/lib.rs" },
	example: "src/lib.rs",
	escapes: func(file string, text []byte) bool {
		if file == "Cargo.toml" {
			return rustElsewhere.Match(text)
		}
		return strings.HasSuffix(file, ".rs") && slices.ContainsFunc(rustFiles.FindAllSubmatch(text, -1), func(m [][]byte) bool { return leaves(file, string(m[1])) })
	},
	skip: func(dir string) bool { return dir == "target" },
	find: findRust,
}

var (
	rustElsewhere = regexp.MustCompile(`(path|workspace)\s*=\s*["'](\.\.|/)|workspace\s*=\s*true`)
	rustFiles     = regexp.MustCompile(`(?:include(?:_str|_bytes)?!\s*\(|#\[path\s*=)\s*"([^"]+)"`)
)

// rustArgs are the flags of rustc for a module; the crate of the SDK has all but the first two.
var rustArgs = []string{
	"-Clto=fat", "-Cstrip=symbols",
	"-Copt-level=3", "-Ccodegen-units=1", "-Cpanic=abort", "-Ctarget-feature=+bulk-memory,+nontrapping-fptoint,+simd128",
}

// rustTargets are the names of WASI preview 1, of later and earlier compilers, and the target without a system, whose println! does
// nothing.
var rustTargets = []string{"wasm32-wasip1", "wasm32-wasi", "wasm32-unknown-unknown"}

const installRust = "install Rust from https://rustup.rs and run rustup target add wasm32-wasip1; on Debian: apt install rustc libstd-rust-dev-wasm32 lld; or give the path of a built .wasm file"

// rustc is a Rust compiler with a standard library for WASM.
type rustc struct {
	path    string
	version string
	target  string
	crate   crate
}

// findRust finds the first rustc on PATH, after $RUSTC, that has a target for WASM: machines often have several compilers, and few have one.
func findRust(ctx context.Context, s *source) (toolchain, error) {
	t := rustc{}
	var err error
	if t.crate, err = readCrate(s); err != nil {
		return nil, err
	}
	var without []string
	for _, p := range programs("rustc", os.Getenv("RUSTC")) {
		sysroot, err := ask(ctx, p, "--print", "sysroot")
		if ctx.Err() != nil {
			return nil, err
		}
		if err != nil { // such as rustup without a toolchain
			without = append(without, p)
			continue
		}
		for _, target := range rustTargets {
			if std, _ := filepath.Glob(filepath.Join(sysroot, "lib", "rustlib", target, "lib", "libstd-*.rlib")); std == nil {
				continue
			}
			t.path, t.target = p, target
			t.version, err = ask(ctx, p, "-vV")
			return t, err
		}
		without = append(without, p)
	}
	if without == nil {
		return nil, noToolchain("a folder of Rust source needs rustc, which is not on PATH").WithHint(installRust)
	}
	return nil, noToolchain("a folder of Rust source needs rustc with a target for WASM; %s has none", strings.Join(without, " and ")).WithHint(installRust)
}

// programs returns the paths of first, if there is one, and of all programs of that name on PATH.
func programs(name, first string) []string {
	var found []string
	for _, dir := range append([]string{""}, filepath.SplitList(os.Getenv("PATH"))...) {
		p := filepath.Join(dir, name)
		if dir == "" {
			p = first
		}
		if p, err := exec.LookPath(p); err == nil && filepath.IsAbs(p) && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found
}

func (t rustc) key() string {
	return fmt.Sprintf("%s\ntarget %s\nflags %q\nsdk %s", t.version, t.target, rustArgs, rustSDK.digest())
}

func (t rustc) compile(ctx context.Context, j *job) error {
	sdk, err := rustSDK.extract(j.cacheDir)
	if err != nil {
		return err
	}
	if !t.crate.plain {
		return t.cargo(ctx, j, sdk)
	}
	aliases := []string{sdk + string(filepath.Separator), "leat-transform/"}
	common := []string{"--target=" + t.target, "--remap-path-prefix=" + sdk + "=leat-transform"}
	library, err := t.library(ctx, j, sdk, common)
	if err != nil {
		return err
	}
	args := append(append(common, rustArgs...), "--crate-name=module", "--crate-type=cdylib", "--edition="+t.crate.edition,
		"--remap-path-prefix="+j.dir+"=.", "--extern=leat="+library, "-o", j.module, t.crate.root)
	return j.run(ctx, command{path: t.path, args: args, aliases: aliases, hint: rustHint})
}

// library compiles the SDK, unless the cache has it, and returns its path.
func (t rustc) library(ctx context.Context, j *job, sdk string, common []string) (string, error) {
	digest := sha256.Sum256([]byte(t.key()))
	dir := filepath.Join(j.cacheDir, "rlib-"+hex.EncodeToString(digest[:16]))
	library := filepath.Join(dir, "libleat.rlib")
	if _, err := os.Stat(library); err == nil {
		return library, nil
	}
	made := filepath.Join(j.work, "rlib", "libleat.rlib")
	if err := os.Mkdir(filepath.Dir(made), 0o700); err != nil {
		return "", cacheError("make a folder to build in", err)
	}
	args := append(append(slices.Clone(common), rustArgs[2:]...), "--crate-name=leat", "--crate-type=rlib", "--edition=2021",
		"-o", made, filepath.Join(sdk, "src", "lib.rs"))
	if err := j.run(ctx, command{path: t.path, args: args, hint: rustHint}); err != nil {
		return "", err
	}
	// Somebody else may have put it there meanwhile, and theirs is as good.
	if err := errors.Join(syncFile(made), os.Rename(filepath.Dir(made), dir)); err != nil {
		return made, nil
	}
	return library, nil
}

// cargo builds a crate with dependencies of its own, which must be on this machine already.
func (t rustc) cargo(ctx context.Context, j *job, sdk string) error {
	cargos := append(programs("cargo", filepath.Join(filepath.Dir(t.path), "cargo")), "") // that of the compiler is the one that fits it
	if cargos[0] == "" {
		return noToolchain("%s has dependencies, and cargo is not on PATH", filepath.Join(j.given, "Cargo.toml")).WithHint("on Debian: apt install cargo")
	}
	dir := j.dir
	if !j.reachesOut {
		dir = filepath.Join(j.work, "source")
		if err := j.copyTo(dir); err != nil {
			return cacheError("copy the source", err)
		}
	}
	target := filepath.Join(j.work, "target")
	flags := append(slices.Clone(rustArgs[2:]), "--remap-path-prefix="+sdk+"=leat-transform", "--remap-path-prefix="+dir+"=.")
	err := j.run(ctx, command{
		path: cargos[0], dir: dir,
		args: []string{"build", "--lib", "--release", "--offline", "--quiet", "--target", t.target, "--config", fmt.Sprintf("patch.crates-io.leat-transform.path=%q", sdk)},
		env: []string{
			"RUSTC=" + t.path, "CARGO_TARGET_DIR=" + target, "CARGO_ENCODED_RUSTFLAGS=" + strings.Join(flags, "\x1f"),
			"CARGO_PROFILE_RELEASE_LTO=fat", "CARGO_PROFILE_RELEASE_STRIP=symbols", "CARGO_PROFILE_RELEASE_OPT_LEVEL=3",
			"CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1", "CARGO_PROFILE_RELEASE_PANIC=abort", "CARGO_TERM_COLOR=never",
		},
		aliases: []string{dir + string(filepath.Separator), j.given + string(filepath.Separator), sdk + string(filepath.Separator), "leat-transform/"},
		hint:    rustHint,
	})
	if err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(target, t.target, "release", "*.wasm"))
	if err != nil || len(made) != 1 {
		return fault.New(fault.Permanent, CodeFailed, "%s makes %d modules", filepath.Join(j.given, "Cargo.toml"), len(made)).
			WithHint("it has [lib] with crate-type = [\"cdylib\"]")
	}
	return os.Rename(made[0], j.module)
}

// copyTo copies the files of the source.
func (s *source) copyTo(dir string) error {
	for _, name := range s.files {
		b, err := os.ReadFile(s.path(name))
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, b, fs.FileMode(0o600)); err != nil {
			return err
		}
	}
	return nil
}

func rustHint(printed string) string {
	switch {
	case strings.Contains(printed, "you may want to run without `--offline`"), strings.Contains(printed, "retry without the offline flag"), strings.Contains(printed, "no matching package named"):
		return "leat downloads nothing: run cargo fetch in the folder, or cargo vendor"
	case strings.Contains(printed, "linker `") && strings.Contains(printed, "not found"), strings.Contains(printed, "could not exec the linker"):
		return "on Debian: apt install lld"
	case strings.Contains(printed, "is not supported by") && strings.Contains(printed, "edition"), strings.Contains(printed, "edition 2024 is unstable"):
		return "this rustc is older than the source asks for; https://rustup.rs has newer ones"
	case strings.Contains(printed, "cannot define multiple global allocators"):
		return "the SDK has one, which counts; with leat-transform = { version = \"0.1\", features = [\"own_allocator\"] } in Cargo.toml it has none"
	}
	return ""
}
