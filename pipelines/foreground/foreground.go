// Package foreground runs pipelines for somebody who watches: next to each other, until they are idle or told to stop,
// with the counts of this run alone.
package foreground

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/spec"
)

// Group is some pipelines that run at the same time. One that fails leaves the others alone.
type Group struct {
	metrics *observe.Metrics

	mu      sync.Mutex
	members []*member
}

// member is one pipeline of a group, in one version at a time.
type member struct {
	name string

	mu      sync.Mutex
	spec    *spec.Pipeline
	dead    string
	ready   *engine.Pipeline
	runner  *engine.Runner
	before  map[string]delivery.Counts // by sink, when the run began
	streams map[string]string          // incarnations, by sink
	earlier map[string]SinkReport      // what versions before the present one have done, by sink
	began   time.Time
	took    time.Duration // 0 while it runs
	err     error
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
		m := newMember(p.Name)
		if err := m.adopt(p, ready, &o); err != nil {
			errs = append(errs, err)
		}
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

func newMember(name string) *member {
	return &member{name: name, before: map[string]delivery.Counts{}, streams: map[string]string{}, earlier: map[string]SinkReport{}}
}

// adopt makes a version that is ready the one that runs next. It takes the counts that durable state holds for sinks that are
// new to this run.
func (m *member) adopt(p *spec.Pipeline, ready *engine.Pipeline, o *build.Options) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range ready.Deliveries {
		cfg := &ready.Deliveries[i]
		if m.streams[cfg.Name] == cfg.Source.Incarnation {
			continue
		}
		delete(m.earlier, cfg.Name) // it was of another stream
		id := delivery.ID{Pipeline: p.Name, Sink: cfg.Name, Incarnation: cfg.Source.Incarnation}
		report, err := delivery.Audit(cfg.State, id, cfg.Source.Log.Shards(), cfg.FS, "")
		if err != nil {
			return err
		}
		m.before[cfg.Name], m.streams[cfg.Name] = report.Total, cfg.Source.Incarnation
	}
	m.spec, m.ready, m.dead = p, ready, DeadLetters(p, o.Data.DeadLetters(p.Name))
	m.runner, m.took, m.err = engine.New(*ready, o.Logger), 0, nil
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
	for _, m := range g.list() {
		m.begin()
		wg.Go(func() {
			running := o.Control.Add(m.name)
			m.run(ctx, o, g.metrics, running)
			running.Remove()
		})
	}
	wg.Wait()
	return g.failures()
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
		m.mu.Lock()
		if m.err != nil {
			errs = append(errs, stopped(m.name, m.err))
		}
		m.mu.Unlock()
	}
	if len(errs) == 1 {
		return errs[0] // keeps its hint
	}
	return errors.Join(errs...)
}

func (m *member) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began = time.Now()
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

// run runs the version that was adopted last, until ctx is done or it cannot go on.
func (m *member) run(ctx context.Context, o RunOptions, metrics *observe.Metrics, running *control.Running) {
	defer build.WatchLedgers(metrics, m.name, m.runner)()
	running.Starts(m.ready)
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
		if o.Drain && context.Cause(ctx) != errReplaced {
			_ = m.runner.Drain(own) // it fails only if the pipeline does, and then Run says why
		}
		cancel()
	}()
	err := m.runner.Run(own, o.UntilIdle)
	cancel()
	<-told
	running.Stops(err)
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
	members := g.list()
	out := make([]Report, len(members))
	for i, m := range members {
		out[i] = m.report()
	}
	return out
}

func (m *member) report() Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Report{Pipeline: m.name, File: m.spec.File, DeadLetters: m.dead}
	took := m.took
	if took == 0 && !m.began.IsZero() {
		took = time.Since(m.began)
	}
	if m.err != nil {
		r.Error = m.err.Error()
	}
	r.Seconds = took.Seconds()
	r.Sinks = m.sinks()
	chain := m.ready.Deliveries[0].Chain
	for i, name := range chain.Stages() {
		if shadow := chain.Shadow(i); shadow != nil {
			r.Shadows = append(r.Shadows, ShadowReport{name, shadow.Stats()})
		}
	}
	return r
}

// sinks describes what the sinks have done, those of earlier versions last.
func (m *member) sinks() []SinkReport {
	var out []SinkReport
	present := map[string]bool{}
	for _, s := range m.runner.Stats() {
		earlier := m.earlier[s.Sink]
		sink := SinkReport{
			Sink: s.Sink, Counts: since(s.Counts, m.before[s.Sink]), Objects: s.Objects + earlier.Objects, RawBytes: s.Raw + earlier.RawBytes,
			StoredBytes: s.Stored + earlier.StoredBytes, Retries: s.Retries + earlier.Retries, LastError: s.LastError,
		}
		if s.Counts == (delivery.Counts{}) && earlier.Sink != "" { // its delivery has not started yet
			sink.Counts = earlier.Counts
		}
		if s.Err != nil {
			sink.LastError = s.Err.Error()
		}
		out = append(out, sink)
		present[s.Sink] = true
	}
	for _, name := range slices.Sorted(maps.Keys(m.earlier)) {
		if !present[name] {
			out = append(out, m.earlier[name])
		}
	}
	return out
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
