package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
)

// The pause before a version is tried again that could not run for a passing reason doubles from firstPause to lastPause,
// with full jitter.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
)

// slot is where the pipeline of one name runs, in one version at a time. Its goroutine makes a new version ready, which may take a
// compiler's time, while the version before runs on and other slots go about their business.
type slot struct {
	name string
	opts *Options
	log  *slog.Logger

	changed chan struct{} // has an element once wanted is another

	mu      sync.Mutex
	wanted  *version           // nil: none
	abandon context.CancelFunc // ends what is under way for a version that is wanted no more; nil if nothing is
	alive   bool               // a version runs
	began   time.Time          // when it did
	err     error              // why none runs; or, while one does, why the newest does not
	awaits  string             // the stream without which none runs; empty if it is not that

	// These belong to the slot's goroutine.
	now    *run // runs, or ran last
	made   sources
	health func() // removes the check; nil if there is none
	shown  *control.Running
	// complaints are about tries of one version.
	complaints *fault.Complaints
}

// run is a version that runs, or has run.
type run struct {
	version *version
	digest  string // of all it was made of
	ready   *engine.Pipeline
	stop    context.CancelFunc
	ended   chan struct{}
}

func newSlot(name string, o *Options) *slot {
	return &slot{name: name, opts: o, log: o.Build.Logger.With("pipeline", name), changed: make(chan struct{}, 1)}
}

// want replaces the version that should run; nil stops. What is being made ready is finished first, and then this; only for nil
// it is given up.
func (s *slot) want(v *version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = v
	if v == nil && s.abandon != nil {
		s.abandon()
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *slot) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive && s.err != nil {
		return observe.Degraded(fmt.Errorf("the version of %s runs; the newest does not: %w", s.began.UTC().Format(time.RFC3339), s.err))
	}
	return s.err
}

// runs reports whether a version runs.
func (s *slot) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive
}

// refused says why the newest version does not run, and returns whether another does.
func (s *slot) refused(err error) (alive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails(err)
	return s.alive
}

// fails must be called with mu held.
func (s *slot) fails(err error) {
	if s.err, s.awaits = err, ""; build.StreamDeleted(err) && s.wanted != nil {
		s.awaits = s.wanted.spec.Source.Stream.Name
	}
}

// loop makes what is wanted run until ctx is done.
func (s *slot) loop(ctx context.Context) {
	defer s.halt()
	look := time.NewTicker(s.opts.Poll)
	defer look.Stop()
	var again <-chan time.Time
	for tries := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			tries = 0
		case <-look.C:
			if !s.moved() {
				continue
			}
			tries = 0
		case <-again:
		}
		again = nil
		if pause := s.renew(ctx, tries); pause > 0 {
			again, tries = time.After(pause), tries+1
		}
	}
}

// moved reports, once, that there is a reason to look at the version again although its file is the same.
func (s *slot) moved() bool {
	s.mu.Lock()
	wanted, awaits := s.wanted, s.awaits
	s.mu.Unlock()
	if wanted != nil && awaits != "" {
		if _, err := s.opts.Build.Data.Streams.Get(awaits); err == nil {
			return true
		}
	}
	return s.opts.Watch && s.made.changed()
}

// renew makes the version that is wanted the one that runs, or stops the one that does. After the pause, unless it is 0, the same
// may succeed, which has failed so many times.
func (s *slot) renew(life context.Context, tries int) (pause time.Duration) {
	ctx, cancel := context.WithCancel(life)
	defer cancel()
	s.mu.Lock()
	want := s.wanted
	s.abandon = cancel
	s.mu.Unlock()
	if want == nil {
		s.leave()
		return 0
	}
	if s.health == nil {
		s.health = s.opts.Health.Register("pipeline/"+s.name, s.check)
		s.shown = s.opts.Control.Add(s.name)
	}
	digest := s.made.take(want)
	if s.runs() && digest == s.now.digest {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.alive && s.err != nil {
			s.err = nil
			s.log.Info("the pipeline is back to the version that runs", "file", want.spec.File)
		}
		return 0
	}
	err := s.replace(life, ctx, want, digest)
	if err == nil || ctx.Err() != nil {
		return 0
	}
	about := []slog.Attr{slog.String("file", want.spec.File)}
	if fault.ClassOf(err) != fault.Permanent {
		pause = rand.N(min(firstPause<<min(tries, 20), lastPause)) + time.Millisecond
		about = append(about, slog.Duration("next", pause.Round(time.Millisecond)))
	}
	message := "pipeline failed and rests until its file changes"
	switch alive := s.refused(err); {
	case alive && pause > 0:
		message = "the new version cannot run yet and is tried again; the one before runs on"
	case alive:
		message = "the new version cannot run; the one before runs on"
	case pause > 0:
		message = "pipeline cannot start and tries again"
	}
	if tries == 0 { // what comes of a change is told at once
		s.complaints = new(fault.Complaints)
	}
	s.complaints.Log(s.log, slog.LevelError, message, message, err, about...)
	return pause
}

// replace makes a version ready and lets it take the place of the one that runs, which starts again if the other does not. The version
// lives as long as life.
func (s *slot) replace(life, ctx context.Context, want *version, digest string) error {
	next, err := s.opts.prepare(ctx, want.spec, s.opts.Build)
	if err != nil {
		return err
	}
	if s.opts.Watch && s.now != nil && s.now.digest != digest {
		err = s.opts.test(ctx, want.spec, build.Options{Logger: s.log, Modules: next.Modules()})
	}
	before, alive := s.now, s.runs()
	if err == nil {
		err = s.ask(ctx, next, alive)
	}
	if err != nil {
		return errors.Join(err, next.Close(context.WithoutCancel(ctx)))
	}
	s.halt()
	err = s.start(life, ctx, next, &run{version: want, digest: digest})
	if err == nil || !alive || ctx.Err() != nil {
		return err
	}
	digest = before.version.digest() // of what is there now
	next, back := s.opts.prepare(ctx, before.version.spec, s.opts.Build)
	if back == nil {
		back = s.start(life, ctx, next, &run{version: before.version, digest: digest})
	}
	if back != nil {
		return errors.Join(err, fmt.Errorf("and the version before does not start again: %w", back))
	}
	return err
}

// ask asks the destinations of a version. One that refuses does not keep a pipeline from running that ran in an earlier process: what
// comes into its stream would expire, which nobody else needs.
func (s *slot) ask(ctx context.Context, next prepared, alive bool) error {
	if alive {
		return next.Ask(ctx, s.now.ready)
	}
	err := next.Ask(ctx, nil)
	if err == nil || ctx.Err() != nil || !next.Ran() {
		return err
	}
	s.log.Error("a destination refuses; the pipeline runs and tries again", "class", fault.ClassOf(err), "code", fault.CodeOf(err), "error", err)
	return nil
}

// start ties a version that is ready to its stream and runs it.
func (s *slot) start(life, ctx context.Context, next prepared, r *run) error {
	ready, err := next.Pipeline(ctx)
	if err != nil {
		return err
	}
	ctx, r.stop = context.WithCancel(life)
	r.ready, r.ended = ready, make(chan struct{})
	s.now = r
	runner := engine.New(*ready, s.opts.Build.Logger)
	shown, log := s.shown, s.log.With("file", r.version.spec.File)
	s.mu.Lock()
	s.alive, s.began = true, time.Now()
	s.fails(nil)
	s.mu.Unlock()
	log.Info("pipeline runs")
	go func() {
		defer close(r.ended)
		defer r.stop()
		defer build.WatchLedgers(s.opts.Build.Metrics, s.name, runner)()
		shown.Starts(ready)
		err := runner.Run(ctx, false)
		shown.Stops(err)
		s.stopped(ctx, r, err)
	}()
	return nil
}

// stopped says why a version does not run any more.
func (s *slot) stopped(ctx context.Context, r *run, err error) {
	log := s.log.With("file", r.version.spec.File)
	told := ctx.Err() != nil
	if err == nil && !told {
		err = errors.New("the pipeline ended by itself")
	}
	s.mu.Lock()
	s.alive = false
	s.fails(errors.Join(err, s.err))
	s.mu.Unlock()
	if err == nil {
		log.Info("pipeline stopped")
		return
	}
	log = log.With("class", fault.ClassOf(err), "code", fault.CodeOf(err), "error", err)
	switch {
	case told:
		log.Error("pipeline stopped, but not as it should")
	case build.StreamDeleted(err):
		log.Error("the stream of the pipeline was deleted; it starts again when there is one of that name")
	default:
		log.Error("pipeline failed and rests until its file changes")
	}
}

// halt stops the version that runs, if one does, and waits until it has.
func (s *slot) halt() {
	if s.now == nil {
		return
	}
	s.now.stop()
	<-s.now.ended
	s.refused(nil) // what was wrong with it or with the version after it is past
}

// leave stops the pipeline, and forgets it until it is wanted again.
func (s *slot) leave() {
	s.halt()
	s.refused(nil)
	if s.health != nil {
		s.health()
		s.shown.Remove()
	}
	s.health, s.now, s.made = nil, nil, sources{}
}
