package lambda

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/internal/printed"
)

// program is a handler that can be run, native or WASI.
type program interface {
	// start runs it. The process lives until it ends or is killed; ctx is about the start alone.
	start(ctx context.Context) (process, error)
	// close frees what processes share. All of them have ended.
	close(ctx context.Context) error
}

// process is a program that runs. One goroutine may write to it while another reads from it; all else is safe for concurrent use.
type process interface {
	// Write writes to its standard input, and Read reads its standard output. Both end, with an error, when it does.
	io.ReadWriter
	// closeInput ends its standard input.
	closeInput()
	// taken is how many bytes of its input it has taken so far. It is exact while nobody writes and before kill.
	taken() int64
	// stderr is what it writes to standard error. All of it is there once the process is done.
	stderr() *printed.Stream
	// kill ends it and all that it has started, and frees what leat holds of it. It may be called again, and is called in any case.
	kill()
	// done is closed once it has ended; end then says how, such as "exit status 1".
	done() <-chan struct{}
	end() (how string, success bool)
}

// endGrace is how long a process has to end after it has closed its output, or after leat has closed its input.
const endGrace = 2 * time.Second

// errTooLarge says that a response passed MaxPayload.
var errTooLarge = fault.New(fault.Permanent, CodeResponseTooLarge, "the handler's response is larger than 6 MiB")

// run is one process at work on one event.
type run struct {
	process
	before int64         // bytes of input that it had taken before the event
	sent   chan struct{} // closed when the event is written, or cannot be
}

// begin makes a run of a process that waits for an event. Whoever calls it also ends what stderr has begun.
func begin(p process) *run {
	p.stderr().Begin()
	return &run{process: p, before: p.taken()}
}

// watch kills the process when ctx ends, until stop is called.
func (r *run) watch(ctx context.Context) (stop func() bool) { return context.AfterFunc(ctx, r.kill) }

// flushGrace is how long a process that has responded to nothing yet has to respond after its input is closed.
const flushGrace = 2 * time.Second

// watchUnproven is watch for a process that may not flush its output: when the time is up, its input is closed before it is killed. A
// response that comes then was waiting in its memory, which is a fault of the handler and of no record.
func (r *run) watchUnproven(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		if context.Cause(ctx) == error(errTimeout) {
			r.closeInput()
			select {
			case <-r.done():
				time.Sleep(50 * time.Millisecond) // what it wrote last may still be on its way
			case <-time.After(flushGrace):
			}
		}
		r.kill()
	})
}

// failure says why there is no response: err is what reading came to.
func (r *run) failure(ctx context.Context, err error, timeout time.Duration, mode string) error {
	if errors.Is(err, errTooLarge) {
		return errTooLarge
	}
	select {
	case <-r.done():
	case <-time.After(endGrace): // it has closed its output and goes on
		r.kill()
		<-r.done()
	}
	if ctx.Err() != nil {
		if context.Cause(ctx) != error(errTimeout) {
			return context.Cause(ctx)
		}
		e := fault.New(fault.Permanent, CodeTimeout, "the handler did not respond within %s and was killed%s", timeout, said(r))
		if mode == Stream {
			return e.WithHint(flushes + "; raise timeout if it needs longer")
		}
		return e.WithHint("a handler of mode once ends after its response; raise timeout if it needs longer")
	}
	<-r.sent
	how, success := r.end()
	if r.taken() == r.before {
		return fault.New(fault.Unavailable, CodeStartFailed, "the handler ended with %s before it read an event%s", how, said(r)).
			WithHint("run it by hand to see why; it should wait for an event at its standard input")
	}
	e := fault.New(fault.Permanent, CodeExited, "the handler ended with %s before it had responded%s", how, said(r))
	if success && mode == Stream {
		return e.WithHint("a handler of mode stream goes on after its response; use mode: once for one that ends")
	}
	return e
}

// maxSaid bounds what a message repeats of standard error, in bytes: with it, the message fits into the reason of a dead letter.
const maxSaid = 900

// said is what the process wrote to standard error, for the end of a message.
func said(p process) string {
	if text := p.stderr().Text(maxSaid); text != "" {
		return ": " + text
	}
	return ""
}

// send writes the event, concurrently with reading the response: a process need not read all of an event before it writes.
func (r *run) send(event []byte, end bool) {
	r.sent = make(chan struct{})
	go func() {
		defer close(r.sent)
		_, _ = r.Write(event) // an error means that the process has ended or does not read, which reading shows
		if end {
			r.closeInput()
		}
	}()
}
