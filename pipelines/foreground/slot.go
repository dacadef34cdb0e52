package foreground

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
)

// slot is where the pipeline of one name runs, in one version at a time. Its goroutine makes new versions ready, while the one before
// runs on.
type slot struct {
	*watch
	name    string
	member  *member
	changed chan struct{} // has an element once wanted is another, or is to be tried again

	mu      sync.Mutex
	wanted  *version           // nil: none
	abandon context.CancelFunc // ends what is under way for a version that is wanted no more; nil if nothing is

	// These belong to the slot's goroutine.
	now   *run // runs, or has failed; nil if none does
	shown *control.Running
	hide  func() // nil while the pipeline is in no file
}

// run is a version that runs, or has failed.
type run struct {
	version *version
	ready   *engine.Pipeline
	effect  string // see effect
	stop    context.CancelCauseFunc
	ended   chan struct{}
}

// errReplaced is why a version stops that gives way to another.
var errReplaced = errors.New("another version takes over")

func newSlot(w *watch, name string) *slot {
	return &slot{watch: w, name: name, member: w.group.member(name), changed: make(chan struct{}, 1)}
}

// want replaces the version that should run; nil stops. What is being made ready is finished first, but for nil. A version that did not
// run is tried again. It reports whether anything comes of that.
func (s *slot) want(v *version) bool {
	well := s.member.well()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case v == nil && s.wanted == nil:
		return false
	case v != nil && s.wanted != nil && v.identity() == s.wanted.identity() && well:
		return false
	case v == nil && s.abandon != nil:
		s.abandon()
	}
	s.wanted = v
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return true
}

// loop makes what is wanted run until the end.
func (s *slot) loop() {
	for {
		select {
		case <-s.changed:
			s.renew()
		case <-s.ctx.Done():
			if s.now != nil {
				<-s.now.ended
			}
			if s.hide != nil {
				s.hide()
			}
			return
		}
	}
}

// runs reports whether a version runs.
func (s *slot) runs() bool {
	if s.now == nil {
		return false
	}
	select {
	case <-s.now.ended:
		return false
	default:
		return true
	}
}

// renew makes the version that is wanted the one that runs, or stops the one that does.
func (s *slot) renew() {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.mu.Lock()
	want := s.wanted
	s.abandon = cancel
	s.mu.Unlock()
	if want == nil {
		s.leave()
		return
	}
	if s.hide == nil {
		s.shown, s.hide = s.member.begin(s.opts.Control)
	}
	if s.runs() && want.identity() == s.now.version.identity() {
		s.back()
		return
	}
	c := s.replace(ctx, want)
	if ctx.Err() != nil || c == nil {
		return
	}
	if c.Pipeline = s.name; c.Err != nil {
		c.Stopped = !s.member.refuse(c.Err)
	}
	s.tell(*c)
}

// back forgets why a newer version did not run.
func (s *slot) back() {
	if s.member.forgive() {
		s.tell(Change{Pipeline: s.name, Back: true})
	}
}

// replace builds and tests a version, and lets it take over. It returns what came of it, nil if nothing changes.
func (s *slot) replace(ctx context.Context, want *version) *Change {
	next, err := build.Prepare(ctx, want.spec, s.opts.Build)
	if err != nil {
		return &Change{Err: err}
	}
	results, err := s.test(ctx, want.spec, next.Modules())
	var running *engine.Pipeline
	if s.runs() {
		running = s.now.ready
	}
	if err == nil {
		err = next.Ask(ctx, running)
	}
	if err != nil {
		return &Change{Tests: results, Err: errors.Join(err, next.Close(context.WithoutCancel(ctx)))}
	}
	if e := effect(want, next.Chain()); s.runs() && e != "" && e == s.now.effect {
		s.now.version = want
		s.back()
		if err := next.Close(context.WithoutCancel(ctx)); err != nil {
			s.opts.Build.Logger.Warn("a version that makes no difference was not closed in order", "pipeline", s.name, "error", err)
		}
		return nil
	}
	began, before, ran := time.Now(), s.now, s.runs()
	s.halt()
	if err = s.adopt(ctx, want, next.Pipeline); err != nil && ran {
		if back := s.goBack(ctx, before.version); back != nil {
			err = errors.Join(err, back)
		}
	}
	c := &Change{Tests: results, Err: err}
	if ran {
		c.Gap = time.Since(began)
	}
	return c
}

// test runs the tests of a version, with transforms of their own of the same modules.
func (s *slot) test(ctx context.Context, of *spec.Pipeline, modules map[string]string) ([]pipetest.Result, error) {
	o := build.Options{Logger: s.opts.Build.Logger, Progress: s.opts.Build.Progress, Modules: modules}
	results, err := pipetest.Run(ctx, of, o, nil)
	var failed []string
	for i := range results {
		if !results[i].Passed() {
			failed = append(failed, results[i].Test)
		}
	}
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("its tests fail: %s", strings.Join(failed, "; "))
	}
	return results, err
}

// effect is the same for versions that do the same: with the same file and the same modules. It is empty if there is more to a version,
// a handler outside of leat or a shadow.
func effect(v *version, c *stage.Chain) string {
	text := v.file
	for i := range v.spec.Transforms {
		if t := &v.spec.Transforms[i]; t.Lambda != nil || t.Shadow != nil {
			return ""
		}
		text += c.Digest(i)
	}
	return text
}

// adopt makes a version ready and starts it.
func (s *slot) adopt(ctx context.Context, v *version, prepare func(context.Context) (*engine.Pipeline, error)) error {
	ready, err := prepare(ctx)
	if err != nil {
		return err
	}
	if err := s.member.adopt(v.spec, ready, &s.opts.Build); err != nil {
		return errors.Join(err, ready.Close(context.WithoutCancel(ctx)))
	}
	s.start(v, ready)
	return nil
}

// goBack starts the version before again, as far as what it was made of is still there.
func (s *slot) goBack(ctx context.Context, v *version) error {
	v = &version{v.spec, v.file, sourcesOf(v.spec)}
	return s.adopt(ctx, v, func(ctx context.Context) (*engine.Pipeline, error) { return build.Pipeline(ctx, v.spec, s.opts.Build) })
}

// start starts the version that the member has adopted.
func (s *slot) start(v *version, ready *engine.Pipeline) {
	ctx, stop := context.WithCancelCause(s.ctx)
	r := &run{version: v, ready: ready, effect: effect(v, ready.Deliveries[0].Chain), stop: stop, ended: make(chan struct{})}
	s.now = r
	shown := s.shown
	go func() {
		defer close(r.ended)
		defer stop(nil)
		s.member.run(ctx, RunOptions{Drain: s.opts.Drain}, shown)
		if err := s.member.down(); err != nil && ctx.Err() == nil {
			s.tell(Change{Pipeline: s.name, Err: stopped(s.name, err), Stopped: true})
		}
	}()
}

// halt stops the version that runs, if one does, puts under way included.
func (s *slot) halt() {
	if s.now == nil {
		return
	}
	s.now.stop(errReplaced)
	<-s.now.ended
	s.now = nil
	s.member.settle()
}

// leave stops a pipeline that is in no file any more.
func (s *slot) leave() {
	if s.hide == nil {
		return // it has come and gone
	}
	s.halt()
	s.member.rest()
	s.hide()
	s.hide = nil
	s.tell(Change{Pipeline: s.name, Removed: true})
}
