package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/leatstream/leat/core/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

// environment of the golden files.
func fixedEnv(name string) (string, bool) {
	v, ok := map[string]string{"EMPTY": "", "WORD": "two", "S3_SECRET": "hunter2"}[name]
	return v, ok
}

// Each bad file's errors are shown exactly as its golden file has them, and the JSON schema refuses it too unless the file
// says that its error is beyond the schema.
func TestBadFiles(t *testing.T) {
	schema := compileSchema(t)
	files := glob(t, "testdata/bad/*.yaml")
	if len(files) < 30 {
		t.Fatalf("only %d files", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pipelines, err := Parse(filepath.Base(file), src, Options{Env: fixedEnv})
			if err == nil || pipelines != nil {
				t.Fatalf("got %v and the error %v", pipelines, err)
			}
			var list *Errors
			if !errors.As(err, &list) {
				t.Fatalf("the error is a %T", err)
			}
			for _, e := range list.List {
				if e.Code == "" || e.Class != fault.Permanent {
					t.Errorf("an error without code or with class %v: %v", e.Class, e)
				}
			}
			got := Render(err, false)
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("rendered errors (-want +got):\n%s", diff)
			}
			beyond := bytes.Contains(src, []byte("# beyond the schema"))
			docs, err := readYAML(file, src)
			if err != nil {
				return // no JSON can be made of it
			}
			refused := len(docs) == 0
			for _, doc := range docs {
				refused = refused || validate(t, schema, doc) != nil
			}
			if refused == beyond {
				t.Errorf("the schema refuses it: %v; the file says that the error is beyond the schema: %v", refused, beyond)
			}
		})
	}
}

func TestGoodFilesPassTheParserAndTheSchema(t *testing.T) {
	schema := compileSchema(t)
	files := append(glob(t, "testdata/good/*.yaml"), glob(t, "../examples/*/*.yaml")...)
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(file, src, Options{Env: fixedEnv}); err != nil {
			t.Errorf("%s:\n%s", file, Render(err, false))
			continue
		}
		docs, err := readYAML(file, src)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range docs {
			if err := validate(t, schema, doc); err != nil {
				t.Errorf("%s: the schema refuses it: %v", file, err)
			}
		}
	}
}

// The files with every key keep that promise, so that the two tests above cover the whole language.
func TestTheFullFilesHaveEveryKey(t *testing.T) {
	var src []byte
	for _, file := range []string{"testdata/good/full.yaml", "testdata/good/transforms.yaml", "testdata/good/lambda.yaml"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		src = append(src, b...)
	}
	var schema struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for key := range properties {
					if !strings.Contains(string(src), key+":") && key != "position" && key != "hold" {
						t.Errorf("none of the files in testdata/good has %s", key)
					}
				}
			}
			for _, sub := range v {
				walk(sub)
			}
		case []any:
			for _, sub := range v {
				walk(sub)
			}
		}
	}
	var all any
	if err := json.Unmarshal(Schema(), &all); err != nil {
		t.Fatal(err)
	}
	walk(all)
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, doc *node) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc.appendJSON(nil)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(v)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}
