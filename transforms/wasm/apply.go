package wasm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// Apply runs the batch through one instance, in as many calls as the limits ask for. It waits for an instance if all are in
// use. An error about a call is permanent, keeps the results of the calls before it ([stage.Partial]) and, mostly, names its
// record ([stage.Culprit]): a module that does not say which record it works on gets those of the failed call one by one.
func (m *Module) Apply(ctx context.Context, in *record.Batch, out *stage.Output) (err error) {
	if stage.Fresh(ctx) && len(in.Records) == 1 {
		if err := m.guilty(ctx, in.Records); err != nil {
			return err
		}
	}
	i, err := m.take(ctx, stage.Fresh(ctx))
	if err != nil {
		return err
	}
	for lo := 0; lo < len(in.Records) && err == nil && (lo == 0 || !out.Full()); lo = len(out.Results) {
		hi := lo + callSize(in.Records[lo:], m.size.records())
		if i, err = m.apply(ctx, i, in.Records, lo, hi, out); err == nil {
			m.size.succeeded(len(out.Results) - lo)
		}
	}
	if i == nil {
		<-m.pool.slots
		return err
	}
	return errors.Join(err, m.give(ctx, i))
}

// apply makes one call with recs[lo:hi], and a call for each of them if that failed and nobody knows on which. It returns the
// instance to go on with, nil if that is gone and there is an error.
func (m *Module) apply(ctx context.Context, i *instance, recs []record.Record, lo, hi int, out *stage.Output) (*instance, error) {
	if m.size.wary() && m.dear() && !i.saved.taken {
		i.save(false)
	}
	err := i.run(ctx, recs, lo, hi, out)
	i.saved.taken = i.saved.taken && err != nil // it went forward
	if err == nil {
		return m.renew(ctx, i)
	}
	failed, ofCall := errors.AsType[*callError](err)
	orderly := ofCall && failed.orderly
	if !orderly {
		if m.dear() {
			m.size.failed(cautiousIfSaved)
		} else {
			m.size.failed(cautious)
		}
		if !i.undo() {
			err = errors.Join(err, m.lose(ctx, i))
			i = nil
		}
	}
	if !ofCall || failed.record >= 0 {
		return i, err
	}
	if !orderly {
		if at, found := m.search(ctx, recs[failed.done:hi]); errors.As(found, new(*callError)) {
			failed.record = failed.done + at
			return i, err
		}
	}
	if i == nil {
		if i, err = m.obtain(ctx, false); err != nil {
			return nil, err
		}
	}
	for at := failed.done; at < hi && (at == 0 || !out.Full()); at++ {
		if i, err = m.apply(ctx, i, recs, at, at+1, out); err != nil {
			return i, err
		}
	}
	return i, nil
}

// callSize is how many of recs go into one call, at least one and at most limit.
func callSize(recs []record.Record, limit int) int {
	limit = min(len(recs), limit)
	bytes := recs[0].Size()
	for n := 1; n < limit; n++ {
		if bytes += recs[n].Size(); bytes > MaxBatchBytes {
			return n
		}
	}
	return limit
}

// callLimit adapts how many records go into one call to how often calls fail: after a failure all records of the call are
// run again, and a loop without end has used up the time, or the fuel, of all of them. It starts at MaxBatchRecords, falls with
// each failure, and doubles with every 16 calls that succeed.
type callLimit struct {
	most  atomic.Int32
	calls atomic.Int32 // that succeeded since most changed
}

// What the limit falls to. Instances that are saved before each call are for longer calls.
const cautious, cautiousIfSaved = 32, 100

func (l *callLimit) records() int { return int(l.most.Load()) }

// wary is whether a call has failed not long ago.
func (l *callLimit) wary() bool { return l.most.Load() < MaxBatchRecords }

func (l *callLimit) failed(to int32) {
	l.most.Store(to)
	l.calls.Store(0)
}

func (l *callLimit) succeeded(records int) {
	most := l.most.Load()
	if most == MaxBatchRecords || records < int(most) || l.calls.Add(1) < 16 {
		return
	}
	if l.most.CompareAndSwap(most, min(2*most, MaxBatchRecords)) {
		l.calls.Store(0)
	}
}

// run makes one call with recs[lo:hi], or more if the module has no room for so many.
func (i *instance) run(ctx context.Context, recs []record.Record, lo, hi int, out *stage.Output) error {
	if lo+1 == hi && recs[lo].Size() > MaxRecordBytes {
		refuse(out, CodeRecordTooLarge, "the record has %d bytes, more than the %d that a module takes", recs[lo].Size(), MaxRecordBytes)
		return nil
	}
	if err := i.plan(recs[lo:hi]); err != nil {
		at := lo + err.Index
		return &callError{cause: fault.New(fault.Permanent, CodeBadAttributes, "%w", err), record: at, done: lo, orderly: true}
	}
	touched := i.touched()
	i.calls++
	blame := func(err error, orderly bool) error { return i.blame(err, lo, hi, len(out.Results), touched, orderly) }
	size := i.layout.Size()
	ptr, refused, err := i.allocate(ctx, size)
	switch {
	case err != nil:
		return blame(err, false)
	case refused && lo+1 == hi:
		refuse(out, CodeAllocRefused, "the module has no room for a frame of %d bytes", size)
		return nil
	case refused:
		mid := lo + (hi-lo)/2
		if err := i.run(ctx, recs, lo, mid, out); err != nil || out.Full() {
			return err
		}
		i.saved.taken = false // it went forward: these results count whatever comes
		return i.run(ctx, recs, mid, hi, out)
	}
	frame, _ := i.mod.Memory().Read(ptr, uint32(size)) // allocate has checked the range
	i.encode(frame, recs[lo:hi])
	i.stack = [2]uint64{uint64(ptr), uint64(size)}
	if err := i.call(ctx, abi.ExportTransform, i.transform); err != nil {
		return blame(err, false)
	}
	answer := i.stack[0]
	if answer == 0 {
		return blame(fault.New(fault.Permanent, CodeBatchFailed, "leat_transform failed the batch%s", i.said()), true)
	}
	if err := i.collect(uint32(answer>>32), uint32(answer), max(MinOutputCap, 2*size), recs[lo:hi], lo, out); err != nil {
		return blame(err, false)
	}
	return nil
}

// plan lays the frame of recs out.
func (i *instance) plan(recs []record.Record) *abi.FrameError {
	i.layout.Reset()
	for n := range recs {
		r := &recs[n]
		if err := i.layout.Add(len(r.Data), len(r.Key), attrsOf(r.Attrs)); err != nil {
			return err
		}
	}
	return nil
}

// encode writes the frame of recs, which plan has laid out.
func (i *instance) encode(frame []byte, recs []record.Record) {
	i.layout.Begin(frame, i.m.batch.Add(1))
	for n := range recs {
		r := &recs[n]
		i.layout.Put(frame, &abi.Record{
			Seq: r.Seq, Arrived: r.Arrived, Shard: uint32(r.Shard), Sub: r.Sub, Key: r.Key, Data: r.Data, Attrs: attrsOf(r.Attrs),
		})
	}
}

// attrsOf returns attrs as the abi package, which imports nothing of leat, knows them.
func attrsOf(attrs record.Attrs) []abi.Attr {
	_ = abi.Attr(record.Attr{}) // they are the same but for their name
	return unsafe.Slice((*abi.Attr)(unsafe.Pointer(unsafe.SliceData(attrs))), len(attrs))
}

// blame ties an error of a call with the records lo to hi to the one that the module was working on. done records of the
// batch have their results. Errors of a context stay what they are.
func (i *instance) blame(err error, lo, hi, done int, touched, orderly bool) error {
	var known *fault.Error
	if !errors.As(err, &known) {
		return err
	}
	e := &callError{cause: known, record: -1, done: done, touched: touched, orderly: orderly}
	if at, ok := i.worksOn(); ok && uint64(at) < uint64(hi-lo) {
		e.record = lo + int(at)
	}
	if lo+1 == hi {
		e.record = lo
	}
	return e
}

func refuse(out *stage.Output, code, format string, args ...any) {
	out.Results = append(out.Results, stage.Result{
		Status: stage.Failed, Class: fault.Permanent, Code: code, Reason: fault.New(fault.Permanent, code, format, args...).Message,
	})
}

// collect takes the frame that the module returned over into out. It copies a frame that keeps the rules, so that the
// instance may go on to its next call while out is in use; one that breaks them takes no room in the arena.
func (i *instance) collect(ptr, n uint32, limit int, recs []record.Record, base int, out *stage.Output) error {
	if int64(n) > int64(limit) {
		return fault.New(fault.Permanent, CodeOutputTooLarge, "leat_transform returned %d bytes, more than the limit of %d", n, limit).
			WithHint("the limit is the larger of 6 MiB and twice the input")
	}
	view, ok := i.mod.Memory().Read(ptr, n) // the call may have moved the memory
	if !ok || ptr%8 != 0 {
		return badFrame("%d bytes at %d lie outside the memory or not at a multiple of 8", n, ptr)
	}
	o, err := i.layout.Decode(view)
	if err != nil {
		return badFrame("%v", err)
	}
	o.Moved(out.Arena.Bytes(view))
	first := len(out.Outs)
	out.Outs = slices.Grow(out.Outs, o.Outs())
	i.slab = nil
	for j := range o.Outs() {
		f := o.Out(j)
		parent := &recs[f.Parent]
		s := stage.Out{Parent: base + f.Parent, Partition: i.attributes(o.Bytes(f.Partition))}
		switch f.Data.Source {
		case abi.InData:
			s.Data = parent.Data[f.Data.Off:][:f.Data.Len:f.Data.Len]
		case abi.InKey:
			s.Data = out.Arena.Bytes([]byte(parent.Key[f.Data.Off:][:f.Data.Len]))
		default:
			s.Data = o.Bytes(f.Data)
		}
		switch f.Key.Source {
		case abi.InKey:
			s.Key = parent.Key[f.Key.Off:][:f.Key.Len]
		case abi.InData:
			s.Key = record.StringOf(parent.Data[f.Key.Off:][:f.Key.Len])
		default:
			s.Key = record.StringOf(o.Bytes(f.Key))
		}
		if s.Attrs = parent.Attrs; f.Attrs.Source != abi.InAttrs {
			s.Attrs = i.attributes(o.Bytes(f.Attrs))
		}
		out.Outs = append(out.Outs, s)
	}
	from := len(out.Results)
	out.Results = slices.Grow(out.Results, o.Len())[:from+o.Len()]
	for j := range out.Results[from:] {
		res := &out.Results[from+j]
		r := o.Result(j)
		*res = stage.Result{Status: statuses[r.Status], First: first + r.First, N: r.N}
		if r.Status == abi.Failed {
			class, code, reason := o.Failure(j)
			res.Class, res.Code = fault.Class(class), strings.ToValidUTF8(string(code[:min(len(code), maxCode)]), "")
			res.Reason = strings.ToValidUTF8(string(reason[:min(len(reason), maxFailure)]), "\uFFFD")
			if res.Code == "" {
				res.Code = codeTransformFailed
			}
		}
	}
	return nil
}

var statuses = [...]stage.Status{abi.OK: stage.OK, abi.Unchanged: stage.Unchanged, abi.Dropped: stage.Dropped, abi.Failed: stage.Failed}

// attributes decodes a block that Decode has checked. The names and values share the block's memory.
func (i *instance) attributes(block []byte) record.Attrs {
	if len(block) == 0 {
		return nil
	}
	i.attrs, _ = abi.DecodeAttrs(i.attrs[:0], record.StringOf(block))
	if cap(i.slab)-len(i.slab) < len(i.attrs) {
		i.slab = make([]record.Attr, 0, max(len(i.attrs), MaxBatchRecords))
	}
	from := len(i.slab)
	for _, a := range i.attrs {
		i.slab = append(i.slab, record.Attr(a))
	}
	return i.slab[from:len(i.slab):len(i.slab)]
}
