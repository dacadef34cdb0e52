// Package lambda runs handlers that are written for the data transformation of Amazon Data Firehose: functions that take an
// event with records and return each of them as Ok, Dropped or ProcessingFailed.
//
// A handler is a program, native or WASI, that gets events at its standard input and writes responses to its standard output, or
// an endpoint that takes events by POST, such as Lambda's runtime interface emulator. The event and the response are the JSON that
// Firehose and a Lambda function exchange, so a handler runs as it is, with a main of ten lines around it:
// transforms/examples has them in Go, Python and JavaScript.
//
// Every rule of the contract is checked. What breaks one for a record fails that record alone; what makes a response useless as
// a whole is an error, and the chain then finds the records that cause it. A handler that cannot be asked at all (it does not
// start, its endpoint is down) blames no record: they wait, or fail if the pipeline says so.
package lambda

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

// Transform is a transform that asks a handler.
type Transform struct {
	cfg      Config
	env      Env
	events   *writer
	handler  handler
	digest   string
	slots    chan struct{} // one element for each event under way
	memory   sync.Pool     // of *event
	failures fault.Complaints
}

// handler is a way to ask for responses.
type handler interface {
	// ask sends an event and calls use with the response, which is valid during the call. Its error is that of use, or says why there
	// is no response: permanent if the event may be the cause.
	ask(ctx context.Context, e *event, use func(response []byte) error) error
	close(ctx context.Context) error
}

var _ stage.Transform = (*Transform)(nil)

// Open makes the transform ready; a program is tried with an event without records. Errors are [*fault.Error] with one of this
// package's codes and, if they are about a setting, its place.
func (c *Config) Open(ctx context.Context, env Env) (*Transform, error) {
	t := &Transform{cfg: *c, env: env}
	if err := t.cfg.check(&t.env); err != nil {
		return nil, err
	}
	t.events = newWriter(&t.env)
	t.slots = make(chan struct{}, t.cfg.Workers)
	t.memory.New = func() any { return new(event) }
	var err error
	switch {
	case t.cfg.URL != "":
		t.handler, err = newEndpoint(&t.cfg)
	case t.cfg.WASI != "":
		t.handler, err = t.openWASI(ctx)
	default:
		t.handler, err = t.openCommand(ctx)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Digest names a WebAssembly program by its bytes, sha256:HEX; empty for any other handler, of which leat sees no bytes.
func (t *Transform) Digest() string { return t.digest }

// Close ends the handler's processes or connections. Apply must have returned.
func (t *Transform) Close(ctx context.Context) error { return t.handler.close(ctx) }

// Apply asks the handler about the batch, in as many events as the limits ask for. See [stage.Transform] for its errors.
func (t *Transform) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	e := t.memory.Get().(*event)
	defer t.memory.Put(e)
	for lo := 0; lo < len(in.Records) && (lo == 0 || !out.Full()); {
		n := t.events.write(e, in.Records[lo:], int(t.cfg.Buffer))
		if n == 0 {
			out.Results = append(out.Results, failed(CodeRecordTooLarge, "the record makes an event larger than the 6 MiB that a handler takes"))
			lo++
			continue
		}
		recs := in.Records[lo : lo+n]
		err := t.ask(ctx, e, func(response []byte) error { return e.decode(response, recs, lo, out) }, n)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case unavailable(err) && t.cfg.WhenUnavailable == Fail:
			res := failed(fault.CodeOf(err), err.Error())
			res.Class = fault.ClassOf(err)
			out.Results = append(out.Results, slices.Repeat([]stage.Result{res}, n)...)
		default:
			return &eventError{err, lo, errors.As(err, new(*taint))}
		}
		lo += n
	}
	return nil
}

// eventError is the error of one of a batch's events.
type eventError struct {
	cause   error
	done    int
	tainted bool
}

func (e *eventError) Error() string { return e.cause.Error() }
func (e *eventError) Done() int     { return e.done }
func (e *eventError) Tainted() bool { return e.tainted }
func (e *eventError) Dear() bool    { return fault.CodeOf(e.cause) == CodeTimeout }
func (e *eventError) Unwrap() error { return e.cause }

// taint is an error of a process that has handled other events before.
type taint struct{ cause error }

func (t *taint) Error() string { return t.cause.Error() }
func (t *taint) Unwrap() error { return t.cause }

// Pauses between tries: half of a bound that doubles, and up to as much again.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 30 * time.Second
)

// asking is what fails if the handler cannot be asked, in the log.
const asking = "asking"

// ask asks until there is a response, as far as trying again may help.
func (t *Transform) ask(ctx context.Context, e *event, use func([]byte) error, records int) error {
	for try := 0; ; try++ {
		err := t.attempt(ctx, e, use)
		switch {
		case err == nil:
			t.failures.Over(t.env.Logger, asking, "the lambda handler can be asked again")
			return nil
		case ctx.Err() != nil:
			return err
		case !unavailable(err):
			t.failures.Log(t.env.Logger, slog.LevelWarn, "event", "the lambda handler failed an event", err, slog.Int("records", records))
			// A lone record is asked about once more: its handler may have been killed for a reason that has nothing to do with it.
			// Many records are asked about in smaller events in any case.
			if again := records == 1 && try == 0 && t.cfg.Retries > 0 && !stage.Fresh(ctx) && fault.CodeOf(err) != CodeTimeout; !again {
				return err
			}
			continue
		case try >= t.cfg.Retries && t.cfg.WhenUnavailable == Fail:
			t.failures.Log(t.env.Logger, slog.LevelWarn, asking, "the lambda handler cannot be asked; its records fail", err, slog.Int("records", records))
			return err
		case try >= t.cfg.Retries:
			return err
		}
		t.env.Count("retries", 1)
		pause := backOff(try)
		if l, ok := errors.AsType[*later](err); ok {
			pause = max(pause, l.after)
		}
		t.failures.Log(t.env.Logger, slog.LevelWarn, asking, "the lambda handler cannot be asked; it is tried again", err,
			slog.Int("tries", try+1), slog.Duration("next", pause.Round(time.Millisecond)))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// attempt asks once, within the time limit. Waiting for others does not count.
func (t *Transform) attempt(ctx context.Context, e *event, use func([]byte) error) error {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, t.cfg.Timeout.Std(), errTimeout)
	defer cancel()
	return t.handler.ask(limited, e, use)
}

// errTimeout is the cause of a context that ended because the handler took too long.
var errTimeout = fault.New(fault.Permanent, CodeTimeout, "the handler took too long")

func backOff(try int) time.Duration {
	bound := min(firstPause<<min(try, 20), maxPause)
	return bound/2 + rand.N(bound/2+1)
}
