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
	"github.com/leatstream/leat/pipelines/spec"
)

// The pause before a pipeline is built again that could not be for a passing reason doubles from firstPause to lastPause,
// with full jitter.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
)

// state is what a pipeline does.
type state int

const (
	starting state = iota
	running
	waiting // it cannot run for a reason that may pass, and tries again
	failed  // it rests until its file changes
)

// slot is where the pipeline of one name runs, in one version at a time.
type slot struct {
	name string
	opts *Options
	log  *slog.Logger

	mu      sync.Mutex
	wanted  *spec.Pipeline // nil: none
	changed chan struct{}  // closed and replaced when wanted changes
	health  func()         // removes the check
	running *control.Running
	state   state
	err     error // why it does not run; or, while it runs, why its newest version does not
}

func newSlot(name string, o *Options) *slot {
	return &slot{name: name, opts: o, log: o.Build.Logger.With("pipeline", name), changed: make(chan struct{})}
}

// want replaces the version that should run; nil stops.
func (s *slot) want(p *spec.Pipeline) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p != nil && s.health == nil:
		s.health = s.opts.Health.Register("pipeline/"+s.name, s.check)
		s.running = s.opts.Control.Add(s.name)
	case p == nil && s.health != nil:
		s.health()
		s.running.Remove()
		s.health = nil
	}
	s.wanted = p
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *slot) current() (want *spec.Pipeline, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted, s.changed
}

func (s *slot) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case starting, running: // the version before, if there is an error
		return observe.Degraded(s.err)
	}
	return s.err
}

func (s *slot) set(state state, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.err = state, err
}

// loop runs the wanted version, and the next one when that has stopped, until ctx is done.
func (s *slot) loop(ctx context.Context) {
	var good *spec.Pipeline // ran last
	for ctx.Err() == nil {
		want, changed := s.current()
		if want == nil {
			good = nil
		} else {
			ran, err := s.version(ctx, changed, want, nil)
			if ran {
				good = want
			} else if err != nil && good != nil {
				s.log.Error("the new version cannot be built; the one before it runs again", "file", want.File, "error", err)
				_, err = s.version(ctx, changed, good, err)
			}
			if build.StreamDeleted(err) {
				s.set(waiting, err)
				s.log.Error("the stream of the pipeline was deleted; it starts again when there is one of that name", "stream", want.Source.Stream.Name)
				if s.awaitStream(ctx, changed, want.Source.Stream.Name) {
					continue
				}
			} else if err != nil {
				s.set(failed, err)
				s.log.Error("pipeline failed and rests until its file changes", "file", want.File, "class", fault.ClassOf(err),
					"code", fault.CodeOf(err), "error", err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// awaitStream waits until there is a stream of a name; it is false if the slot's version changes or ctx is done before.
func (s *slot) awaitStream(ctx context.Context, changed <-chan struct{}, name string) bool {
	tick := time.NewTicker(s.opts.Poll)
	defer tick.Stop()
	for {
		if _, err := s.opts.Build.Data.Streams.Get(name); err == nil {
			return true
		}
		select {
		case <-tick.C:
		case <-changed:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// version builds and runs one version until it fails, ctx is done or the slot's version changes. problem is why a newer
// version does not run. ran is false if it could not be built.
func (s *slot) version(ctx context.Context, changed <-chan struct{}, p *spec.Pipeline, problem error) (ran bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	s.mu.Lock()
	shown := s.running
	s.mu.Unlock()
	s.set(starting, problem)
	ready, err := s.build(ctx, p)
	if ctx.Err() != nil && err != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	runner := engine.New(*ready, s.opts.Build.Logger)
	if problem != nil {
		problem = fmt.Errorf("the version before runs, for the newest cannot be built: %w", problem)
	}
	s.set(running, problem)
	s.log.Info("pipeline runs", "file", p.File)
	defer build.WatchLedgers(s.opts.Build.Metrics, s.name, runner)()
	shown.Starts(ready)
	err = runner.Run(ctx, false)
	shown.Stops(err)
	if err == nil {
		s.log.Info("pipeline stopped", "file", p.File)
		if ctx.Err() == nil {
			err = errors.New("the pipeline ended by itself")
		}
	}
	return true, err
}

// build builds a version, and tries again while the reason for a failure may pass.
func (s *slot) build(ctx context.Context, p *spec.Pipeline) (*engine.Pipeline, error) {
	for try := 0; ; try++ {
		ready, err := s.opts.build(ctx, p, s.opts.Build)
		if err == nil || fault.ClassOf(err) == fault.Permanent || ctx.Err() != nil {
			return ready, err
		}
		s.set(waiting, err)
		pause := rand.N(min(firstPause<<min(try, 20), lastPause)) + time.Millisecond
		s.log.Error("pipeline cannot start and tries again", "file", p.File, "class", fault.ClassOf(err), "error", err,
			"next", pause.Round(time.Millisecond))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
