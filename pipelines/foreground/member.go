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
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/spec"
)

// member is one pipeline of a group, in one version at a time.
type member struct {
	name  string
	group *Group

	mu      sync.Mutex
	spec    *spec.Pipeline
	dead    string
	ready   *engine.Pipeline // nil if no version was ever ready
	runner  *engine.Runner   // nil if what it has done is in earlier
	running bool
	since   time.Time                  // when it began to
	before  map[string]delivery.Counts // by sink, when the run began
	streams map[string]string          // incarnations, by sink
	earlier map[string]SinkReport      // what versions before the present one have done, by sink
	began   time.Time
	took    time.Duration // 0 while it runs
	err     error         // why the version that ran last could not go on
	problem error         // why the newest one does not run
}

// member returns the pipeline of a name, which may have run before.
func (g *Group) member(name string) *member {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		if m.name == name {
			return m
		}
	}
	m := &member{
		name: name, group: g, before: map[string]delivery.Counts{}, streams: map[string]string{}, earlier: map[string]SinkReport{},
	}
	g.members = append(g.members, m)
	return m
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
	m.runner, m.running, m.since, m.took, m.err, m.problem = engine.New(*ready, o.Logger), true, time.Now(), 0, nil, nil
	return nil
}

// begin begins the time of the pipeline and shows it where others look, until hide is called.
func (m *member) begin(c *control.Server) (shown *control.Running, hide func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.began.IsZero() {
		m.began = time.Now()
	}
	remove := func() {}
	if m.group.opts.Health != nil {
		remove = m.group.opts.Health.Register("pipeline/"+m.name, m.check)
	}
	shown = c.Add(m.name)
	return shown, func() {
		remove()
		shown.Remove()
	}
}

// check is the pipeline's in /healthz.
func (m *member) check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running && m.problem != nil {
		return observe.Degraded(fmt.Errorf("the version of %s runs; the newest does not: %w", m.since.UTC().Format(time.RFC3339), m.problem))
	}
	return m.why()
}

// down is why no version runs; nil if one does, or none should.
func (m *member) down() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.why()
}

// why is down; mu is held.
func (m *member) why() error {
	switch {
	case m.running || m.problem == nil:
		return m.err
	case m.err == nil:
		return m.problem
	}
	return errors.Join(m.err, m.problem)
}

// run runs the version that was adopted last, until ctx is done or it cannot go on.
func (m *member) run(ctx context.Context, o RunOptions, shown *control.Running) {
	defer build.WatchLedgers(m.group.opts.Metrics, m.name, m.runner)()
	shown.Starts(m.ready)
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
	shown.Stops(err)
	m.mu.Lock()
	m.running, m.took, m.err = err == nil, time.Since(m.began), err
	m.mu.Unlock()
}

// report describes the pipeline; ok is false if it has never run and nothing keeps it from that.
func (m *member) report() (r Report, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r = Report{Pipeline: m.name, DeadLetters: m.dead, Sinks: []SinkReport{}}
	took := m.took
	if took == 0 && !m.began.IsZero() {
		took = time.Since(m.began)
	}
	if err := m.why(); err != nil {
		r.Error = err.Error()
	}
	if m.problem != nil {
		r.NewerError = m.problem.Error()
	}
	r.Seconds = took.Seconds()
	if m.ready == nil {
		return r, m.problem != nil
	}
	r.File, r.Sinks = m.spec.File, m.sinks()
	chain := m.ready.Deliveries[0].Chain
	for i, name := range chain.Stages() {
		if shadow := chain.Shadow(i); shadow != nil {
			r.Shadows = append(r.Shadows, ShadowReport{name, shadow.Stats()})
		}
	}
	return r, true
}

// well reports whether the newest version runs.
func (m *member) well() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.why() == nil && m.problem == nil
}

// refuse says why the newest version does not run, until another does, or it is taken back. It returns whether another runs.
func (m *member) refuse(err error) (runs bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problem = err
	return m.running
}

// forgive takes back what refuse has said, and reports whether that was anything.
func (m *member) forgive() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	refused := m.problem != nil
	m.problem = nil
	return refused
}

// rest says that no version runs, and none should.
func (m *member) rest() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.problem = nil, nil
}

// settle adds what the version that has ended did to what was done before it.
func (m *member) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sinks() {
		m.earlier[s.Sink] = s
	}
	m.runner, m.running = nil, false
}

// sinks describes what the sinks have done, those of earlier versions last.
func (m *member) sinks() []SinkReport {
	var out []SinkReport
	present := map[string]bool{}
	var stats []engine.SinkStats
	if m.runner != nil {
		stats = m.runner.Stats()
	}
	for _, s := range stats {
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
