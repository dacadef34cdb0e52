package wasm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unsafe"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// Apply runs the batch through one instance, in as many calls as the limits ask for. It waits for an instance if all are in
// use. An error about a call is permanent and, if the module names its record, a [stage.Culprit].
func (m *Module) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	i, err := m.take(ctx)
	if err != nil {
		return err
	}
	err = i.apply(ctx, in.Records, out)
	var failed *callError
	if err == nil || errors.As(err, &failed) && failed.orderly {
		return errors.Join(err, m.give(ctx, i))
	}
	return errors.Join(err, m.drop(ctx, i))
}

func (i *instance) apply(ctx context.Context, recs []record.Record, out *stage.Output) error {
	for lo := 0; lo < len(recs); {
		hi := lo + callSize(recs[lo:])
		if err := i.run(ctx, recs, lo, hi, out); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// callSize is how many of recs go into one call, at least one.
func callSize(recs []record.Record) int {
	bytes := recs[0].Size()
	for n := 1; n < min(len(recs), MaxBatchRecords); n++ {
		if bytes += recs[n].Size(); bytes > MaxBatchBytes {
			return n
		}
	}
	return min(len(recs), MaxBatchRecords)
}

// run makes one call with recs[lo:hi], or more if the module has no room for so many.
func (i *instance) run(ctx context.Context, recs []record.Record, lo, hi int, out *stage.Output) error {
	if lo+1 == hi && recs[lo].Size() > MaxRecordBytes {
		refuse(out, CodeRecordTooLarge, "the record has %d bytes, more than the %d that a module takes", recs[lo].Size(), MaxRecordBytes)
		return nil
	}
	if err := i.plan(recs[lo:hi]); err != nil {
		return &callError{fault.New(fault.Permanent, CodeBadAttributes, "%w", err), lo + err.Index, true}
	}
	size := i.layout.Size()
	ptr, refused, err := i.allocate(ctx, size)
	switch {
	case err != nil:
		return i.blame(err, lo, hi, false)
	case refused && lo+1 == hi:
		refuse(out, CodeAllocRefused, "the module has no room for a frame of %d bytes", size)
		return nil
	case refused:
		mid := lo + (hi-lo)/2
		if err := i.run(ctx, recs, lo, mid, out); err != nil {
			return err
		}
		return i.run(ctx, recs, mid, hi, out)
	}
	frame, _ := i.mod.Memory().Read(ptr, uint32(size)) // allocate has checked the range
	i.encode(frame, recs[lo:hi])
	i.stack = [2]uint64{uint64(ptr), uint64(size)}
	if err := i.call(ctx, abi.ExportTransform, i.transform); err != nil {
		return i.blame(err, lo, hi, false)
	}
	answer := i.stack[0]
	if answer == 0 {
		return i.blame(fault.New(fault.Permanent, CodeBatchFailed, "leat_transform failed the batch%s", i.said()), lo, hi, true)
	}
	if err := i.collect(uint32(answer>>32), uint32(answer), max(MinOutputCap, 2*size), recs[lo:hi], lo, out); err != nil {
		return i.blame(err, lo, hi, false)
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

// blame ties an error of a call to the record that the module was working on. Errors of a context stay what they are.
func (i *instance) blame(err error, lo, hi int, orderly bool) error {
	var known *fault.Error
	if !errors.As(err, &known) {
		return err
	}
	e := &callError{known, -1, orderly}
	if at, ok := i.worksOn(); ok && uint64(at) < uint64(hi-lo) {
		e.record = lo + int(at)
	}
	return e
}

func refuse(out *stage.Output, code, format string, args ...any) {
	out.Results = append(out.Results, stage.Result{
		Status: stage.Failed, Class: fault.Permanent, Code: code, Reason: fault.New(fault.Permanent, code, format, args...).Message,
	})
}

// collect takes the frame that the module returned over into out. It copies the frame before it looks at it, so that the
// instance may go on to its next call while out is in use.
func (i *instance) collect(ptr, n uint32, limit int, recs []record.Record, base int, out *stage.Output) error {
	if int64(n) > int64(limit) {
		return fault.New(fault.Permanent, CodeOutputTooLarge, "leat_transform returned %d bytes, more than the limit of %d", n, limit).
			WithHint("the limit is the larger of 6 MiB and twice the input")
	}
	view, ok := i.mod.Memory().Read(ptr, n) // the call may have moved the memory
	if !ok || ptr%8 != 0 {
		return badFrame("%d bytes at %d lie outside the memory or not at a multiple of 8", n, ptr)
	}
	frame := out.Arena.Bytes(view)
	o, err := i.layout.Decode(frame)
	if err != nil {
		return badFrame("%v", err)
	}
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
			res.Class, res.Code = fault.Class(class), strings.ToValidUTF8(string(code), "")
			res.Reason = strings.ToValidUTF8(string(reason), "\uFFFD")
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
