package meter

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
)

// TestModulesAreWhatTheirSourcesBuild builds the committed modules anew, each with the version of its compiler that built it: others
// write other code.
func TestModulesAreWhatTheirSourcesBuild(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.wasm")
	for _, c := range []struct {
		file, version string
		build         []string
	}{
		{"wat/spin", "1.0.32", []string{"wat2wasm", "wat/spin.wat", "-o", out}},
		{"wat/bulk", "1.0.32", []string{"wat2wasm", "wat/bulk.wat", "-o", out}},
		{"wat/shapes", "1.0.32", []string{"wat2wasm", "wat/shapes.wat", "-o", out}},
		{"wat/pause", "1.0.32", []string{"wat2wasm", "wat/pause.wat", "-o", out}},
		{"c/work", "clang version 14.0", []string{"clang", "--target=wasm32", "-O2", "-nostdlib", "-ffreestanding", "-fno-builtin",
			"-Wl,--no-entry", "-Wl,--strip-all", "-o", out, "c/work.c"}},
		{"rust/work", "rustc 1.63", []string{"/usr/bin/rustc", "--target", "wasm32-unknown-unknown", "--crate-type", "cdylib", "-O",
			"-C", "panic=abort", "-C", "strip=symbols", "-o", out, "rust/work.rs"}},
		{"assemblyscript/work", "Version 0.28", []string{"asc", "assemblyscript/work.ts", "-O2", "--noAssert", "--use", "abort=", "-o", out}},
	} {
		if slow := c.build[0] == "asc" || strings.Contains(c.build[0], "rustc"); slow && !testenv.Full() {
			continue // they take seconds
		}
		t.Run(c.file, func(t *testing.T) {
			version, err := exec.Command(c.build[0], "--version").Output()
			if err != nil || !strings.Contains(string(version), c.version) {
				testenv.Missing(t, "%s is not of version %q: %q, %v", c.build[0], c.version, version, err)
			}
			cmd := exec.Command(c.build[0], c.build[1:]...)
			cmd.Dir = "testdata"
			if printed, err := cmd.CombinedOutput(); err != nil {
				testenv.Missing(t, "%s cannot build for WASM: %v: %s", c.build[0], err, printed)
			}
			built, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(built, readFile(t, "testdata/"+c.file+".wasm")) {
				t.Errorf("testdata/%s.wasm is not what its source builds: testdata/build.sh builds all of them", c.file)
			}
		})
	}
}
