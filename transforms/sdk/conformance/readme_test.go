package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

var firstCode = regexp.MustCompile("(?s)```[a-z]+\n(.*?)```")

// TestTheFirstExampleOfAREADMEIsBuiltByItsCommands takes both from the page: the source, and the commands below "By hand".
func TestTheFirstExampleOfAREADMEIsBuiltByItsCommands(t *testing.T) {
	for _, c := range []struct {
		language, file, command string
		// prepare makes what the page expects in the folder, and returns the commands as this machine needs them.
		prepare func(t *testing.T, dir, sdk, commands string) string
	}{
		{"c", "shout.c", "clang", func(t *testing.T, dir, sdk, commands string) string {
			testenv.Program(t, "clang", "apt install clang lld")
			return commands
		}},
		{"rust", "lib.rs", "rustc", func(t *testing.T, dir, sdk, commands string) string {
			rustc, target := rustForWASM(t)
			return strings.NewReplacer("rustc ", rustc+" ", "wasm32-wasip1", target).Replace(commands)
		}},
		{"assemblyscript", "index.ts", "asc", func(t *testing.T, dir, sdk, commands string) string {
			testenv.Program(t, "asc", "npm install -g assemblyscript")
			if err := os.MkdirAll(filepath.Join(dir, "node_modules", "@leatstream"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(sdk, "assemblyscript"), filepath.Join(dir, "node_modules", "@leatstream", "transform")); err != nil {
				t.Fatal(err)
			}
			return commands
		}},
	} {
		t.Run(c.language, func(t *testing.T) {
			sdk, err := filepath.Abs("..")
			if err != nil {
				t.Fatal(err)
			}
			page, err := os.ReadFile(filepath.Join(sdk, c.language, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			source := firstCode.FindSubmatch(page)
			if source == nil || os.WriteFile(filepath.Join(dir, c.file), source[1], 0o600) != nil {
				t.Fatal("there is no example")
			}
			_, byHand, _ := strings.Cut(string(page), "y hand")
			var lines []string
			for line := range strings.Lines(byHand) {
				if command, ok := strings.CutPrefix(line, "    "+c.command+" "); ok {
					lines = append(lines, c.command+" "+command)
				}
			}
			if lines == nil {
				t.Fatal("there are no commands")
			}
			commands := c.prepare(t, dir, sdk, strings.Join(lines, ""))
			cmd := exec.Command("sh", "-ec", strings.ReplaceAll(commands, "transforms/sdk", sdk))
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s%v\n%s", commands, err, out)
			}
			b, err := os.ReadFile(filepath.Join(dir, "shout.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := wasm.Open(t.Context(), wasm.Config{Bytes: b})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close(t.Context())
			if got := run(t, m, batch("shout, Heiß", "")); !strings.HasPrefix(got[0], "SHOUT, HEIß ") && !strings.HasPrefix(got[0], "SHOUT, HEISS ") {
				t.Errorf("%q", got)
			}
		})
	}
}

// Go's example is built by leat: a module of its own would need a network.
func TestTheFirstExampleOfTheREADMEForGoDoesWhatItSays(t *testing.T) {
	testenv.Program(t, "go", "https://go.dev/dl")
	page, err := os.ReadFile("../go/README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := firstCode.FindSubmatch(page)
	if source == nil || os.WriteFile(filepath.Join(dir, "main.go"), source[1], 0o600) != nil {
		t.Fatal("there is no example")
	}
	path, err := build.Build(t.Context(), build.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Open(t.Context(), wasm.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	in := []string{`{"level":"debug"}`, `{"level":"info"}`, `{"user":{"email":"a@b.cd"}}`, "text"}
	want := []string{"", `{"level":"info"} `, `{"user":{"email":"redacted"}} `, "failed json.invalid: "}
	for i, got := range run(t, m, batch(in...)) {
		if !strings.HasPrefix(got, want[i]) || want[i] == "" && got != "" {
			t.Errorf("%s: %q, want %q", in[i], got, want[i])
		}
	}
}

// rustForWASM finds a compiler that has a target for WASM.
func rustForWASM(t *testing.T) (path, target string) {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		rustc, err := exec.LookPath(filepath.Join(dir, "rustc"))
		if err != nil {
			continue
		}
		sysroot, err := exec.Command(rustc, "--print", "sysroot").Output()
		for _, target := range []string{"wasm32-wasip1", "wasm32-wasi"} {
			if _, statErr := os.Stat(filepath.Join(strings.TrimSpace(string(sysroot)), "lib", "rustlib", target, "lib")); err == nil && statErr == nil {
				return rustc, target
			}
		}
	}
	testenv.Missing(t, "no rustc on PATH has a target for WASM (apt install rustc libstd-rust-dev-wasm32 lld)")
	return "", ""
}
