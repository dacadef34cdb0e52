package build

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
)

func TestAProgramIsBuiltWithItsMainFunction(t *testing.T) {
	testenv.Program(t, "go", "https://go.dev/dl")
	dir := t.TempDir()
	source := "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"hello\") }\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	var paths []string
	for _, program := range []bool{false, true} {
		path, err := Build(context.Background(), Config{Dir: dir, CacheDir: cache, Program: program})
		if err != nil {
			t.Fatal(err)
		}
		module, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(module, []byte("\x06_start")) != program {
			t.Errorf("a program: %v; it has a main function: %v", program, !program)
		}
		paths = append(paths, path)
	}
	if paths[0] == paths[1] {
		t.Error("both are the same module in the cache")
	}
}

func TestProgramsAreBuiltOfGoAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.c"), []byte("int main(void) { return 0; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Build(context.Background(), Config{Dir: dir, CacheDir: t.TempDir(), Program: true})
	if fault.CodeOf(err) != CodeFailed || !strings.Contains(err.Error(), "source in C; leat builds programs of Go") || !strings.Contains(err.Error(), "wasm32-wasip1") {
		t.Errorf("%v", err)
	}
}
