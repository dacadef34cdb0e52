package lambda

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
)

// stream keeps processes running and gives each one event at a time.
type stream struct {
	program  program
	timeout  time.Duration
	log      *slog.Logger
	failures *fault.Complaints
	count    func(name string, n int64)
	// proven is set once a process has responded in time: such a handler flushes its output.
	proven atomic.Bool
	mu     sync.Mutex
	idle   []*worker
}

// worker is a process that waits for events.
type worker struct {
	process
	out *bufio.Reader
	// answered is how many events it has responded to.
	answered int
}

func (s *stream) ask(ctx context.Context, e *event, use func([]byte) error) error {
	for {
		w, err := s.take(ctx)
		if err == nil && w.answered > 0 && stage.Fresh(ctx) {
			w.kill()
			<-w.done()
			w, err = s.start(ctx)
		}
		if err != nil {
			return err
		}
		veteran := w.answered > 0
		err = s.exchange(ctx, w, e, use)
		keep := err == nil || fault.CodeOf(err) == CodeFunctionError // which is an answer
		if !keep {
			w.kill()
			<-w.done()
		}
		w.stderr().End(err, s.failures.Recent())
		switch {
		case keep:
			s.give(w)
		case veteran && fault.CodeOf(err) == CodeStartFailed:
			// A process that ended while it waited took no event with it, and says nothing about whether the program starts.
			s.again(endedIdle(w))
			continue
		case ctx.Err() == nil || fault.CodeOf(err) == CodeTimeout:
			s.count("restarts", 1)
		}
		if err != nil && veteran {
			return &taint{err}
		}
		return err
	}
}

const flushes = "a handler of mode stream flushes its output after each response, as print(response, flush=True) does in Python"

// exchange sends an event to w and hands its response to use.
func (s *stream) exchange(ctx context.Context, w *worker, e *event, use func([]byte) error) error {
	r := begin(w.process)
	watch := r.watch
	if !s.proven.Load() {
		watch = r.watchUnproven
		early := time.AfterFunc(slow, func() { s.hint(r) })
		defer early.Stop()
	}
	stop := watch(ctx)
	r.send(e.text, false)
	err := w.line(e)
	if !stop() && err == nil { // it is being killed
		if err = context.Cause(ctx); err == error(errTimeout) {
			w.kill()
			<-r.sent
			return fault.New(fault.Unavailable, CodeNotFlushed,
				"the handler responded only when its input was closed, %s after the event, and not before", s.timeout).
				WithHint(flushes + "; raise timeout if it needs longer")
		}
	}
	if err != nil {
		err = r.failure(ctx, err, s.timeout, Stream)
		w.kill()
		<-r.sent
		return err
	}
	early := false
	select {
	case <-r.sent:
		early = r.taken() <= r.before
	case <-time.After(endGrace):
		early = true
		w.kill()
		<-r.sent
	}
	if early {
		return fault.New(fault.Permanent, CodeBadResponse, "the handler printed something before it had read the event: %s", excerpt(e.response)).
			WithHint(onlyResponses)
	}
	w.answered++
	s.proven.Store(true)
	return use(e.response)
}

// slow is how long a handler that has responded to nothing yet takes before the log says what it may be up to. Many that respond in the
// end take longer to start.
const slow = 5 * time.Second

// hint says what a handler that is slow to respond for the first time does, long before the time limit ends it.
func (s *stream) hint(r *run) {
	after, until := slog.Duration("after", slow), slog.Duration("until", s.timeout)
	if r.taken() == r.before {
		s.log.Warn("the lambda handler has not read its first event yet", after, until)
		return
	}
	s.log.Warn("the lambda handler has read its first event, and has not responded yet", after, until, "hint", flushes)
}

// line reads one line into e.response.
func (w *worker) line(e *event) error {
	e.response = e.response[:0]
	for {
		part, err := w.out.ReadSlice('\n')
		e.response = append(e.response, part...)
		if tooLarge(e.response) {
			return errTooLarge
		}
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// take returns a process that waits, a new one if there is none.
func (s *stream) take(ctx context.Context) (*worker, error) {
	for {
		s.mu.Lock()
		n := len(s.idle)
		if n == 0 {
			s.mu.Unlock()
			return s.start(ctx)
		}
		w := s.idle[n-1]
		s.idle[n-1] = nil
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		select {
		case <-w.done():
			s.again(endedIdle(w))
			w.kill()
			continue
		default:
		}
		if w.out.Buffered() == 0 {
			return w, nil
		}
		extra, _ := w.out.Peek(w.out.Buffered())
		s.again(fault.New(fault.Permanent, CodeBadResponse, "it printed something after its response: %s", excerpt(extra)).WithHint(onlyResponses))
		w.kill()
		<-w.done()
	}
}

func endedIdle(w *worker) error {
	how, _ := w.end()
	return fault.New(fault.Unavailable, CodeExited, "it ended with %s while it waited for an event%s", how, said(w))
}

// again notes that a process between two events is given up, and another takes its place.
func (s *stream) again(why error) {
	s.count("restarts", 1)
	s.failures.Log(s.log, slog.LevelWarn, "process", "the lambda handler is started again", why)
}

func (s *stream) start(ctx context.Context) (*worker, error) {
	p, err := s.program.start(ctx)
	if err != nil {
		return nil, err
	}
	return &worker{process: p, out: bufio.NewReaderSize(p, 64<<10)}, nil
}

// give keeps a process for the next event.
func (s *stream) give(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, w)
}

// close ends the input of all processes and kills those that do not end by themselves.
func (s *stream) close(ctx context.Context) error {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, w := range idle {
		w.closeInput()
	}
	grace, cancel := context.WithTimeout(ctx, endGrace)
	defer cancel()
	for _, w := range idle {
		select {
		case <-w.done():
		case <-grace.Done():
		}
		w.kill()
		<-w.done()
	}
	return s.program.close(context.WithoutCancel(ctx))
}
