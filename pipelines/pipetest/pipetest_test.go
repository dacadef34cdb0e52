package pipetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

// words is a transform that acts by the record's first byte, and counts its calls in closed.
type words struct{ closed *int }

func (w words) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	for i := range in.Records {
		data := in.Records[i].Data
		emit := func(parts ...[]byte) {
			out.Results = append(out.Results, stage.Result{Status: stage.OK, First: len(out.Outs), N: len(parts)})
			for _, p := range parts {
				out.Outs = append(out.Outs, stage.Out{Parent: i, Key: in.Records[i].Key, Data: p, Partition: record.Attrs{{Name: "tenant", Value: "t" + in.Records[i].Key}}})
			}
		}
		switch {
		case bytes.HasPrefix(data, []byte("-")):
			out.Results = append(out.Results, stage.Result{Status: stage.Dropped})
		case bytes.HasPrefix(data, []byte("!")):
			out.Results = append(out.Results, stage.Result{Status: stage.Failed, Class: fault.Permanent, Code: "words.bad", Reason: "it begins with an exclamation mark"})
		case bytes.HasPrefix(data, []byte("2")):
			emit([]byte(`{"part":1}`), []byte(`{"part":2}`))
		default:
			emit(data)
		}
	}
	return nil
}

func (w words) Close(context.Context) error { *w.closed++; return nil }

const file = `version: 1
pipeline: p
source: { stream: s }
transforms:
  - { name: words, wasm: { module: unused } }
sinks:
  - name: json
    stdout: {}
    partition: { part: .part }
    prefix: "part=!{partitionKeyFromQuery:part}/!{timestamp:yyyy}/!{firehose:random-string}/"
  - name: text
    stdout: {}
    format: lines
    prefix: "!{partitionKeyFromLambda:tenant}/"
tests:
`

func run(t *testing.T, tests string) []Result {
	t.Helper()
	pipelines, err := spec.Parse("p.yaml", []byte(file+tests), spec.Options{})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	opened, closed := 0, 0
	results, err := runWith(t.Context(), pipelines[0], func(context.Context) (*stage.Chain, error) {
		opened++
		return stage.NewChain(stage.Link{Name: "words", Transform: words{&closed}}), nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if opened != len(results) || closed != opened {
		t.Errorf("%d chains opened, %d closed for %d tests", opened, closed, len(results))
	}
	return results
}

func TestWhatHoldsPasses(t *testing.T) {
	results := run(t, `
  - name: everything
    clock: 2026-11-22T00:00:00Z
    input: [ '{"part": 1.0, "x": [1]}', '-drop', { json: { part: "b" }, key: k }, '2', { data: '!no' }, 'not json' ]
    output:
      json:
        - { json: { x: [ 1 ], part: 1 }, prefix: part=1/2026/XXXXXXXXXXX/ }
        - { data: '{"part":"b"}', key: k, prefix: part=b/2026/XXXXXXXXXXX/ }
        - '{ "part" : 1 }'
        - '{"part":2}'
      text:
        - { data: '{"part": 1.0, "x": [1]}', prefix: ttest/ }
        - { base64: eyJwYXJ0IjoiYiJ9Cg==, prefix: tk/ }
        - '{"part":1}'
        - '{"part":2}'
        - not json
    dropped: 1
    dead:
      - { code: words.bad, reason: exclamation, input: 4 }
      - { code: partition.not_json, input: 5 }
  - name: nothing is checked but dead letters
    input: [ '-', '{}' ]
    dead: [ { code: partition.null, reason: "null or missing", input: 1 } ]
`)
	for _, r := range results {
		if !r.Passed() {
			t.Errorf("%s: %s", r.Test, spec.Render(r.Err(), false))
		}
	}
}

// Each expectation that does not hold is told with its place and its first difference.
func TestWhatDoesNotHoldIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ body, code, text, place string }{
		"another value":     {`output: { text: [ '{"part":3}' ] }`, CodeOutput, "sink text, record 0 differs", ":18:23"},
		"another text":      {`output: { text: [ 'x' ] }`, CodeOutput, "record 0 differs", ":18:23"},
		"too few":           {`output: { text: [ '{"part":1}', 'more' ] }`, CodeOutput, "gets 1 record, want 2; the first that is missing is more", ":18:37"},
		"too many":          {`output: { text: [] }`, CodeOutput, `gets 1 record, want 0; the first too many is {"part":1}`, ":18:15"},
		"another key":       {`output: { text: [ { data: '{"part":1}', key: z } ] }`, CodeOutput, `has the key "test", want "z"`, ":18:5"},
		"another prefix":    {`output: { json: [ { json: { part: 1 }, prefix: x } ] }`, CodeOutput, `goes to the prefix "part=1/2000/XXXXXXXXXXX/", want "x"`, ":18:5"},
		"not dropped":       {`dropped: 1`, CodeDropped, "0 records dropped, want 1", ":18:14"},
		"not dead":          {`dead: [ { code: x } ]`, CodeDead, "0 records dead, want 1", ":18:13"},
		"unexpectedly dead": {`input: [ '!' ]`, CodeDead, "0; the first too many is input 0, in transform words: it begins", ""},
		"another code":      {"input: [ '!' ]\n    dead: [ { code: x } ]", CodeDead, `has the code "words.bad", want "x"`, ""},
		"another reason":    {"input: [ '!' ]\n    dead: [ { reason: zz } ]", CodeDead, `does not contain "zz"`, ""},
		"another input":     {"input: [ '1', '!' ]\n    dead: [ { code: partition.jq_failed, input: 0 }, { input: 0 } ]", CodeDead, "dead letter 1 is not input 0, but input 1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := "  - name: a\n"
			if !strings.HasPrefix(c.body, "input") {
				body += "    input: [ '{\"part\":1}' ]\n"
			} else {
				body = "  - name: a\n"
			}
			results := run(t, body+"    "+c.body+"\n")
			if len(results) != 1 || len(results[0].Failures) != 1 {
				t.Fatalf("got %v", spec.Render(results[0].Err(), false))
			}
			f := results[0].Failures[0]
			if f.Code != c.code || !strings.Contains(f.Message, c.text) || !strings.Contains(f.Place, c.place) || f.Place == "" {
				t.Errorf("got %s at %s: %s\nwant %s at %s: %s", f.Code, f.Place, f.Message, c.code, c.place, c.text)
			}
		})
	}
}

func TestAPipelineThatCannotRunFailsItsTests(t *testing.T) {
	pipelines, err := spec.Parse("p.yaml", []byte(file+"  - { name: a, input: [ x ] }\n  - { name: b, input: [ x ] }\n"), spec.Options{})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	open := func(context.Context) (*stage.Chain, error) { return nil, errors.New("no module") }
	results, err := runWith(t.Context(), pipelines[0], open, func(name string) bool { return name == "b" })
	if err != nil || len(results) != 1 || results[0].Test != "b" || results[0].Passed() || results[0].Failures[0].Code != CodeRun {
		t.Errorf("got %+v, %v", results, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runWith(ctx, pipelines[0], open, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestManyInputsKeepTheirOrderOverBatches(t *testing.T) {
	var in, want []string
	for i := range 1200 {
		in = append(in, fmt.Sprintf("'{\"part\":%d}'", i))
		want = append(want, fmt.Sprintf("{ json: { part: %d } }", i))
	}
	in[1100] = "'!'"
	want = append(want[:1100:1100], want[1101:]...)
	results := run(t, "  - name: many\n    input: [ "+strings.Join(in, ", ")+" ]\n    output: { json: [ "+strings.Join(want, ", ")+" ] }\n    dead: [ { input: 1100 } ]\n")
	if !results[0].Passed() {
		t.Error(spec.Render(results[0].Err(), false))
	}
}

func TestLargeWholeNumbersAreComparedDigitByDigit(t *testing.T) {
	results := run(t, `
  - name: neighbours
    input: [ '{"part":9007199254740993}' ]
    output: { text: [ '{"part":9007199254740992}' ] }
  - name: the same
    input: [ '{"part":9007199254740993, "x":1e2}' ]
    output: { text: [ { json: { x: 100, part: 9007199254740993 } } ] }
`)
	if results[0].Passed() || !results[1].Passed() {
		t.Errorf("neighbours pass: %v; the same: %v", results[0].Passed(), results[1].Err())
	}
}

func TestSinksGetTheRoutesThatTheyTake(t *testing.T) {
	p, err := spec.Parse("p.yaml", []byte(`version: 1
pipeline: routed
source: { stream: s }
transforms: [ { name: kinds, route: { cases: [ { name: errors, when: 'level == "error"' }, { name: slow, when: 'ms > 10' } ], match: all } } ]
sinks: [ { name: all, stdout: {} }, { name: bad, routes: [ errors, slow ], prefix: "!{partitionKeyFromLambda:route}/", stdout: {} } ]
tests:
  - name: each sink gets its routes
    input: [ { json: { level: error, ms: 20 } }, { json: { level: info, ms: 20 } }, { json: { level: info, ms: 1 } }, { json: {} } ]
    output:
      all: [ { json: { level: error, ms: 20 } }, { json: { level: info, ms: 20 } }, { json: { level: info, ms: 1 } } ]
      bad: [ { json: { level: error, ms: 20 }, prefix: errors/ }, { json: { level: info, ms: 20 }, prefix: slow/ } ]
    dead: [ { code: route.failed, input: 3 } ]
`), spec.Options{})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	results, err := Run(t.Context(), p[0], build.Options{}, nil)
	if err != nil || len(results) != 1 || !results[0].Passed() {
		t.Fatal(err, results)
	}
}
