// Package foreground runs pipelines for somebody who watches: next to each other, until they are idle or told to stop,
// with the counts of this run alone.
package foreground

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/kinesis"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/spec"
)

// Group is some pipelines that run at the same time. One that fails leaves the others alone.
type Group struct {
	opts build.Options // Health gets a check for each pipeline while it runs

	mu      sync.Mutex
	members []*member
	problem error // why nothing is taken of the files as they are now; nil if it is
}

// Open builds the pipelines and asks their destinations. If one cannot be built, or a destination refuses, none is, and the errors of
// all are returned.
func Open(ctx context.Context, pipelines []*spec.Pipeline, o build.Options) (*Group, error) {
	prepared := make([]*build.Prepared, len(pipelines))
	errs := make([]error, len(pipelines))
	var asking sync.WaitGroup
	for i, p := range pipelines {
		if prepared[i], errs[i] = build.Prepare(ctx, p, o); errs[i] == nil {
			asking.Go(func() { errs[i] = prepared[i].Ask(ctx, nil) })
		}
	}
	asking.Wait()
	g := &Group{opts: o}
	var closers []func(context.Context) error
	failed := errors.Join(errs...) != nil
	for i, p := range prepared {
		switch {
		case p == nil:
			continue
		case failed:
			closers = append(closers, p.Close)
			continue
		}
		ready, err := p.Pipeline(ctx)
		if err == nil {
			closers = append(closers, ready.Close)
			err = g.member(ready.Name).adopt(pipelines[i], ready, &o)
		}
		errs[i] = err
	}
	if errors.Join(errs...) == nil {
		return g, nil
	}
	for _, end := range closers {
		errs = append(errs, end(context.WithoutCancel(ctx)))
	}
	return nil, errors.Join(errs...)
}

// DeadLetters says where a pipeline's dead letters go; fallback is the folder for one that does not say.
func DeadLetters(p *spec.Pipeline, fallback string) string {
	switch d := p.DeadLetters; {
	case d == nil:
		return fallback
	case d.File != nil:
		return d.File.Dir
	default:
		return "s3://" + d.S3.Bucket
	}
}

// RunOptions says when a run ends.
type RunOptions struct {
	// UntilIdle ends it when the sources are exhausted and everything is delivered.
	UntilIdle bool
	// Drain delivers what is in the stream, whatever the buffers' size and age, after ctx is done.
	Drain bool
	// Control lets others look at the pipelines while they run; nil: nobody can.
	Control *control.Server
}

// Run runs all pipelines until ctx is done, or they are idle, or they cannot go on. Puts under way end first. The error is
// that of all pipelines that could not go on.
func (g *Group) Run(ctx context.Context, o RunOptions) error {
	defer g.followLoad()()
	var wg sync.WaitGroup
	for _, m := range g.list() {
		shown, hide := m.begin(o.Control)
		defer hide()
		wg.Go(func() {
			m.run(ctx, o, shown)
			shown.Remove()
		})
	}
	wg.Wait()
	return g.failures()
}

// followLoad lets on-demand streams follow their load until end is called.
func (g *Group) followLoad() (end func()) {
	return kinesis.FollowLoad(g.opts.Data.Streams, g.opts.Data.State, g.opts.Logger).Close
}

func (g *Group) list() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.members)
}

// failures is the error of all members that could not go on.
func (g *Group) failures() error {
	var errs []error
	for _, m := range g.list() {
		if err := m.down(); err != nil {
			errs = append(errs, stopped(m.name, err))
		}
	}
	if len(errs) == 1 {
		return errs[0] // keeps its hint
	}
	return errors.Join(errs...)
}

// stopped says which pipeline an error has stopped.
func stopped(name string, err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("pipeline %s: %w", name, err)
	}
	told := *e
	told.Message, told.Err = "pipeline "+name+": "+e.Message, err
	return &told
}

// Report is what one pipeline has done in this run, as JSON that programs may rely on.
type Report struct {
	Pipeline string  `json:"pipeline"`
	File     string  `json:"file"`
	Seconds  float64 `json:"seconds"`
	// Error is why no version runs, and NewerError why the newest does not, or nothing is taken of the files as they are now.
	Error       string       `json:"error,omitempty"`
	NewerError  string       `json:"newer_error,omitempty"`
	DeadLetters string       `json:"dead_letters"`
	Sinks       []SinkReport `json:"sinks"`
	// Shadows is what the shadows of stages have found, in the present version.
	Shadows []ShadowReport `json:"shadows,omitempty"`
}

// ShadowReport is what the shadow of one stage has found.
type ShadowReport struct {
	Stage string `json:"stage"`
	stage.ShadowStats
}

// SinkReport is what one sink has done in this run. In is what it had to do: what was pending when the run began, and
// what has come since.
type SinkReport struct {
	Sink string `json:"sink"`
	delivery.Counts
	Objects     int64  `json:"objects"`
	RawBytes    int64  `json:"raw_bytes"`    // before compression
	StoredBytes int64  `json:"stored_bytes"` // after compression
	Retries     int64  `json:"retries"`
	LastError   string `json:"last_error,omitempty"`
}

// Report describes all pipelines, also while they run.
func (g *Group) Report() []Report {
	out := []Report{}
	for _, m := range g.list() {
		if r, ok := m.report(); ok {
			out = append(out, r)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range out {
		if g.problem != nil {
			out[i].NewerError = g.problem.Error()
		}
	}
	return out
}
