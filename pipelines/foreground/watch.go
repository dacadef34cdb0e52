package foreground

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/follow"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
)

// defaultPoll is the time between two looks at files: a change takes effect after two of them, and a build.
const defaultPoll = 200 * time.Millisecond

// WatchOptions says what to follow.
type WatchOptions struct {
	// Files are the pipeline files, or folders of them, and Load reads them anew.
	Files []string
	Load  func() ([]*spec.Pipeline, error)
	// Seen is what the pipelines that run first were made of, by See.
	Seen *Seen
	// Build is what the pipelines were opened with.
	Build build.Options
	// Poll is the time between two looks; 0 is 200 ms.
	Poll time.Duration
	// Drain and Control are those of RunOptions.
	Drain   bool
	Control *control.Server
	// Tell is called with what comes of changes; it may be nil.
	Tell func(Change)
}

// Seen is what pipelines were made of when their files were read.
type Seen struct {
	files   map[string]string // digests of pipeline files, by path
	sources map[string]string // digests of what transforms are made of, by pipeline
}

// See loads pipelines and remembers what they are made of. Digests are taken before what they are of is read, so that a change in
// between shows as one later.
func See(files []string, load func() ([]*spec.Pipeline, error)) ([]*spec.Pipeline, *Seen, error) {
	s := &Seen{files: follow.Files(files...).Digests(), sources: map[string]string{}}
	pipelines, err := load()
	for _, p := range pipelines {
		s.sources[p.Name] = follow.Set{}.With(p).Digest()
	}
	return pipelines, s, err
}

// identity changes with the file of a pipeline, and with what its transforms are made of.
func (s *Seen) identity(p *spec.Pipeline) string { return s.files[p.File] + s.sources[p.Name] }

// Change is what came of a change.
type Change struct {
	// Pipeline is empty if the files as a whole are about it: nothing of them was taken.
	Pipeline string
	// Err is why the version before runs on, or, if Stopped, why none runs. It is nil if the new version runs.
	Err     error
	Stopped bool
	// Removed says that the pipeline is in no file any more, and was stopped.
	Removed bool
	// Tests are the results of the pipeline's tests.
	Tests []pipetest.Result
	// Gap is how long no version ran.
	Gap time.Duration
}

// Watch runs all pipelines until ctx is done and follows their files: what changes is built and tested while the version before
// runs on, and takes its place when it is good. The old version stops as designed, and the new one goes on from what is durable, so
// that no record is lost or delivered twice. A pipeline that cannot go on rests until something changes.
func (g *Group) Watch(ctx context.Context, o WatchOptions) error {
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Tell == nil {
		o.Tell = func(Change) {}
	}
	w := &watch{group: g, opts: &o, ctx: ctx, running: map[string]*running{}}
	w.files.Take(w.set())
	moved := false
	for _, m := range g.list() {
		m.begin()
		w.start(m, o.Seen)
		now := Seen{follow.Files(m.spec.File).Digests(), map[string]string{m.name: follow.Set{}.With(m.spec).Digest()}}
		moved = moved || now.identity(m.spec) != o.Seen.identity(m.spec)
	}
	if moved { // while the first versions were built
		w.reload()
	}
	tick := time.NewTicker(o.Poll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if w.files.Changed(w.set()) {
				w.reload()
			}
		case <-ctx.Done():
			w.live.Wait()
			for _, r := range w.running {
				r.shown.Remove()
			}
			return g.failures()
		}
	}
}

// watch is a run of Watch.
type watch struct {
	group *Group
	opts  *WatchOptions
	ctx   context.Context
	files follow.Watcher
	live  sync.WaitGroup

	running map[string]*running // by pipeline; those that have failed are among them
	telling sync.Mutex
}

// running is a version that runs, or has failed.
type running struct {
	member   *member
	seen     *Seen
	identity string
	effect   string // see effect; empty if unknown
	shown    *control.Running
	stop     context.CancelCauseFunc
	ended    chan struct{}
}

// errReplaced is why a version stops that gives way to another.
var errReplaced = errors.New("another version takes over")

// halt stops the version, puts under way included.
func (r *running) halt() {
	r.stop(errReplaced)
	<-r.ended
	r.member.settle()
}

// failed reports whether the version could not go on.
func (r *running) failed() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// set is all that is looked at.
func (w *watch) set() follow.Set {
	s := follow.Files(w.opts.Files...)
	for _, m := range w.group.list() {
		s = s.With(m.spec)
	}
	return s
}

// effect is the same for versions that do the same: with the same file and the same modules. It is empty if there is more to a version,
// a handler outside of leat or a shadow.
func effect(p *spec.Pipeline, seen *Seen, c *stage.Chain) string {
	text := seen.files[p.File]
	for i := range p.Transforms {
		if t := &p.Transforms[i]; t.Lambda != nil || t.Shadow != nil {
			return ""
		}
		text += c.Digest(i)
	}
	return text
}

// start starts the version that the member has adopted.
func (w *watch) start(m *member, seen *Seen) {
	r := w.running[m.name]
	if r == nil {
		r = &running{member: m, shown: w.opts.Control.Add(m.name)}
		w.running[m.name] = r
	}
	ctx, stop := context.WithCancelCause(w.ctx)
	ended := make(chan struct{})
	r.seen, r.stop, r.ended = seen, stop, ended
	r.identity, r.effect = seen.identity(m.spec), effect(m.spec, seen, m.ready.Deliveries[0].Chain)
	w.live.Go(func() {
		defer close(ended)
		defer stop(nil)
		m.run(ctx, RunOptions{Drain: w.opts.Drain}, w.group.metrics, r.shown)
		if err := m.failure(); err != nil && ctx.Err() == nil {
			w.tell(Change{Pipeline: m.name, Err: stopped(m.name, err), Stopped: true})
		}
	})
}

func (w *watch) tell(c Change) {
	w.telling.Lock()
	defer w.telling.Unlock()
	if w.ctx.Err() == nil { // what fails because it was told to stop is no news
		w.opts.Tell(c)
	}
}

// reload takes what has changed.
func (w *watch) reload() {
	pipelines, seen, err := See(w.opts.Files, w.opts.Load)
	if err != nil {
		w.tell(Change{Err: err})
		return
	}
	named := map[string]bool{}
	for _, p := range pipelines {
		named[p.Name] = true
		if r := w.running[p.Name]; r == nil || r.identity != seen.identity(p) || r.failed() {
			w.renew(p, seen)
		}
	}
	for name, r := range w.running {
		if !named[name] && w.ctx.Err() == nil {
			r.halt()
			r.member.rest(nil)
			r.shown.Remove()
			delete(w.running, name)
			w.tell(Change{Pipeline: name, Removed: true})
		}
	}
}

// errTests says that a version was not taken for its tests.
var errTests = errors.New("its tests fail")

// renew builds and tests a version, and lets it take over.
func (w *watch) renew(p *spec.Pipeline, seen *Seen) {
	next, err := build.Prepare(w.ctx, p, w.opts.Build)
	if err != nil {
		w.tell(Change{Pipeline: p.Name, Err: err})
		return
	}
	results, err := w.test(p)
	if err != nil {
		w.tell(Change{Pipeline: p.Name, Tests: results, Err: errors.Join(err, next.Close(context.WithoutCancel(w.ctx)))})
		return
	}
	before := w.running[p.Name]
	if e := effect(p, seen, next.Chain()); before != nil && !before.failed() && e != "" && e == before.effect {
		before.identity = seen.identity(p)
		if err := next.Close(context.WithoutCancel(w.ctx)); err != nil {
			w.tell(Change{Pipeline: p.Name, Err: err})
		}
		return
	}
	m := w.member(p.Name)
	began := time.Now()
	if before != nil {
		before.halt()
	}
	if err := w.adopt(m, p, next.Pipeline); err != nil {
		c := Change{Pipeline: p.Name, Tests: results, Err: err, Stopped: true}
		if before != nil {
			if back := w.goBack(m, before.seen); back == nil {
				c.Stopped, c.Gap = false, time.Since(began)
			} else if c.Err = errors.Join(err, back); w.ctx.Err() == nil {
				m.rest(c.Err)
			}
		}
		w.tell(c)
		return
	}
	w.start(m, seen)
	w.tell(Change{Pipeline: p.Name, Tests: results, Gap: time.Since(began)})
}

// adopt makes a version ready and the member's next.
func (w *watch) adopt(m *member, p *spec.Pipeline, ready func(context.Context) (*engine.Pipeline, error)) error {
	pipeline, err := ready(w.ctx)
	if err != nil {
		return err
	}
	if err := m.adopt(p, pipeline, &w.opts.Build); err != nil {
		return errors.Join(err, pipeline.Close(context.WithoutCancel(w.ctx)))
	}
	w.group.add(m)
	return nil
}

// goBack starts the version before again, as far as what it was made of is still there.
func (w *watch) goBack(m *member, seen *Seen) error {
	old := m.spec
	err := w.adopt(m, old, func(ctx context.Context) (*engine.Pipeline, error) { return build.Pipeline(ctx, old, w.opts.Build) })
	if err == nil {
		w.start(m, seen)
	}
	return err
}

// test runs the tests of a version, with transforms of their own.
func (w *watch) test(p *spec.Pipeline) ([]pipetest.Result, error) {
	o := build.Options{Logger: w.opts.Build.Logger, Progress: w.opts.Build.Progress}
	results, err := pipetest.Run(w.ctx, p, func(ctx context.Context) (*stage.Chain, error) { return build.Chain(ctx, p, o) }, nil)
	for i := range results {
		if err == nil && !results[i].Passed() {
			err = errTests
		}
	}
	return results, err
}

// member returns the pipeline of a name, which may have run before, or a new one that is not in the group yet.
func (w *watch) member(name string) *member {
	for _, m := range w.group.list() {
		if m.name == name {
			return m
		}
	}
	m := newMember(name)
	m.begin()
	return m
}

// add shows a member in reports.
func (g *Group) add(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.members, m) {
		g.members = append(g.members, m)
	}
}

func (m *member) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// rest says why no version runs; nil if none should.
func (m *member) rest(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// settle adds what the version that has ended did to what was done before it.
func (m *member) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sinks() {
		m.earlier[s.Sink] = s
	}
}
