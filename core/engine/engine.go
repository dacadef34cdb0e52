// Package engine runs a pipeline that is ready: feeders that bring records into a stream, and deliveries that carry them
// to sinks. It knows neither files nor configurations; whoever builds a [Pipeline] does.
//
// A delivery that fails is made anew from durable state after a pause, for as long as its error is not permanent: that is
// the only recovery there is, and the one that a crash of the process gets too. Another version of a pipeline takes over
// by the same way: the old runner is stopped, the new one started. Buffers that were open begin anew, so a process that
// crashes again and again, before they are full or as old as their interval, makes no progress in delivery; the log holds
// everything meanwhile.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

// The pause before a failed delivery is made anew doubles from firstPause to lastPause, with full jitter. What fails a
// delivery as a whole is this machine (most often a full disk), so it is tried about as soon as the log is after that:
// trying costs no other party anything.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Feeder brings records into the pipeline's stream. Run returns nil when its source is exhausted, [Incomplete] when it is
// but for a part that cannot be read, and nil soon after ctx is done. Any other error says that nothing more can be fed.
type Feeder interface {
	Run(ctx context.Context) error
}

// Incomplete says what a feeder could not read, which is no reason to hold back what it, or another one, could.
type Incomplete struct{ Err error }

func (e Incomplete) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e Incomplete) Unwrap() error { return e.Err }

// Pipeline is a graph that is ready to run.
type Pipeline struct {
	Name       string
	Feeders    []Feeder
	Deliveries []delivery.Config
	// Close frees what the deliveries use (chains, sinks) after the last has ended; nil: nothing.
	Close func(ctx context.Context) error
}

// Runner runs one pipeline once.
type Runner struct {
	pipeline Pipeline
	log      *slog.Logger
	lanes    []*lane
	feed     context.CancelFunc // stops the feeders
	feeding  sync.WaitGroup
	started  chan struct{}
	ended    chan struct{} // closed when Run returns
}

// lane is one supervised delivery.
type lane struct {
	cfg delivery.Config

	mu      sync.Mutex
	current *delivery.Delivery
	changed chan struct{}  // closed and replaced when current changes
	earlier delivery.Stats // totals of the deliveries before current
	err     error          // why current is missing
}

// New returns a runner. It owns the pipeline from then on: Run closes it.
func New(p Pipeline, logger *slog.Logger) *Runner {
	r := &Runner{pipeline: p, log: logger.With("pipeline", p.Name), started: make(chan struct{}), ended: make(chan struct{})}
	for _, cfg := range p.Deliveries {
		r.lanes = append(r.lanes, &lane{cfg: cfg, changed: make(chan struct{})})
	}
	return r
}

// Run runs the pipeline until ctx is done, and then returns nil when puts under way have ended. With untilIdle it also
// ends when the feeders are exhausted and everything is delivered. An error is permanent: a feeder or a delivery cannot
// go on until somebody changes something; only [Incomplete] waits until the rest is delivered.
func (r *Runner) Run(ctx context.Context, untilIdle bool) error {
	defer close(r.ended)
	run, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var feed context.Context
	feed, r.feed = context.WithCancel(run)
	var delivering sync.WaitGroup
	for _, l := range r.lanes {
		delivering.Go(func() {
			if err := r.supervise(run, l); err != nil {
				stop(err)
			}
		})
	}
	unread := make([]error, len(r.pipeline.Feeders))
	for i, f := range r.pipeline.Feeders {
		r.feeding.Go(func() {
			switch err := f.Run(feed); {
			case err == nil:
			case errors.As(err, new(Incomplete)):
				unread[i] = err
			case feed.Err() == nil:
				stop(err)
			case !errors.Is(err, context.Canceled):
				r.log.Warn("feeder failed while it was stopped", "error", err)
			}
		})
	}
	close(r.started)
	if untilIdle {
		r.feeding.Wait()
		if run.Err() == nil {
			if err := r.drain(run); err == nil {
				stop(nil)
			}
		}
	}
	<-run.Done()
	r.feed()
	r.feeding.Wait()
	delivering.Wait()
	err := context.Cause(run)
	if err == context.Canceled || ctx.Err() != nil && err == context.Cause(ctx) { // told to stop, or idle
		err = nil
	}
	err = errors.Join(append(unread, err)...)
	if r.pipeline.Close != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, r.pipeline.Close(cleanup))
	}
	return err
}

// Drain stops the feeders and returns when everything that the stream holds is delivered, whatever the buffers' size and
// age. The pipeline keeps running until Run's context is done. Drain fails when ctx is done before, or Run has returned.
func (r *Runner) Drain(ctx context.Context) error {
	select {
	case <-r.started:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.feed()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		r.feeding.Wait() // Run waits for them too
	}()
	select {
	case <-fed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.drain(ctx)
}

func (r *Runner) drain(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	errs := make([]error, len(r.lanes))
	for i, l := range r.lanes {
		wg.Go(func() { errs[i] = l.drain(ctx) })
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		wg.Wait()
	}()
	select {
	case <-drained:
	case <-r.ended:
		cancel(errEnded)
		<-drained
	}
	return errors.Join(errs...)
}

// errEnded says that a pipeline was drained which had ended.
var errEnded = errors.New("the pipeline has ended")

// supervise keeps a delivery running.
func (r *Runner) supervise(ctx context.Context, l *lane) error {
	for try := 0; ; try++ {
		began := time.Now()
		d, err := delivery.New(ctx, l.cfg)
		if err == nil {
			l.set(d, nil)
			err = d.Run(ctx)
		}
		l.set(nil, err)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				r.log.Warn("delivery failed while it was stopped; the next run goes on", "sink", l.cfg.Name, "error", err)
			}
			return nil
		}
		if fault.ClassOf(err) == fault.Permanent {
			return err
		}
		if time.Since(began) > lastPause {
			try = 0
		}
		pause := rand.N(min(firstPause<<min(try, 20), lastPause)) + time.Millisecond
		r.log.Error("delivery failed and starts again", "sink", l.cfg.Name, "class", fault.ClassOf(err), "error", err,
			"next", pause.Round(time.Millisecond))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *lane) set(d *delivery.Delivery, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil && d == nil {
		last := l.current.Stats()
		l.earlier.Objects += last.Objects
		l.earlier.Raw += last.Raw
		l.earlier.Stored += last.Stored
		l.earlier.Retries += last.Retries
		l.earlier.Counts = last.Counts
	}
	l.current, l.err = d, err
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *lane) get() (*delivery.Delivery, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.changed
}

// drain drains the lane's delivery, and the next one if that fails in between.
func (l *lane) drain(ctx context.Context) error {
	for {
		d, changed := l.get()
		if d != nil && d.Drain(ctx) == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// SinkStats is what one sink of the pipeline has done.
type SinkStats struct {
	Sink string
	delivery.Stats
	// Err is why the sink's delivery is not running at the moment; nil if it is.
	Err error
}

// Stats describes all sinks.
func (r *Runner) Stats() []SinkStats {
	out := make([]SinkStats, len(r.lanes))
	for i, l := range r.lanes {
		out[i] = l.stats()
	}
	return out
}

func (l *lane) stats() SinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := SinkStats{Sink: l.cfg.Name, Stats: l.earlier, Err: l.err}
	if l.current != nil {
		now := l.current.Stats()
		now.Objects += l.earlier.Objects
		now.Raw += l.earlier.Raw
		now.Stored += l.earlier.Stored
		now.Retries += l.earlier.Retries
		s.Stats = now
	}
	return s
}
