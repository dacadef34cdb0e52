package reference

import (
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/builtin"
)

var update = flag.Bool("update", false, "write the pages anew")

const folder = "../../docs/transforms"

func TestPagesAreThoseOfTheCode(t *testing.T) {
	files := Files()
	if *update {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, page := range files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Errorf("%v: go generate ./pipelines/reference writes it", err)
		} else if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the code says (-code +page); go generate ./pipelines/reference writes it anew:\n%s", name, diff)
		}
	}
	there, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if _, ok := files[filepath.Base(file)]; !ok && !*update {
			t.Errorf("%s describes nothing that there is", file)
		} else if !ok {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestPagesAreFoundByName(t *testing.T) {
	for _, s := range Summaries() {
		if page, ok := Page(s.Name); !ok || !strings.Contains(page, "# "+s.Name+"\n") || !strings.Contains(page, s.Text) {
			t.Errorf("%s: %v %.80s", s.Name, ok, page)
		}
	}
	if _, ok := Page("nothing"); ok {
		t.Error("there is a page of nothing")
	}
}

var block = regexp.MustCompile("(?s)\n```yaml\n(transforms:.*?)```\n")

// parse reads an example as its page shows it, from a folder with the example's files.
func parse(t *testing.T, shown string, files map[string]string) *spec.Pipeline {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pipelines, err := spec.Parse(filepath.Join(dir, "example.yaml"), []byte(beginning+shown), spec.Options{Env: func(name string) (string, bool) {
		return "the secret of " + name, true
	}})
	if err != nil {
		t.Fatalf("%s\n%s", shown, spec.Render(err, false))
	}
	return pipelines[0]
}

// TestExamplesDoWhatTheirPagesSay takes the examples out of the pages and runs their tests as leat test does.
func TestExamplesDoWhatTheirPagesSay(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.key, func(t *testing.T) {
			page, _ := Page(s.key)
			shown := block.FindAllStringSubmatch(page, -1)
			if s.native && len(shown) != len(s.doc.Examples) {
				t.Fatalf("the page shows %d examples of %d", len(shown), len(s.doc.Examples))
			}
			if s.native && !strings.Contains(page, beginning) {
				t.Error("the page does not say how the file begins")
			}
			for i := range s.doc.Examples {
				p := parse(t, shown[i][1], s.doc.Examples[i].Files)
				results, err := pipetest.Run(context.Background(), p, build.Options{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range results {
					if !r.Passed() {
						t.Errorf("%s\n%s", shown[i][1], spec.Render(r.Err(), false))
					}
				}
				if len(results) != 1 {
					t.Errorf("%d tests ran", len(results))
				}
			}
		})
	}
}

// TestExamplesAreExact compares byte by byte, where the tests of pipeline files compare JSON by its meaning, and compares what those
// do not know.
func TestExamplesAreExact(t *testing.T) {
	for key, c := range spec.Builtins() {
		doc := c.Doc()
		for i := range doc.Examples {
			e := &doc.Examples[i]
			t.Run(key+"/"+e.Title, func(t *testing.T) { exact(t, key, e) })
		}
	}
}

func exact(t *testing.T, key string, e *builtin.Example) {
	p := parse(t, example(key, e), e.Files)
	chain, err := build.Chain(context.Background(), p, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close(context.Background())
	in := record.NewBatch()
	defer in.Release()
	for i, data := range e.Input {
		r := record.Record{Seq: uint64(i) + 1, Arrived: p.Tests[0].Clock.UnixNano(), Key: "test", Data: decoded(t, data, e.Base64)}
		if i < len(e.InputKey) {
			r.Key = e.InputKey[i]
		}
		in.Add(r)
	}
	var final stage.Final
	defer final.Release()
	if err := chain.Run(context.Background(), in, &final); err != nil {
		t.Fatal(err)
	}
	var failed []string
	dropped := 0
	for i := range final.Roots {
		if root := &final.Roots[i]; root.Fail != nil {
			failed = append(failed, root.Fail.Code)
		} else if root.N == 0 {
			dropped++
		}
	}
	if len(final.Outs) != len(e.Output) {
		t.Fatalf("%d outputs, want %d", len(final.Outs), len(e.Output))
	}
	for i := range final.Outs {
		out := &final.Outs[i]
		if want := decoded(t, e.Output[i], e.Base64); !bytes.Equal(out.Data, want) {
			t.Errorf("output %d is %q, want %q", i, out.Data, want)
		}
		if len(e.Key) > 0 && out.Key != e.Key[i] {
			t.Errorf("output %d has the key %q, want %q", i, out.Key, e.Key[i])
		}
		got := map[string]string{}
		for _, a := range out.Partition {
			got[a.Name] = a.Value
		}
		var want map[string]string
		if i < len(e.Partition) {
			want = e.Partition[i]
		}
		if !maps.Equal(got, want) {
			t.Errorf("output %d has the partition keys %v, want %v", i, got, want)
		}
	}
	if dropped != e.Dropped || !slices.Equal(failed, e.Failed) {
		t.Errorf("%d dropped and %q failed, want %d and %q", dropped, failed, e.Dropped, e.Failed)
	}
}

func decoded(t *testing.T, data string, inBase64 bool) []byte {
	t.Helper()
	if !inBase64 {
		return []byte(data)
	}
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A page is worth its name: what the transform does, what its settings mean, and an example of what it does not take.
func TestPagesAreComplete(t *testing.T) {
	for _, s := range stages() {
		if !strings.HasSuffix(s.doc.Summary, ".") || len(s.doc.Summary) < 20 || len(s.doc.Summary) > 160 {
			t.Errorf("%s: the summary %q is not a sentence", s.key, s.doc.Summary)
		}
		if s.native {
			ends := false
			for _, e := range s.doc.Examples {
				ends = ends || e.Dropped > 0 || len(e.Failed) > 0
				if e.Title == "" || len(e.Input) == 0 {
					t.Errorf("%s: an example without title or input", s.key)
				}
			}
			if len(s.doc.Examples) < 2 || len(s.doc.Codes) > 0 && !ends {
				t.Errorf("%s: two examples are needed, and one with a record that fails or is dropped", s.key)
			}
		}
		undocumented(t, s.key, s.setting.Settings)
	}
}

func undocumented(t *testing.T, under string, list []spec.Setting) {
	for _, s := range list {
		if s.Doc == "" {
			t.Errorf("%s.%s has no doc", under, s.Key)
		}
		undocumented(t, under+"."+s.Key, s.Settings)
	}
}
