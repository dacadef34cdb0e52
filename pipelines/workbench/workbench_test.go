package workbench

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
	pipelines "github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// made makes a transform in a folder of its own, and skips the test if its compiler is missing. Its files name the folder, so that
// the cache has what it builds only if that has the same name each time.
func made(t *testing.T, language string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	const dir = "drop-debug"
	if _, err := New(dir, language); err != nil {
		t.Fatal(err)
	}
	if _, err := build.Build(context.Background(), build.Config{Dir: dir}); fault.CodeOf(err) == build.CodeNoToolchain {
		testenv.Missing(t, "%v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

// results are the names of the tests that pass, and those that fail with their codes.
func results(t *testing.T, transform string) (passed, failed []string) {
	t.Helper()
	err := Test(context.Background(), transform, pipelines.Options{}, nil, func(r *pipetest.Result) {
		if r.Passed() {
			passed = append(passed, r.Test)
			return
		}
		for _, f := range r.Failures {
			failed = append(failed, r.Test+": "+f.Code)
		}
	})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	return passed, failed
}

func TestANewTransformBuildsAndPassesItsTestsInEveryLanguage(t *testing.T) {
	for _, language := range Languages {
		t.Run(language, func(t *testing.T) {
			dir := made(t, language)
			if passed, failed := results(t, dir); len(passed) < 3 || len(failed) > 0 {
				t.Errorf("passed %q, failed %q", passed, failed)
			}
			ps, err := spec.Load(filepath.Join(dir, "pipeline.yaml"), spec.Options{})
			if err != nil {
				t.Fatal(spec.Render(err, false))
			}
			ran, err := pipetest.Run(context.Background(), ps[0], pipelines.Options{}, nil)
			if err != nil || len(ran) == 0 || !ran[0].Passed() {
				t.Errorf("the test in the pipeline: %+v, %v", ran, err)
			}
		})
	}
}

func TestNothingIsOverwrittenAndNothingIsLeftOfAMistake(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct{ name, language, code string }{
		{"there", "go", CodeExists}, {"new", "java", CodeLanguage}, {"New", "go", CodeName}, {"a b", "go", CodeName}, {"-x", "go", CodeName},
		{strings.Repeat("x", 65), "go", CodeName},
	} {
		if _, err := New(filepath.Join(dir, try.name), try.language); fault.CodeOf(err) != try.code || fault.HintOf(err) == "" {
			t.Errorf("%q in %s: %v", try.name, try.language, err)
		}
	}
	t.Chdir(dir)
	if _, err := New("", "go"); fault.CodeOf(err) != CodeName || fault.HintOf(err) == "" {
		t.Errorf("without a name: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAMissingCompilerIsNamedWithWhereToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, language := range Languages {
		dir := filepath.Join(t.TempDir(), "drop-debug")
		if _, err := New(dir, language); err != nil {
			t.Fatal(err)
		}
		if _, err := Build(context.Background(), dir, "", nil); fault.CodeOf(err) != build.CodeNoToolchain || !strings.Contains(fault.HintOf(err), "install") {
			t.Errorf("%s: %v", language, err)
		}
	}
}

func TestWhatATableExpectsIsCompared(t *testing.T) {
	dir := made(t, "go")
	const table = `config: { drop: debug }
tests:
  - { name: right, input: [ { data: a, key: k, attrs: { x: "1" } }, B ], output: [ { data: A, key: k, attrs: { x: "1" } }, B ], unchanged: 1, dropped: 0 }
  - { name: other text, input: [ a ], output: [ b ] }
  - { name: other key, input: [ a ], output: [ { data: A, key: k } ] }
  - { name: other attributes, input: [ { data: a, attrs: { x: "1" } } ], output: [ { data: A, attrs: { x: "2" } } ] }
  - { name: attributes too many, input: [ { data: a, attrs: { x: "1" } } ], output: [ { data: A, attrs: {} } ] }
  - { name: one too many, input: [ a, b ], output: [ A ] }
  - { name: one too few, input: [ a ], output: [ A, B ] }
  - { name: not dropped, input: [ a ], dropped: 1 }
  - { name: not unchanged, input: [ a ], unchanged: 1 }
  - { name: not failed, input: [ a ], dead: [ { code: drop_debug.empty } ] }
  - { name: failed, input: [ "" ] }
  - { name: too much work, input: [ a ], max_fuel: 2 }
  - { name: not too much work, input: [ a ], max_fuel: 100000 }
  - { name: other config, config: { drop: a }, input: [ a, b ], output: [ B ], dropped: 1 }
`
	if err := os.Mkdir(filepath.Join(dir, "tests"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "tests.yaml")), os.WriteFile(filepath.Join(dir, "tests", "some.yaml"), []byte(table), 0o600)); err != nil {
		t.Fatal(err)
	}
	passed, failed := results(t, dir)
	if want := []string{"right", "not too much work", "other config"}; !slices.Equal(passed, want) {
		t.Errorf("passed %q, want %q", passed, want)
	}
	want := []string{
		"other text: test.output", "other key: test.output", "other attributes: test.output", "attributes too many: test.output", "one too many: test.output",
		"one too few: test.output", "not dropped: test.dropped", "not unchanged: test.unchanged", "not failed: test.dead", "failed: test.dead",
		"too much work: test.fuel",
	}
	if !slices.Equal(failed, want) {
		t.Errorf("failed\n%q, want\n%q", failed, want)
	}
}

func TestTablesBesideAModuleAreItsOwn(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.wasm", "a.test.yaml", "b.test.yaml", "tests.yaml", "tests/c.yaml", "tests/c.txt", "pipeline.yaml"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for transform, want := range map[string]string{
		"a.wasm": "a.test.yaml tests/c.yaml tests.yaml",
		".":      "a.test.yaml b.test.yaml tests/c.yaml tests.yaml",
	} {
		files, err := tablesOf(filepath.Join(dir, transform))
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			files[i], _ = filepath.Rel(dir, files[i])
		}
		slices.Sort(files)
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		if !slices.Equal(files, wanted) {
			t.Errorf("%s: %q, want %q", transform, files, wanted)
		}
	}
	source := filepath.Join(dir, "tests.yaml")
	if _, err := moduleOf(context.Background(), source, nil); fault.CodeOf(err) != CodeNoModule || fault.HintOf(err) != "give its folder: "+dir {
		t.Errorf("a file of the folder: %v", err)
	}
	if _, err := tablesOf(filepath.Join(dir, "tests")); fault.CodeOf(err) != CodeNoTests {
		t.Errorf("a folder without tables: %v", err)
	}
}

func TestABuildSaysWhatTheModuleIs(t *testing.T) {
	dir := made(t, "go")
	out := filepath.Join(t.TempDir(), "out.wasm")
	m, err := Build(context.Background(), dir, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(out)
	if err != nil || m.Path != out || m.Bytes != info.Size() || info.Mode() != 0o644 {
		t.Errorf("%+v, %v, %v", m, info, err)
	}
	if !strings.HasPrefix(m.Digest, "sha256:") || !strings.Contains(m.WantsConfig, "name the word") {
		t.Errorf("%+v", m)
	}
	again, err := Build(context.Background(), out, "", nil)
	if err != nil || again.Digest != m.Digest {
		t.Errorf("the module itself: %+v, %v", again, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if _, err := Build(context.Background(), dir, dir, nil); fault.CodeOf(err) != CodeFile || fault.HintOf(err) != "name the file too: "+filepath.Join(dir, "drop-debug.wasm") {
		t.Errorf("into a folder: %v", err)
	}
	if _, err := Build(context.Background(), dir, filepath.Join(dir, "no", "such.wasm"), nil); fault.CodeOf(err) != CodeFile || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a folder that is not there: %v", err)
	}
}

// Modules count what the allocators of their languages give. The template in C has none until it includes the C library.
func TestABenchCountsAllocationsInEveryLanguage(t *testing.T) {
	malloc := strings.NewReplacer("#include", "#include <stdlib.h>\nvoid *kept;\n#include", "    size_t n =", "    free(kept);\n    kept = realloc(malloc(8), 800);\n    size_t n =")
	for name, c := range map[string]struct {
		language string
		edit     *strings.Replacer // of main.c
		want     float64
	}{"rust": {"rust", nil, 0.5}, "c": {"c", nil, 0}, "c and its library": {"c", malloc, 2}, "assemblyscript": {"assemblyscript", nil, 3}} {
		t.Run(name, func(t *testing.T) {
			dir := made(t, c.language)
			if c.edit != nil {
				source := filepath.Join(dir, "main.c")
				text, err := os.ReadFile(source)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(source, []byte(c.edit.Replace(string(text))), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			r, err := Bench(context.Background(), BenchOptions{Transform: dir, Time: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if r.Allocations == nil || *r.Allocations != c.want {
				t.Errorf("%v allocations a record; want %v", r.Allocations, c.want)
			}
		})
	}
}

func TestABenchMeasuresBothSides(t *testing.T) {
	dir := made(t, "go")
	r, err := Bench(context.Background(), BenchOptions{Transform: dir, Time: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Records != wasm.MaxBatchRecords || r.Dropped != 0.25 || r.Failed != 0.25 || r.OutPerRecord != 0.5 || r.Memory == 0 || r.Runs == 0 ||
		!strings.HasPrefix(r.FirstFailure, "drop_debug.empty: ") {
		t.Errorf("%+v", r)
	}
	// The copy in large letters of those that are neither dropped nor failed, and what the collector does meanwhile.
	if r.Allocations == nil || *r.Allocations < 0.5 || *r.Allocations > 0.6 {
		t.Errorf("%v allocations a record", r.Allocations)
	}
	for _, f := range []Figures{r.Transform, r.Identity} {
		if f.NanosPerRecord <= 0 || f.MBPerSecond <= 0 || f.FuelPerRecord <= 0 || f.FuelPerByte <= 0 {
			t.Errorf("%+v", f)
		}
	}
	if r.Transform.FuelPerRecord < 10*r.Identity.FuelPerRecord {
		t.Errorf("the transform costs %v and the identity %v", r.Transform.FuelPerRecord, r.Identity.FuelPerRecord)
	}
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte(strings.Repeat("some line\r\n", 700)+"the last"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err = Bench(context.Background(), BenchOptions{Transform: dir, Input: lines, Config: `{"drop":"last"}`, Guard: wasm.None, Time: time.Millisecond})
	if err != nil || r.Records != 701 || r.Failed != 0 || r.Transform.FuelPerRecord != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Bench(context.Background(), BenchOptions{Transform: dir, Input: lines + "x"}); fault.CodeOf(err) != CodeInput {
		t.Errorf("an input that is not there: %v", err)
	}
}
