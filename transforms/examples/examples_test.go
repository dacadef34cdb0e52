// Package examples tests that the pipelines of the examples do what their tests say.
package examples

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
)

func TestTheGoExamplesPassTheTestsInTheirPipelines(t *testing.T) {
	testenv.Program(t, "go", "https://go.dev/dl")
	files, err := filepath.Glob("go-*/pipeline.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Dir(file), func(t *testing.T) { passes(t, file, spec.Options{}) })
	}
}

// passes runs the tests in a pipeline file.
func passes(t *testing.T, file string, o spec.Options) {
	t.Helper()
	pipelines, err := spec.Load(file, o)
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	results, err := pipetest.Run(context.Background(), pipelines[0], build.Options{}, nil)
	if err != nil || len(results) == 0 {
		t.Fatal(results, err)
	}
	for _, r := range results {
		if !r.Passed() {
			t.Error(spec.Render(r.Err(), false))
		}
	}
}
