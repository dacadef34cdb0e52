// Package pipetest runs the tests inside pipeline files.
//
// A test's input goes through the pipeline's real transforms, and for each sink through its partition, prefix and format,
// as a delivery would do it; nothing is stored, compressed or sent. Records arrive at the test's clock, in shard 0 with
// sequence numbers from 1, in batches of at most 500. Each test has its own transforms, so that a guest that keeps state
// starts anew. In prefixes a random string is XXXXXXXXXXX.
//
// What a test does not mention is not checked, but for dead letters: without dead, none are expected. An output is compared
// as JSON if both sides are JSON (the order of keys and 1 against 1.0 make no difference), else byte by byte, without the
// newline that a format adds.
package pipetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/spec/jq"
	"github.com/leatstream/leat/pipelines/spec/prefix"
	"github.com/leatstream/leat/transforms/builtin"
)

// Codes of failures.
const (
	CodeOutput    = "test.output"    // a sink gets something else
	CodeDropped   = "test.dropped"   // another number of records is dropped
	CodeUnchanged = "test.unchanged" // another number of records comes out as it came
	CodeDead      = "test.dead"      // other records are dead
	CodeFuel      = "test.fuel"      // a stage does more work
	CodeRun       = "test.run"       // the pipeline could not run
)

// Bounds of a batch, as a delivery cuts them for transforms.
const (
	batchRecords = 500
	batchBytes   = 512 << 10
)

// Result is what became of one test.
type Result struct {
	Pipeline, Test string
	// Place of the test in the pipeline file.
	Place string
	// Failures are empty if the test passed. Each has the place of the expectation that does not hold.
	Failures []*fault.Error
	Took     time.Duration
}

// Passed reports whether everything the test expects holds.
func (r *Result) Passed() bool { return len(r.Failures) == 0 }

// Err returns the failures as one error, which spec.Render shows with its places; nil if the test passed.
func (r *Result) Err() error {
	if r.Passed() {
		return nil
	}
	return &spec.Errors{List: r.Failures}
}

// Run runs the tests of p whose names match returns true for; a nil match runs all. The error says that nothing could be run at
// all: ctx is done, or a sink of the spec is not valid.
func Run(ctx context.Context, p *spec.Pipeline, o build.Options, match func(name string) bool) ([]Result, error) {
	return runWith(ctx, p, func(ctx context.Context) (*stage.Chain, error) { return build.Chain(ctx, p, o) }, match)
}

// runWith is Run with what makes the pipeline's transforms ready. It is called, and the chain closed, for each test.
func runWith(ctx context.Context, p *spec.Pipeline, chain func(context.Context) (*stage.Chain, error), match func(name string) bool) ([]Result, error) {
	var sinks []*sink
	for i := range p.Sinks {
		s, err := newSink(&p.Sinks[i])
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, s)
	}
	var results []Result
	for i := range p.Tests {
		t := &p.Tests[i]
		if match != nil && !match(t.Name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return results, err
		}
		start := time.Now()
		failures := runOne(ctx, t, sinks, chain)
		results = append(results, Result{Pipeline: p.Name, Test: t.Name, Place: t.Place(), Failures: failures, Took: time.Since(start)})
	}
	return results, ctx.Err()
}

// sink is what a delivery does to records before they are stored.
type sink struct {
	name   string
	routes []string // empty: all
	query  *jq.Partitioner
	prefix *prefix.Template
	format codec.Format
}

func newSink(s *spec.Sink) (*sink, error) {
	out := &sink{name: s.Name, routes: s.Routes}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("sink %s: %w", s.Name, err)
	}
	out.prefix, err = prefix.Compile(s.Prefix, prefix.Options{
		Zone: zone, QueryKeys: s.Partition.Names(), Random: func() string { return strings.Repeat("X", 11) },
	})
	if err != nil {
		return nil, fmt.Errorf("sink %s: %w", s.Name, err)
	}
	if out.query, err = s.Partition.Compile(); err != nil {
		return nil, fmt.Errorf("sink %s: %w", s.Name, err)
	}
	if out.format, err = codec.FormatByName(s.Format); err != nil {
		return nil, fmt.Errorf("sink %s: %w", s.Name, err)
	}
	return out, nil
}

// output is a record as a sink gets it.
type output struct {
	key, prefix string
	attrs       record.Attrs
	data        []byte // formatted
}

// dead is a record that goes to the dead letters.
type dead struct {
	input               int
	where, code, reason string
}

// outcome is what a pipeline made of a test's input.
type outcome struct {
	outputs map[string][]output // by sink
	dead    []dead
	dropped int
	// unchanged counts inputs whose only output has their data and key.
	unchanged int
}

func runOne(ctx context.Context, t *spec.Test, sinks []*sink, open func(context.Context) (*stage.Chain, error)) []*fault.Error {
	chain, err := open(ctx)
	if err != nil {
		return []*fault.Error{cannotRun(t, err)}
	}
	got, err := execute(ctx, t, sinks, chain)
	fuel := func(stage string) (float64, bool) {
		spent, bytes, ok := chain.Fuel(stage)
		return float64(spent) / float64(max(bytes, 1)), ok
	}
	if err = errors.Join(err, chain.Close(context.WithoutCancel(ctx))); err != nil {
		return []*fault.Error{cannotRun(t, err)}
	}
	c := &comparison{test: t, got: got, fuel: fuel}
	c.run()
	return c.failures
}

// cannotRun keeps the place of an error that has one: it is that of the stage, not of the test.
func cannotRun(t *spec.Test, err error) *fault.Error {
	out := fault.New(fault.ClassOf(err), CodeRun, "the test cannot run: %w", err).At(t.Place())
	var f *fault.Error
	if errors.As(err, &f) && f.Hint != "" {
		out.Hint = f.Hint
	}
	return out
}

func execute(ctx context.Context, t *spec.Test, sinks []*sink, chain *stage.Chain) (*outcome, error) {
	got := &outcome{outputs: map[string][]output{}}
	var final stage.Final
	defer final.Release()
	for first := 0; first < len(t.Input); {
		batch := record.NewBatch()
		for i := first; i < len(t.Input) && batch.Len() < batchRecords && (batch.Len() == 0 || batch.Size() < batchBytes); i++ {
			batch.Add(inputRecord(t, i))
		}
		var err error
		for done := false; !done && err == nil; done = final.Left() == 0 {
			if err = chain.Run(ctx, batch, &final); err == nil {
				got.add(t, first, batch, &final, sinks)
			}
		}
		first += batch.Len()
		final.Reset()
		batch.Release()
		if err != nil {
			return nil, err
		}
	}
	return got, nil
}

func inputRecord(t *spec.Test, i int) record.Record {
	in := &t.Input[i]
	r := record.Record{Seq: uint64(i) + 1, Arrived: t.Clock.UnixNano(), Key: "test", Data: in.Bytes()}
	if in.Key != nil {
		r.Key = *in.Key
	}
	for _, a := range in.Attrs {
		r.Attrs.Set(a.Name, a.Value)
	}
	return r
}

// add takes what the chain made of a part of a batch to every sink. As in a delivery, an input is dead for a sink as a whole if one of
// its outputs is.
func (o *outcome) add(t *spec.Test, first int, in *record.Batch, f *stage.Final, sinks []*sink) {
	for k := range f.Roots {
		root, i := &f.Roots[k], f.From+k
		if fail := root.Fail; fail != nil {
			o.dead = append(o.dead, dead{first + i, "transform " + fail.Stage, fail.Code, fail.Reason})
			continue
		}
		if root.N == 0 {
			o.dropped++
			continue
		}
		if out, r := &f.Outs[root.First], &in.Records[i]; root.N == 1 && bytes.Equal(out.Data, r.Data) && out.Key == r.Key {
			o.unchanged++
		}
		for _, s := range sinks {
			var outs []output
			var err error
			for j := root.First; j < root.First+root.N && err == nil; j++ {
				if len(s.routes) > 0 && !builtin.TakesRoute(s.routes, f.Outs[j].Attrs) {
					continue
				}
				var out output
				if out, err = s.apply(&f.Outs[j], t.Clock); err == nil {
					outs = append(outs, out)
				}
			}
			if err != nil {
				o.dead = append(o.dead, dead{first + i, "sink " + s.name, fault.CodeOf(err), err.Error()})
				continue
			}
			o.outputs[s.name] = append(o.outputs[s.name], outs...)
		}
	}
}

// apply returns copies: the chain's memory is used again for the next batch.
func (s *sink) apply(out *stage.Out, at time.Time) (output, error) {
	var query record.Attrs
	if err := s.query.Eval(out.Data, &query); err != nil {
		return output{}, err
	}
	group, err := s.prefix.Group(nil, query, out.Partition)
	if err != nil {
		return output{}, err
	}
	p, err := s.prefix.Key(group, at, "")
	if err != nil {
		return output{}, err
	}
	data, err := s.format.Append(nil, out.Data)
	if err != nil {
		return output{}, err
	}
	attrs := make(record.Attrs, len(out.Attrs))
	for i, a := range out.Attrs {
		attrs[i] = record.Attr{Name: strings.Clone(a.Name), Value: strings.Clone(a.Value)}
	}
	return output{key: strings.Clone(out.Key), prefix: p, attrs: attrs, data: data}, nil
}
