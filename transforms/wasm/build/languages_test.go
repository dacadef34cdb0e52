package build

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
)

// The smallest modules.
const (
	smallRust = "leat::each!(|_: &leat::Record| leat::Outcome::Keep);\n"
	smallC    = "#include \"leat.h\"\nstatic leat_result each(const leat_record *r) { (void)r; return leat_keep(); }\nLEAT_EACH(each)\n"
	smallAS   = "import { each, Record, Result } from \"@leatstream/transform\";\neach((r: Record): Result => Result.keep());\n"
)

// write writes files, by name, to a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my transform") // a space, as users have them
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// built builds a folder; without its compiler the test ends.
func built(t *testing.T, dir, cache string) ([]byte, error) {
	t.Helper()
	path, err := Build(context.Background(), Config{Dir: dir, CacheDir: cache})
	if fault.CodeOf(err) == CodeNoToolchain {
		testenv.Missing(t, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, nil
}

func TestTheFilesTellTheLanguage(t *testing.T) {
	for files, want := range map[string]string{
		"main.go":                 "Go",
		"lib.rs":                  "Rust",
		"src/lib.rs src/other.rs": "Rust",
		"Cargo.toml src/main.rs target/debug/x.c": "Rust",
		"main.c leat.h src/other.go":              "C",
		"a.cpp package.json":                      "C",
		"index.ts package.json":                   "AssemblyScript",
		"assembly/index.ts build/x.wasm":          "AssemblyScript",
	} {
		s, err := readSource(write(t, empty(files)))
		if err != nil || s.language.name != want {
			t.Errorf("%s: %v", files, err)
		}
	}
	for _, files := range []string{"notes.txt", "main_test.go", "main_test.c", "sub/main.c", "sub/index.ts", "package.json"} {
		if _, err := readSource(write(t, empty(files))); fault.CodeOf(err) != CodeNoFolder || !strings.Contains(err.Error(), "C (main.c) or AssemblyScript (assembly/index.ts)") {
			t.Errorf("%s: %v", files, err)
		}
	}
}

// empty returns empty files of the names in a text.
func empty(names string) map[string]string {
	files := map[string]string{}
	for _, name := range strings.Fields(names) {
		files[name] = ""
	}
	return files
}

func TestTwoLanguagesInOneFolderAreRefused(t *testing.T) {
	dir := write(t, map[string]string{"main.go": "package main", "src/lib.rs": "", "index.ts": ""})
	_, err := Build(context.Background(), Config{Dir: dir, CacheDir: t.TempDir()})
	if fault.CodeOf(err) != CodeAmbiguous || !strings.Contains(err.Error(), "in Go (main.go) and in Rust (src/lib.rs)") {
		t.Error(err)
	}
}

// modules are folders of every language.
var modules = map[string]map[string]string{
	"Go":             {"main.go": upper},
	"Rust":           {"src/lib.rs": "mod keep;\n" + smallRust, "src/keep.rs": "// nothing\n"},
	"C":              {"main.c": smallC, "twice.c": "#include \"leat.h\"\nint twice(int n) { return 2 * n; }\n", "notes.txt": "", "main_test.c": "int main(void) { return x; }"},
	"C++":            {"main.cc": smallC},
	"AssemblyScript": {"assembly/index.ts": smallAS, "package.json": "{}"},
}

func TestTheSameSourceMakesTheSameModuleEverywhere(t *testing.T) {
	for language, files := range modules {
		t.Run(language, func(t *testing.T) {
			dir := write(t, files)
			one, err := built(t, dir, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for _, export := range []string{"leat_tx_1", "leat_alloc", "leat_configure", "leat_transform", "memory"} {
				if !bytes.Contains(one, []byte(export)) {
					t.Errorf("the module does not export %s", export)
				}
			}
			left := 0
			_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
				if !d.IsDir() {
					left++
				}
				return nil
			})
			if left != len(files) {
				t.Errorf("the folder has %d files, not %d", left, len(files))
			}
			other, err := built(t, write(t, files), filepath.Join(t.TempDir(), "elsewhere"))
			if err != nil || !bytes.Equal(one, other) {
				t.Errorf("%d and %d bytes, %v", len(one), len(other), err)
			}
		})
	}
}

func TestEveryLanguageIsBuiltAgainOnlyIfItsSourceChanges(t *testing.T) {
	for language, files := range modules {
		t.Run(language, func(t *testing.T) {
			key := func(files map[string]string) string {
				s, err := readSource(write(t, files))
				if err != nil {
					t.Fatal(err)
				}
				tool, err := s.find(t.Context())
				if fault.CodeOf(err) == CodeNoToolchain {
					testenv.Missing(t, "%v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				return s.key(tool)
			}
			changed := maps.Clone(files)
			for name := range changed {
				changed[name] += " "
				break
			}
			if one, same, other := key(files), key(files), key(changed); one != same || one == other {
				t.Errorf("%s and %s, of other source %s", one, same, other)
			}
		})
	}
}

func TestWhatOtherCompilersSayIsShownWithTheUsersPaths(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		says  []string
	}{
		{"Rust", map[string]string{"src/lib.rs": "fn x() -> u32 { \"text\" }\n"}, []string{"--> ", filepath.Join("src", "lib.rs") + ":1:17", "mismatched types"}},
		{"C", map[string]string{"main.c": "#include \"leat.h\"\nint x(void) { return y; }\n"}, []string{"main.c:2:22: error: use of undeclared identifier 'y'"}},
		{"C's linker", map[string]string{"main.c": "int y(void);\n__attribute__((export_name(\"x\"))) int x(void) { return y(); }\n"}, []string{"undefined symbol: y", "a function without a body is declared"}},
		{"C, twice", map[string]string{"main.c": smallC, "other.c": smallC}, []string{"duplicate symbol: leat__", "a module is one transform"}},
		{"AssemblyScript", map[string]string{"assembly/index.ts": "export function x(): i32 { return y; }\n"}, []string{"Cannot find name 'y'", filepath.Join("assembly", "index.ts") + "(1,35)"}},
		{"a config of asc", map[string]string{"index.ts": smallAS, "asconfig.json": "{"}, []string{"asconfig.json: unexpected end of JSON input"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, cache := write(t, c.files), t.TempDir()
			_, err := built(t, dir, cache)
			if fault.CodeOf(err) != CodeFailed {
				t.Fatal(err)
			}
			for _, s := range append(c.says, dir) {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q is missing in:\n%v", s, err)
				}
			}
			if strings.Contains(err.Error(), cache) {
				t.Errorf("the cache's path shows in:\n%v", err)
			}
		})
	}
}

func TestCMayUseTheCLibrary(t *testing.T) {
	b, err := built(t, write(t, map[string]string{"main.c": "#include <stdio.h>\n#include \"leat.h\"\n" + `
static leat_result each(const leat_record *r) {
    char *text = leat_reserve(32);
    return leat_data(text, (size_t)snprintf(text, 32, "%zu bytes", r->data.len));
}
LEAT_EACH(each)
`}), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("_initialize")) {
		t.Error("the module does not start the C library")
	}
}

func TestACrateWithMoreDependenciesIsBuiltByCargo(t *testing.T) {
	dir := write(t, map[string]string{
		"src/lib.rs":        "leat::each!(|_: &leat::Record| leat::Outcome::data(helper::TEXT));\n",
		"helper/src/lib.rs": "pub const TEXT: &str = \"the helper's text\";\n",
		"helper/Cargo.toml": "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
		"Cargo.toml": "[package]\nname = \"more\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n" +
			"[dependencies]\nleat-transform = \"0.1\"\nhelper = { path = \"helper\" }\n",
	})
	b, err := built(t, dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("the helper's text")) {
		t.Error("the module lacks the other crate's text")
	}
	if _, err := os.Stat(filepath.Join(dir, "Cargo.lock")); err == nil {
		t.Error("the build left Cargo.lock in the user's folder")
	}
	if err := os.WriteFile(filepath.Join(dir, "Cargo.toml"), []byte("[package]\nname = \"more\"\nversion = \"0.1.0\"\n\n[dependencies]\nserde = \"1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = built(t, dir, t.TempDir()); fault.CodeOf(err) != CodeFailed || !strings.Contains(err.Error(), "cargo fetch") {
		t.Errorf("a dependency that is not here: %v", err)
	}
}

func TestFilesElsewhereAreNotForgotten(t *testing.T) {
	for _, c := range []struct {
		name, main, text, other string
		reaches                 bool
	}{
		{"C", "main.c", "#include \"../other.h\"", "", true},
		{"C, inside", "main.c", "#include \"sub/other.h\"\n#include <other.h>", "", false},
		{"Rust's text", "src/lib.rs", `const T: &str = include_str!("../../other.txt");`, "", true},
		{"Rust's text, inside", "src/lib.rs", `const T: &str = include_str!("../other.txt");`, "", false},
		{"a Rust module", "lib.rs", "#[path = \"../other.rs\"]\nmod other;", "", true},
		{"a crate", "src/lib.rs", "", "[dependencies]\nx = { path = \"../x\" }\n", true},
		{"a workspace", "src/lib.rs", "", "[package]\nversion.workspace = true\n", true},
		{"AssemblyScript", "assembly/index.ts", `import { x } from "../../other";`, "", true},
		{"AssemblyScript, inside", "assembly/index.ts", `import { x } from "./other"; export * from "../other"`, "", false},
	} {
		files := map[string]string{c.main: c.text}
		if c.other != "" {
			files["Cargo.toml"] = c.other
		}
		s, err := readSource(write(t, files))
		if err != nil || s.reachesOut != c.reaches {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCratesThatRustcAloneCanBuild(t *testing.T) {
	const head = "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2018\"\nauthors = [\n  \"somebody\",\n]\n"
	for manifest, plain := range map[string]bool{
		head: true,
		head + "[lib]\ncrate-type = [\"cdylib\"]\n\n[dependencies]\nleat-transform = \"0.1\" # the SDK\n":                       true,
		head + "[dependencies]\nleat-transform = { git = \"https://github.com/leatstream/leat\" }\n[dev-dependencies]\nx=\"1\"": true,
		head + "[dependencies]\nleat-transform = { path = \"../sdk\" }\n":                                                       false,
		head + "[dependencies]\nserde = \"1\"\n":                                                                                false,
		head + "[dependencies.serde]\nversion = \"1\"\n":                                                                        false,
		head + "[features]\nx = []\n":                                                                                           false,
		head + "[profile.release]\nlto = false\n":                                                                               false,
		head + "[lib]\nproc-macro = true\n":                                                                                     false,
		head + "[lib]\npath = \"src/other.rs\"\n":                                                                               false,
		strings.Replace(head, "edition", "build = \"make.rs\"\nedition", 1):                                                     false,
	} {
		s, err := readSource(write(t, map[string]string{"src/lib.rs": "", "Cargo.toml": manifest}))
		if err != nil {
			t.Fatal(err)
		}
		c, err := readCrate(s)
		if err != nil || c.plain != plain || c.edition != "2018" {
			t.Errorf("%q: %+v, %v", manifest, c, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("[package]\nedition = \"2021\"\n[lib]\npath='x.rs'\n[dependencies]\nleat-transform = \"0.1\"\n")
	f.Add("[[bin]]\n[a=\n=\n]")
	f.Fuzz(func(t *testing.T, manifest string) {
		c := crate{plain: true, root: "src/lib.rs"}
		c.parse(manifest)
		table := slices.ContainsFunc(strings.Split(manifest, "\n"), func(line string) bool {
			return strings.HasPrefix(strings.TrimSpace(line), "[dependencies.")
		})
		if c.plain && (table || strings.ContainsAny(c.edition+c.root, " \"")) {
			t.Errorf("%q is plain: %+v", manifest, c)
		}
	})
}

func TestMissingCompilersAreNamedWithWhatInstallsThem(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	t.Setenv("RUSTC", "")
	t.Setenv("WASI_SDK_PATH", "")
	tool := func(name, body string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(file string, says ...string) {
		t.Helper()
		_, err := Build(context.Background(), Config{Dir: write(t, map[string]string{file: ""}), CacheDir: t.TempDir()})
		for _, s := range says {
			if fault.CodeOf(err) != CodeNoToolchain || !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q is missing in %v", file, s, err)
			}
		}
	}
	expect("lib.rs", "rustc, which is not on PATH", "rustup target add wasm32-wasip1", "apt install rustc libstd-rust-dev-wasm32 lld")
	expect("main.c", "clang, which is not on PATH", "apt install clang lld")
	expect("index.ts", "Node.js, which is not on PATH", "apt install nodejs npm")
	tool("node", "")
	expect("index.ts", "asc, which is neither", "npm install --save-dev assemblyscript")
	tool("rustc", "echo "+bin)
	expect("lib.rs", "with a target for WASM", filepath.Join(bin, "rustc")+" has none")
	tool("clang", `case "$*" in --version) echo clang 15;; --print-targets) echo x86;; esac`)
	expect("main.c", "cannot compile for WASM")
	tool("clang", `case "$*" in --version) echo clang 15;; --print-targets) echo wasm32;; *) echo wasm-ld;; esac`)
	expect("main.c", "no linker for WASM", "apt install clang lld")
}

func TestTheEmbeddedSDKsAreWhole(t *testing.T) {
	for _, c := range []struct {
		sdk     *sdk
		folder  string
		under   string
		pattern []string
	}{
		{cSDK, "c", "", []string{"*.h"}},
		{rustSDK, "rust", "", []string{"Cargo.toml", "src/*.rs"}},
		{assemblyScriptSDK, "assemblyscript", "@leatstream/transform", []string{"package.json", "*.ts"}},
	} {
		dir, err := c.sdk.extract(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range c.pattern {
			files, err := filepath.Glob(filepath.Join("..", "..", "sdk", c.folder, pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v, %v", pattern, files, err)
			}
			for _, f := range files {
				name, _ := filepath.Rel(filepath.Join("..", "..", "sdk", c.folder), f)
				want, err := os.ReadFile(f)
				got, gotErr := os.ReadFile(filepath.Join(dir, c.under, name))
				if err != nil || gotErr != nil || !slices.Equal(want, got) {
					t.Errorf("%s: %v, %v", f, err, gotErr)
				}
			}
		}
	}
}
