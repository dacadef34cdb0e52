package builtin

import (
	"context"
	"fmt"
	"sync"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

// each is a transform that looks at one record at a time. The function calls exactly one of the writer's keep, drop and
// fail, or data or emit any number of times; calling nothing drops the record. It is called concurrently, each call with a
// writer of its own.
type each func(r *record.Record, w *writer)

// writer takes what becomes of one record.
type writer struct {
	// scratch is memory to build an output in; data and emit copy it. Whoever grows it puts it back.
	scratch []byte
	// ctx is that of the call.
	ctx context.Context

	out    *stage.Output
	parent int
	first  int
	size   int // of the record's outputs
	result stage.Result
	said   bool
	err    error
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// keepScratch is the largest memory of one kind, in bytes, that is kept from record to record: that of a rare large one goes.
const keepScratch = 1 << 20

// reuse returns memory to append to, without what is in it.
func reuse(b []byte) []byte {
	if cap(b) > keepScratch {
		return nil
	}
	return b[:0]
}

// Apply implements stage.Transform.
func (fn each) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	w := writers.Get().(*writer)
	w.ctx, w.out, w.err = ctx, out, nil
	for i := 0; i < len(in.Records) && w.err == nil && (i == 0 || !out.Full()); i++ {
		w.parent, w.first, w.said, w.size = i, len(out.Outs), false, 0
		fn(&in.Records[i], w)
		switch n := len(out.Outs) - w.first; {
		case w.said:
			out.Outs = out.Outs[:w.first]
			out.Results = append(out.Results, w.result)
		case n == 0:
			out.Results = append(out.Results, stage.Result{Status: stage.Dropped})
		default:
			out.Results = append(out.Results, stage.Result{Status: stage.OK, First: w.first, N: n})
		}
	}
	err := w.err
	w.ctx, w.out = nil, nil
	if cap(w.scratch) > keepScratch {
		w.scratch = nil
	}
	writers.Put(w)
	return err
}

// Close implements stage.Transform.
func (each) Close(context.Context) error { return nil }

// eachWith is an each whose function needs memory of its own, such as a parser: open makes it, and no two calls at the same
// time share one.
func eachWith[S any](open func() *S, fn func(s *S, r *record.Record, w *writer)) stage.Transform {
	return &stateful[S]{fn: fn, states: sync.Pool{New: func() any { return open() }}}
}

type stateful[S any] struct {
	fn     func(s *S, r *record.Record, w *writer)
	states sync.Pool
}

// Apply implements stage.Transform. A state that the function panicked with is not used again.
func (t *stateful[S]) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	s := t.states.Get().(*S)
	err := each(func(r *record.Record, w *writer) { t.fn(s, r, w) }).Apply(ctx, in, out)
	t.states.Put(s)
	return err
}

// Close implements stage.Transform.
func (*stateful[S]) Close(context.Context) error { return nil }

// keep passes the record on as it came.
func (w *writer) keep() { w.result, w.said = stage.Result{Status: stage.Unchanged}, true }

// drop ends the record here.
func (w *writer) drop() { w.result, w.said = stage.Result{Status: stage.Dropped}, true }

// fail fails the record. It has no outputs then, whatever was written before.
func (w *writer) fail(code, format string, args ...any) {
	w.result = stage.Result{Status: stage.Failed, Class: fault.Permanent, Code: code, Reason: fmt.Sprintf(format, args...)}
	w.said = true
}

// abort ends the call with an error about the whole batch.
func (w *writer) abort(err error) { w.err = err }

// failure says why a record fails; the zero value is no failure.
type failure struct{ code, reason string }

// failed fails the record if there is a failure.
func (w *writer) failed(f failure) bool {
	if f.code == "" {
		return false
	}
	w.result = stage.Result{Status: stage.Failed, Class: fault.Permanent, Code: f.code, Reason: f.reason}
	w.said = true
	return true
}

// data makes an output with other data and the record's key and attributes. It copies b.
func (w *writer) data(r *record.Record, b []byte) {
	if w.emit(stage.Out{Key: r.Key, Data: b, Attrs: r.Attrs}) {
		o := &w.out.Outs[len(w.out.Outs)-1]
		o.Data = w.out.Arena.Bytes(b)
	}
}

// emit makes an output, whose memory is the arena's or the record's. If the record has too many, it fails, and nothing it
// still makes takes memory.
func (w *writer) emit(o stage.Out) (made bool) {
	if w.size += o.Size(); w.size > stage.MaxOutput {
		w.fail(stage.CodeOutputTooLarge, "its outputs take more than %d bytes", stage.MaxOutput)
		return false
	}
	o.Parent = w.parent
	w.out.Outs = append(w.out.Outs, o)
	return true
}
