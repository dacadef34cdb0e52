package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/spec"
)

// Each example is run as leat test runs it, with the programs that its users have.
func TestExamplesPassTheTestsInTheirPipelines(t *testing.T) {
	for _, example := range []struct{ file, program, install string }{
		{"lambda-python/pipeline.yaml", "python3", "apt-get install python3"},
		{"lambda-javascript/pipeline.yaml", "node", "apt-get install nodejs"},
		{"lambda-go/pipeline.yaml", "go", "https://go.dev/dl"},
		{"lambda-go/native.yaml", "go", "https://go.dev/dl"},
	} {
		t.Run(example.file, func(t *testing.T) {
			testenv.Program(t, example.program, example.install)
			variables := map[string]string{}
			if example.program == "go" {
				variables["HANDLER"] = buildExample(t, ".")
			}
			passes(t, example.file, spec.Options{Env: func(name string) (string, bool) { v, ok := variables[name]; return v, ok }})
		})
	}
}

// buildExample builds a package of the Go example, which is a module of its own, for this machine.
func buildExample(t testing.TB, pkg string) string {
	t.Helper()
	tool := testenv.Program(t, "go", "https://go.dev/dl")
	dir, err := filepath.Abs("lambda-go")
	if err != nil {
		t.Fatal(err)
	}
	download := exec.Command(tool, "mod", "download")
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		testenv.Missing(t, "the example's modules cannot be downloaded: %v: %s", err, out)
	}
	path := filepath.Join(t.TempDir(), "handler")
	cmd := exec.Command(tool, "build", "-o", path, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
