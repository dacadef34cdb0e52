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
	"github.com/leatstream/leat/transforms/internal/printed"
)

// stream keeps processes running and gives each one event at a time.
type stream struct {
	program program
	timeout time.Duration
	log     *printed.Log
	count   func(name string, n int64)
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
		if err = s.exchange(ctx, w, e, use); err == nil {
			s.give(w)
			return nil
		}
		w.kill()
		<-w.done()
		// A process that ended while it waited took no event with it, and says nothing about whether the program starts.
		if veteran && fault.CodeOf(err) == CodeStartFailed {
			s.abandoned("the handler ended while it waited for an event, and is started again", err.Error())
			continue
		}
		if ctx.Err() == nil || fault.CodeOf(err) == CodeTimeout {
			s.abandoned("the handler is started again", err.Error())
		}
		if veteran {
			return &taint{err}
		}
		return err
	}
}

// exchange sends an event to w and hands its response to use.
func (s *stream) exchange(ctx context.Context, w *worker, e *event, use func([]byte) error) error {
	w.begin()
	r := &run{process: w.process, before: w.taken()}
	watch := r.watch
	if !s.proven.Load() {
		watch = r.watchUnproven
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
				WithHint("a handler of mode stream flushes its output after each response, as print(response, flush=True) does in Python; raise timeout if it needs longer")
		}
	}
	if err != nil {
		err = r.failure(ctx, err, s.timeout, Stream)
		w.kill()
		<-r.sent
		return err
	}
	select {
	case <-r.sent:
	case <-time.After(endGrace):
		w.kill()
		<-r.sent
		return fault.New(fault.Permanent, CodeBadResponse, "the handler responded before it had read the event").
			WithHint("an event is one line")
	}
	w.answered++
	s.proven.Store(true)
	return use(e.response)
}

// line reads one line into e.response.
func (w *worker) line(e *event) error {
	e.response = e.response[:0]
	for {
		part, err := w.out.ReadSlice('\n')
		if len(e.response)+len(part) > MaxPayload {
			return errTooLarge
		}
		e.response = append(e.response, part...)
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
			how, _ := w.end()
			s.abandoned("the handler ended while it waited for an event, and is started again", how+said(w))
			w.kill()
			continue
		default:
		}
		if w.out.Buffered() == 0 {
			return w, nil
		}
		extra, _ := w.out.Peek(w.out.Buffered())
		s.abandoned("the handler printed something after its response, and is started again; standard output is for responses alone, one line each",
			excerpt(extra))
		w.kill()
		<-w.done()
	}
}

// abandoned notes that a process is given up, and another will take its place. It is logged as what the handler says itself: not more often
// than a log can take.
func (s *stream) abandoned(what, why string) {
	s.count("restarts", 1)
	s.log.Write(slog.LevelWarn, "leat", what+": "+why)
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

// settle is how long a first process has to show, by ending, that it cannot work.
const settle = 100 * time.Millisecond

// open starts the first process.
func (s *stream) open(ctx context.Context) error {
	w, err := s.start(ctx)
	if err != nil {
		return err
	}
	select {
	case <-w.done():
		err := (&run{process: w.process}).failure(ctx, nil, s.timeout, Stream)
		w.kill()
		return err
	case <-time.After(settle):
	}
	s.give(w)
	return nil
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
