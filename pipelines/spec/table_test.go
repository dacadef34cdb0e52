package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func table(t *testing.T, text string) ([]*Pipeline, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadTable(file, "stage", "module.wasm", Options{})
}

func TestATableBecomesAPipelineForEachTest(t *testing.T) {
	ps, err := table(t, `config: { a: 1 }
tests:
  - { name: first, input: [ x, { json: { b: 2 }, key: k, attrs: { n: v } }, { base64: eA== } ], output: [ y ], unchanged: 1 }
  - { name: second, config: { a: 2 }, input: [ z ], dropped: 1, dead: [ { code: c } ] }
  - { name: third, input: [ z ], output: [] }
`)
	if err != nil {
		t.Fatal(Render(err, false))
	}
	if len(ps) != 3 {
		t.Fatalf("%d pipelines", len(ps))
	}
	for i, want := range []string{`{"a":1}`, `{"a":2}`, `{"a":1}`} {
		s := &ps[i].Transforms[0]
		if string(s.Config) != want || s.Name != "stage" || s.Wasm.Module != "module.wasm" || s.Wasm.Guard != "metered" || s.OnError != "dead_letter" || ps[i].Name != "stage" {
			t.Errorf("test %d: %+v, %+v", i, s, s.Wasm)
		}
		if !strings.HasSuffix(s.PlaceOf("config"), []string{":1:9", ":4:29", ":1:9"}[i]) {
			t.Errorf("the config of test %d is at %s", i, s.PlaceOf("config"))
		}
	}
	first, second, third := ps[0].Tests[0], ps[1].Tests[0], ps[2].Tests[0]
	in := first.Input
	if string(in[0].Bytes()) != "x" || string(in[1].Bytes()) != `{"b":2}` || string(in[2].Bytes()) != "x" || *in[1].Key != "k" || in[1].Attrs[0].Value != "v" {
		t.Errorf("the input is %+v", in)
	}
	if len(first.Output) != 1 || first.Output[0].Sink != ps[0].Sinks[0].Name || *first.Unchanged != 1 {
		t.Errorf("%+v", first)
	}
	if second.Output != nil || *second.Dropped != 1 || second.Dead[0].Code != "c" {
		t.Errorf("%+v", second)
	}
	if len(third.Output) != 1 || len(third.Output[0].Records) != 0 { // nothing is expected, and that is checked
		t.Errorf("%+v", third)
	}
}

func TestWrongTablesAreShownWithTheirPlaces(t *testing.T) {
	for text, want := range map[string]string{
		"tests:\n  - { nam: x, input: [ a ] }\n":                                 `tests.yaml:2:7|did you mean "name"`,
		"tests:\n  - { name: x, input: [ a ], output: { out: [ a ] } }\n":        `tests.yaml:2:38|wants a list`,
		"tests:\n  - { name: x }\n":                                              `tests.yaml:2:5|needs the key "input"`,
		"tests:\n  - { name: x, input: [ a ] }\n  - { name: x, input: [ a ] }\n": `tests.yaml:3:13|is there twice; the other is at`,
		"tests: []\n":   `tests.yaml:1:8|it takes 1 to 10000`,
		"pipeline: p\n": `tests.yaml:1:1|unknown key "pipeline" in a table of tests`,
		"tests:\n  - { name: x, input: [ a ], dropped: many }\n":                        `tests.yaml:2:39|wants a whole number`,
		"config: { a: \"${NOBODY_SET_THIS}\" }\ntests: [ { name: x, input: [ a ] } ]\n": `tests.yaml:1:14|NOBODY_SET_THIS`,
		"": "tests.yaml|holds no tests|a table begins with tests:",
	} {
		_, err := table(t, text)
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		shown := Render(err, false)
		for part := range strings.SplitSeq(want, "|") {
			if !strings.Contains(shown, part) {
				t.Errorf("%q: the error lacks %q:\n%s", text, part, shown)
			}
		}
	}
	if _, err := LoadTable(filepath.Join(t.TempDir(), "none.yaml"), "s", "m", Options{}); err == nil {
		t.Error("a table that is not there")
	}
}
