package examples

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
	pipelines "github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/workbench"
	"github.com/leatstream/leat/transforms/wasm/build"
)

func TestTheExamplesInOtherLanguagesPassTheirTests(t *testing.T) {
	for _, language := range []string{"rust", "c", "as"} {
		files, err := filepath.Glob(language + "-*/pipeline.yaml")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			t.Run(filepath.Dir(file), func(t *testing.T) {
				if _, err := build.Build(context.Background(), build.Config{Dir: filepath.Dir(file)}); fault.CodeOf(err) == build.CodeNoToolchain {
					testenv.Missing(t, "%v", err)
				}
				passes(t, file, spec.Options{})
				tables := 0
				err := workbench.Test(t.Context(), filepath.Dir(file), pipelines.Options{}, nil, func(r *pipetest.Result) {
					if tables++; !r.Passed() {
						t.Error(spec.Render(r.Err(), false))
					}
				})
				if err != nil || tables == 0 {
					t.Errorf("%d tests in tables, %v", tables, err)
				}
			})
		}
	}
}

func TestTheRustSDKAndItsExamplePassTheirOwnTests(t *testing.T) {
	rustc := testenv.Program(t, "rustc", "apt install rustc")
	if out, err := exec.Command(rustc, "--version").CombinedOutput(); err != nil { // such as rustup without a toolchain
		testenv.Missing(t, "%s does not work: %s", rustc, out)
	}
	work := t.TempDir()
	sdk := filepath.Join("..", "sdk", "rust", "src", "lib.rs")
	library := filepath.Join(work, "libleat.rlib")
	for _, step := range [][]string{
		{rustc, "--edition=2021", "--crate-name=leat", "--test", "-o", filepath.Join(work, "sdk"), sdk},
		{filepath.Join(work, "sdk"), "-q"},
		{rustc, "--edition=2021", "--crate-name=leat", "--crate-type=rlib", "-Dwarnings", "-o", library, sdk},
		{rustc, "--edition=2021", "--test", "-Dwarnings", "--extern=leat=" + library, "-o", filepath.Join(work, "changes"), filepath.Join("rust-changes", "src", "lib.rs")},
		{filepath.Join(work, "changes"), "-q"},
	} {
		if out, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, out)
		}
	}
}
