// Package foreground runs pipelines for somebody who watches: next to each other, until they are idle or told to stop,
// with the counts of this run alone.
package foreground

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/spec"
)

// Group is some pipelines that run at the same time. One that fails leaves the others alone.
type Group struct {
	members []*member
	metrics *observe.Metrics
}

// member is one pipeline of a group.
type member struct {
	spec   *spec.Pipeline
	dead   string
	ready  *engine.Pipeline
	runner *engine.Runner
	before []delivery.Counts // by sink, when the run began

	mu    sync.Mutex
	began time.Time
	took  time.Duration // 0 while it runs
	err   error
}

// Open builds the pipelines. If one cannot be built, none is, and the errors of all are returned.
func Open(ctx context.Context, pipelines []*spec.Pipeline, o build.Options) (*Group, error) {
	g := &Group{metrics: o.Metrics}
	var built []*engine.Pipeline
	var errs []error
	for _, p := range pipelines {
		ready, err := build.Pipeline(ctx, p, o)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		built = append(built, ready)
		m := &member{spec: p, dead: DeadLetters(p, o.Data.DeadLetters(p.Name)), ready: ready}
		if err := m.remember(ready); err != nil {
			errs = append(errs, err)
		}
		m.runner = engine.New(*ready, o.Logger)
		g.members = append(g.members, m)
	}
	if len(errs) == 0 {
		return g, nil
	}
	for _, p := range built {
		errs = append(errs, p.Close(context.WithoutCancel(ctx)))
	}
	return nil, errors.Join(errs...)
}

// remember takes the counts that durable state holds before the run.
func (m *member) remember(p *engine.Pipeline) error {
	for i := range p.Deliveries {
		cfg := &p.Deliveries[i]
		id := delivery.ID{Pipeline: p.Name, Sink: cfg.Name, Incarnation: cfg.Source.Incarnation}
		report, err := delivery.Audit(cfg.State, id, cfg.Source.Log.Shards(), cfg.FS, "")
		if err != nil {
			return err
		}
		m.before = append(m.before, report.Total)
	}
	return nil
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
	var wg sync.WaitGroup
	for _, m := range g.members {
		m.mu.Lock()
		m.began = time.Now()
		m.mu.Unlock()
		wg.Go(func() {
			defer build.WatchLedgers(g.metrics, m.spec.Name, m.runner)()
			running := o.Control.Add(m.spec.Name)
			running.Starts(m.ready)
			m.run(ctx, o)
			running.Stops(m.err)
			running.Remove()
		})
	}
	wg.Wait()
	var errs []error
	for _, m := range g.members {
		if m.err != nil {
			errs = append(errs, stopped(m.spec.Name, m.err))
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

func (m *member) run(ctx context.Context, o RunOptions) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	told := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-own.Done():
			return
		case <-ctx.Done():
		}
		if o.Drain {
			_ = m.runner.Drain(own) // it fails only if the pipeline does, and then Run says why
		}
		cancel()
	}()
	err := m.runner.Run(own, o.UntilIdle)
	cancel()
	<-told
	m.mu.Lock()
	m.took, m.err = time.Since(m.began), err
	m.mu.Unlock()
}

// Report is what one pipeline has done in this run, as JSON that programs may rely on.
type Report struct {
	Pipeline    string       `json:"pipeline"`
	File        string       `json:"file"`
	Seconds     float64      `json:"seconds"`
	Error       string       `json:"error,omitempty"`
	DeadLetters string       `json:"dead_letters"`
	Sinks       []SinkReport `json:"sinks"`
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
	out := make([]Report, len(g.members))
	for i, m := range g.members {
		out[i] = m.report()
	}
	return out
}

func (m *member) report() Report {
	r := Report{Pipeline: m.spec.Name, File: m.spec.File, DeadLetters: m.dead}
	m.mu.Lock()
	took := m.took
	if took == 0 && !m.began.IsZero() {
		took = time.Since(m.began)
	}
	if m.err != nil {
		r.Error = m.err.Error()
	}
	m.mu.Unlock()
	r.Seconds = took.Seconds()
	for i, s := range m.runner.Stats() {
		sink := SinkReport{
			Sink: s.Sink, Counts: since(s.Counts, m.before[i]),
			Objects: s.Objects, RawBytes: s.Raw, StoredBytes: s.Stored, Retries: s.Retries, LastError: s.LastError,
		}
		if s.Err != nil {
			sink.LastError = s.Err.Error()
		}
		r.Sinks = append(r.Sinks, sink)
	}
	return r
}

// since is what happened after before. Both ledgers hold, so the difference does: In is the old pending and the new.
func since(now, before delivery.Counts) delivery.Counts {
	if now == (delivery.Counts{}) { // the delivery has not started
		return delivery.Counts{In: before.Pending, Pending: before.Pending}
	}
	return delivery.Counts{
		In:        now.In - before.In + before.Pending,
		Delivered: now.Delivered - before.Delivered,
		Dropped:   now.Dropped - before.Dropped,
		Dead:      now.Dead - before.Dead,
		Expired:   now.Expired - before.Expired,
		Skipped:   now.Skipped - before.Skipped,
		Pending:   now.Pending,
	}
}
