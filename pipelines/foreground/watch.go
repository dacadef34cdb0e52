package foreground

import (
	"context"
	"sync"
	"time"

	"github.com/leatstream/leat/core/observe"
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
	files    map[string]string // digests of pipeline files, by path
	versions map[string]*version
	// What is looked at for changes since.
	names   []string
	sources follow.Set
	changes [2]follow.Watcher // of the files, and of the sources
}

// version is a version of a pipeline.
type version struct {
	spec    *spec.Pipeline
	file    string // digest of the pipeline file
	sources string // digest of what the transforms are made of
}

func (v *version) identity() string { return v.file + v.sources }

func sourcesOf(p *spec.Pipeline) string { return follow.Set{}.With(p).Digest() }

// See loads pipelines and remembers what they are made of. Digests are taken before what they are of is read, so that a change in
// between shows as one later.
func See(files []string, load func() ([]*spec.Pipeline, error)) ([]*spec.Pipeline, *Seen, error) {
	s := &Seen{names: files, versions: map[string]*version{}}
	s.changes[0].Take(follow.Files(files...))
	s.files = follow.Files(files...).Digests()
	pipelines, err := load()
	for _, p := range pipelines {
		s.sources = s.sources.With(p)
	}
	s.changes[1].Take(s.sources)
	for _, p := range pipelines {
		s.versions[p.Name] = &version{p, s.files[p.File], sourcesOf(p)}
	}
	return pipelines, s, err
}

// changed reports, once, that something is not as it was seen, and was like that at the look before.
func (s *Seen) changed() bool {
	files := s.changes[0].Changed(follow.Files(s.names...))
	return s.changes[1].Changed(s.sources) || files
}

// Change is what came of a change.
type Change struct {
	// Pipeline is empty if the files as a whole are about it.
	Pipeline string
	// Err is why the version before runs on, or, if Stopped, why none runs. It is nil if the new version runs.
	Err     error
	Stopped bool
	// Removed says that the pipeline is in no file any more, and was stopped.
	Removed bool
	// Back says that a change that was not taken is undone: the newest version is the one that runs.
	Back bool
	// Tests are the results of the pipeline's tests.
	Tests []pipetest.Result
	// Gap is how long no version ran; 0 if none ran before.
	Gap time.Duration
}

// Watch runs all pipelines until ctx is done and follows their files: what changes is built and tested while the version before
// runs on, and takes its place when it is good. The old version stops as designed, and the new one goes on from what is durable, so
// that no record is lost or delivered twice. A pipeline that cannot go on rests until something changes. One that takes long to build
// holds up no other; what changes meanwhile is built once more afterwards.
func (g *Group) Watch(ctx context.Context, o WatchOptions) error {
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Tell == nil {
		o.Tell = func(Change) {}
	}
	w := &watch{group: g, opts: &o, ctx: ctx, seen: o.Seen, slots: map[string]*slot{}}
	defer g.followLoad()()
	if g.opts.Health != nil {
		defer g.opts.Health.Register("files", func() error {
			g.mu.Lock()
			defer g.mu.Unlock()
			return observe.Degraded(g.problem)
		})()
	}
	for _, m := range g.list() {
		first := newSlot(w, m.name)
		first.shown, first.hide = m.begin(o.Control)
		first.wanted = o.Seen.versions[m.name]
		first.start(first.wanted, m.ready)
		w.slots[m.name] = first
		w.live.Go(first.loop)
	}
	tick := time.NewTicker(o.Poll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if w.seen.changed() {
				w.reload()
			}
		case <-ctx.Done():
			w.live.Wait()
			return g.failures()
		}
	}
}

// watch is a run of Watch.
type watch struct {
	group *Group
	opts  *WatchOptions
	ctx   context.Context

	seen  *Seen
	slots map[string]*slot // by pipeline; one stays for the whole run, so that a pipeline that comes back never runs twice at a time
	live  sync.WaitGroup

	telling sync.Mutex
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
	_, seen, err := See(w.opts.Files, w.opts.Load)
	w.group.mu.Lock()
	before := w.group.problem
	w.group.problem = err
	w.group.mu.Unlock()
	if err != nil {
		w.tell(Change{Err: err})
		return
	}
	w.seen = seen
	news := false
	for name, v := range seen.versions {
		s := w.slots[name]
		if s == nil {
			s = newSlot(w, name)
			w.slots[name] = s
			w.live.Go(s.loop)
		}
		news = s.want(v) || news
	}
	for name, s := range w.slots {
		if seen.versions[name] == nil {
			news = s.want(nil) || news
		}
	}
	if before != nil && !news {
		w.tell(Change{Back: true})
	}
}
