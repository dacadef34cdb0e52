// Package build makes running pipelines of pipeline files: it creates what is missing (streams, module builds), opens
// transforms and sinks, and hands the engine a graph that is ready.
package build

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/leatstream/leat/core/arn"
	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
)

// Options are what pipelines share and what only the command knows.
type Options struct {
	Data    *datadir.Dir
	Logger  *slog.Logger
	Metrics *observe.Metrics // nil: none
	Health  *observe.Health  // gets a check for each stage; nil: nobody does
	// Owner is the account and the region of the ARNs that handlers see.
	Owner arn.Owner
	// UntilIdle makes the pipeline's feeders end when their files are read.
	UntilIdle bool
	// Stdout is where stdout sinks write.
	Stdout io.Writer
	// Progress is told, in a few words, what takes long ("building ./csv2json"); nil: nobody is.
	Progress func(what string)
	// Modules are those of transforms that are built already, by what the file says of them; nil: build them.
	Modules map[string]string
	// Connect makes Probe ask the destinations.
	Connect bool
	// Removed says what to do with what sinks have left that the file does not have any more.
	Removed Removed
}

// Removed is a decision about a sink that has been removed from the file: about the objects that were sealed for it, and
// about the position it would go on from if it came back, which is kept, with a warning, unless it is abandoned.
type Removed string

const (
	// RefuseRemoved, the default, fails with an error that names the other two, if there are such objects.
	RefuseRemoved Removed = "refuse"
	// FinishRemoved puts them where they were sealed for.
	FinishRemoved Removed = "finish"
	// AbandonRemoved gives them up and forgets the sink.
	AbandonRemoved Removed = "abandon"
)

// Pipeline makes p ready to run. Errors point to the place in the file.
func Pipeline(ctx context.Context, p *spec.Pipeline, o Options) (*engine.Pipeline, error) {
	prepared, err := Prepare(ctx, p, o)
	if err != nil {
		return nil, err
	}
	return prepared.Pipeline(ctx)
}

// Prepared is a pipeline whose transforms and sinks are open and which is not tied to its stream yet: what takes long, and
// what can be wrong in its file, is behind it, and another version of the pipeline may still run.
type Prepared struct {
	builder  *builder
	pipeline *engine.Pipeline
}

// Prepare opens p's transforms and sinks. Errors point to the place in the file.
func Prepare(ctx context.Context, p *spec.Pipeline, o Options) (*Prepared, error) {
	b := &builder{ctx: ctx, spec: p, opts: o}
	ready, err := b.prepare()
	if err != nil {
		return nil, errors.Join(err, b.close(context.WithoutCancel(ctx)))
	}
	return &Prepared{b, ready}, nil
}

// Modules are those that were built of folders, for Options.Modules: to test what was prepared, even if the source has changed since.
func (p *Prepared) Modules() map[string]string { return p.builder.opts.Modules }

// Chain is the first sink's.
func (p *Prepared) Chain() *stage.Chain { return p.pipeline.Deliveries[0].Chain }

// Pipeline makes what was prepared ready to run, or closes it. No other version of the pipeline runs any more.
func (p *Prepared) Pipeline(ctx context.Context) (*engine.Pipeline, error) {
	p.builder.ctx = ctx
	if err := p.builder.attach(p.pipeline); err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	return p.pipeline, nil
}

// Close closes what was prepared, in place of Pipeline.
func (p *Prepared) Close(ctx context.Context) error { return p.builder.close(ctx) }

// Probe checks, without delivering anything, that p could run: modules load, expressions compile and, with
// Options.Connect, destinations answer. It needs no data directory.
func Probe(ctx context.Context, p *spec.Pipeline, o Options) error {
	b := &builder{ctx: ctx, spec: p, opts: o}
	return b.probe()
}
