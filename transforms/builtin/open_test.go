package builtin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/builtin"
)

// file is a pipeline file with one stage, whose settings are YAML in flow or block style.
func file(key, settings string) string {
	if strings.TrimSpace(settings) == "" {
		settings = "{}"
	}
	return "version: 1\npipeline: p\nsource: { stream: s }\ntransforms:\n  - name: t\n    " + key + ":\n      " +
		strings.ReplaceAll(strings.TrimSpace(settings), "\n", "\n      ") + "\nsinks: [ { name: o, stdout: {} } ]\n"
}

// tryOpen opens a built-in transform as a pipeline file configures it.
func tryOpen(t testing.TB, key, settings string) (stage.Transform, error) {
	t.Helper()
	src := file(key, settings)
	pipelines, err := spec.Parse("p.yaml", []byte(src), spec.Options{Env: func(name string) (string, bool) {
		v, ok := map[string]string{"SECRET": "key"}[name]
		return v, ok
	}})
	if err != nil {
		return nil, errors.New(spec.Render(err, false))
	}
	_, c := pipelines[0].Transforms[0].Builtin()
	return c.Open(context.Background(), builtin.Env{Pipeline: "p", Stage: "t", Logger: slog.New(slog.DiscardHandler)})
}

func open(t testing.TB, key, settings string) stage.Transform {
	t.Helper()
	tr, err := tryOpen(t, key, settings)
	if err != nil {
		t.Fatalf("%s\n%v", file(key, settings), err)
	}
	t.Cleanup(func() {
		if err := tr.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// refused are settings that cannot be opened, and what the error says.
func refused(t *testing.T, key string, cases map[string]string) {
	t.Helper()
	for settings, want := range cases {
		if _, err := tryOpen(t, key, settings); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "p.yaml:") {
			t.Errorf("%s: got %v, want an error with its place and %q", settings, err, want)
		}
	}
}

// outcome is what became of one record.
type outcome struct {
	Status  stage.Status
	Outs    []string
	Code    string
	Reason  string
	Results []stage.Out
}

// String is the outputs in brackets, or unchanged, dropped or the code and the reason of the failure.
func (o outcome) String() string {
	switch o.Status {
	case stage.Unchanged:
		return "unchanged"
	case stage.Dropped:
		return "dropped"
	case stage.Failed:
		return o.Code + ": " + o.Reason
	}
	return fmt.Sprintf("%s", o.Outs)
}

// arrived is when the tests' records arrive.
var arrived = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func batch(data ...string) *record.Batch {
	b := record.NewBatch()
	for i, d := range data {
		b.Add(record.Record{Shard: 3, Seq: uint64(i) + 1, Arrived: arrived.UnixNano(), Key: "key", Data: []byte(d), Attrs: record.Attrs{{Name: "origin", Value: "test"}}})
	}
	return b
}

func apply(t testing.TB, tr stage.Transform, data ...string) []outcome {
	t.Helper()
	in := batch(data...)
	defer in.Release()
	out := new(stage.Output)
	out.Reset()
	if err := tr.Apply(context.Background(), in, out); err != nil {
		t.Fatal(err)
	}
	if len(out.Results) != len(data) {
		t.Fatalf("%d results for %d records", len(out.Results), len(data))
	}
	for i, d := range data {
		if string(in.Records[i].Data) != d {
			t.Fatalf("the input %q became %q", d, in.Records[i].Data)
		}
	}
	all := make([]outcome, len(data))
	for i, res := range out.Results {
		all[i] = outcome{Status: res.Status, Code: res.Code, Reason: res.Reason}
		for _, o := range out.Outs[res.First : res.First+res.N] {
			if o.Parent != i {
				t.Fatalf("an output of record %d has the parent %d", i, o.Parent)
			}
			all[i].Outs = append(all[i].Outs, string(o.Data))
			o.Data = slices.Clone(o.Data)
			all[i].Results = append(all[i].Results, o)
		}
	}
	return all
}

// becomes checks what settings make of records, one of data and outcome each. An outcome that ends with … says how it begins.
func becomes(t *testing.T, key, settings string, pairs ...string) {
	t.Helper()
	tr := open(t, key, settings)
	for i := 0; i < len(pairs); i += 2 {
		got := apply(t, tr, pairs[i])[0].String()
		if head, ok := strings.CutSuffix(pairs[i+1], "…"); got != pairs[i+1] && !(ok && strings.HasPrefix(got, head)) {
			t.Errorf("%s with %s: %q\n got %s\nwant %s", key, settings, pairs[i], got, pairs[i+1])
		}
	}
}

// measure reports what a transform costs a record.
func measure(b *testing.B, tr stage.Transform, data ...string) {
	b.Helper()
	var all []string
	for len(all) < 500 {
		all = append(all, data...)
	}
	in := batch(all...)
	defer in.Release()
	out := new(stage.Output)
	out.Reset()
	b.SetBytes(int64(in.Size()))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := tr.Apply(context.Background(), in, out); err != nil {
			b.Fatal(err)
		}
	}
	for _, res := range out.Results {
		if res.Status == stage.Failed {
			b.Fatalf("%s: %s", res.Code, res.Reason)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(in.Len()), "ns/record")
}
