package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// maxFailedParts is how many failed calls with more than one record the chain spends on a batch of n. A guilty record takes
// about log2(n) of them to find, so a batch with many is cheaper record by record: one call each, whatever they are.
func maxFailedParts(n int) int { return max(32, n/16) }

// isolation finds the records of one batch that make a transform fail, and fails only those.
type isolation struct {
	link *Link
	all  *record.Batch
	s    *step
	// end is where the records begin that there was no room for, or that were refused.
	end     int
	refused error
}

// isolate fills s.out with one result for each record of in or, once it is full or the transform cannot work, for the first of them,
// at least one.
func (l *Link) isolate(ctx context.Context, in *record.Batch, s *step) error {
	done, err := l.apply(ctx, in, &s.out)
	if err == nil {
		return nil
	}
	if refused := refusal(ctx, err); refused != nil {
		if done > 0 && ctx.Err() == nil {
			return nil // the rest is refused when its turn comes
		}
		return refused
	}
	i := l.isolation(in, s, len(in.Records))
	err = i.blame(ctx, 0, done, len(in.Records), err)
	s.out.Results = s.out.Results[:i.end]
	if i.end == 0 {
		return cmp.Or(err, i.refused)
	}
	return err
}

// extend goes on with s.out, which isolate has filled for the first records of in, up to end or until it is full.
func (l *Link) extend(ctx context.Context, in *record.Batch, s *step, end int) error {
	done := len(s.out.Results)
	i := l.isolation(in, s, end)
	err := i.try(ctx, done, end)
	s.out.Results = s.out.Results[:i.end]
	return cmp.Or(err, i.refused)
}

// isolation makes room in s.out for the results of the records up to end, and keeps those that are there.
func (l *Link) isolation(in *record.Batch, s *step, end int) *isolation {
	complete := s.out.Results
	s.out.Results = resize(s.out.Results, end)
	copy(s.out.Results, complete) // resize may have moved them
	s.part.Arena = s.out.Arena
	if s.sub == nil {
		s.sub = record.NewBatch()
	}
	return &isolation{link: l, all: in, s: s, end: end}
}

// apply runs the transform and checks its results. After an error out holds the results of the first records that are
// done, and the arena nothing if there are none.
func (l *Link) apply(ctx context.Context, in *record.Batch, out *Output) (done int, err error) {
	clear(out.Outs)
	out.Results, out.Outs, out.counted, out.size = out.Results[:0], out.Outs[:0], 0, 0
	mark := out.Arena.Mark()
	defer func() {
		if p := recover(); p != nil {
			done, err = 0, fault.New(fault.Permanent, CodePanic, "the transform panicked: %v", p)
		}
		if err != nil && done == 0 {
			out.cut(0)
			out.Arena.Rewind(mark)
		}
	}()
	if err = l.Transform.Apply(ctx, in, out); err == nil {
		return 0, out.check(len(in.Records))
	}
	if p, ok := errors.AsType[Partial](err); ok && p.Done() > 0 && p.Done() < len(in.Records) && out.cut(p.Done()) {
		return p.Done(), err
	}
	return 0, err
}

// cut keeps the first n results and their outs. It is false, and keeps nothing, if they do not fit.
func (o *Output) cut(n int) bool {
	outs := 0
	for i := 0; i < n && i < len(o.Results); i++ {
		if o.Results[i].Status == OK {
			outs += max(0, min(o.Results[i].N, len(o.Outs)))
		}
	}
	if n > len(o.Results) || outs > len(o.Outs) {
		n, outs = 0, 0
	}
	clear(o.Outs[outs:])
	o.Results, o.Outs = o.Results[:n], o.Outs[:outs]
	if n > 0 && o.check(n) != nil {
		return o.cut(0)
	}
	return n > 0
}

// refusal returns the error of Run if err is not about a record.
func refusal(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var known *fault.Error
	if errors.As(err, &known) && known.Class != fault.Permanent {
		return err
	}
	return nil
}

// blame finds the guilty among the records lo to hi. They failed with err in one call, together with the records from
// first to lo, which have their results.
func (i *isolation) blame(ctx context.Context, first, lo, hi int, err error) error {
	if hi-first == 1 {
		return i.condemn(ctx, lo, err)
	}
	most := maxFailedParts(len(i.all.Records))
	if d, ok := errors.AsType[Dear](err); ok && d.Dear() {
		i.s.failed = most
	}
	if i.s.failed++; i.s.failed > most {
		for at := lo; at < hi; at++ {
			if err := i.try(ctx, at, at+1); err != nil {
				return err
			}
		}
		return nil
	}
	if c, ok := errors.AsType[Culprit](err); ok && c.Record() >= lo-first && c.Record() < hi-first {
		at := first + c.Record()
		if err := i.try(ctx, lo, at); err != nil {
			return err
		}
		if err := i.try(WithFresh(ctx), at, at+1); err != nil {
			return err
		}
		return i.try(ctx, at+1, hi)
	}
	mid := lo + (hi-lo+1)/2
	if err := i.try(ctx, lo, mid); err != nil {
		return err
	}
	return i.try(ctx, mid, hi)
}

// condemn fails a record that has failed alone, with err. If the state of the transform may be at fault, it gets a last
// chance in a fresh one.
func (i *isolation) condemn(ctx context.Context, at int, err error) error {
	if t, ok := errors.AsType[Tainted](err); ok && t.Tainted() && !Fresh(ctx) {
		return i.try(WithFresh(ctx), at, at+1)
	}
	i.fail(at, err)
	return i.link.Tolerance.exceeded(i.s.out.Results, at)
}

// try applies the transform to the records lo to hi and, if that fails, looks for the guilty among them. It ends where
// there is no more room, or where the transform cannot work.
func (i *isolation) try(ctx context.Context, lo, hi int) error {
	sub, part, out := i.s.sub, &i.s.part, &i.s.out
	switch {
	case lo == hi || lo >= i.end:
		return nil
	case out.Full():
		i.end = lo
		return nil
	}
	part.room = out.room - out.size
	clear(sub.Records)
	sub.Records = append(sub.Records[:0], i.all.Records[lo:hi]...)
	done, err := i.link.apply(ctx, sub, part)
	if err != nil {
		if i.refused = refusal(ctx, err); ctx.Err() != nil {
			return i.refused
		}
	}
	shift := len(out.Outs)
	for j, res := range part.Results {
		res.First += shift
		out.Results[lo+j] = res
	}
	for j := range part.Outs {
		part.Outs[j].Parent += lo
	}
	out.Outs = append(out.Outs, part.Outs...)
	switch {
	case i.refused != nil:
		i.end = lo + done
		return nil
	case err != nil:
		return i.blame(ctx, lo, lo+done, hi, err)
	}
	if n := len(part.Results); n < hi-lo {
		i.end = lo + n
	}
	return nil
}

func (i *isolation) fail(at int, err error) {
	res := Result{Status: Failed, Class: fault.Permanent, Code: CodeFailed, Reason: err.Error()}
	var known *fault.Error
	if errors.As(err, &known) {
		res.Code, res.Reason = known.Code, known.Message
	}
	i.s.out.Results[at] = res
}

// check reports whether o fits an input of n records: one result each, unless it is full, and every out named by exactly one.
func (o *Output) check(n int) error {
	if got := len(o.Results); got != n && (got == 0 || got > n || !o.Full()) {
		return badOutput("%d results for %d records", len(o.Results), n)
	}
	named := 0
	for i := range o.Results {
		res := &o.Results[i]
		switch {
		case res.Status > Failed:
			return badOutput("the result of record %d has status %d", i, res.Status)
		case res.Status != OK && res.N != 0:
			return badOutput("the result of record %d has outputs and is not ok", i)
		case res.Status != OK:
			continue
		case res.N < 1 || res.First < 0 || res.First > len(o.Outs) || res.N > len(o.Outs)-res.First:
			return badOutput("the result of record %d names outputs %d to %d of %d", i, res.First, res.First+res.N, len(o.Outs))
		}
		for j := res.First; j < res.First+res.N; j++ {
			if o.Outs[j].Parent != i {
				return badOutput("output %d belongs to record %d, and the result of record %d names it", j, o.Outs[j].Parent, i)
			}
		}
		named += res.N
	}
	if named != len(o.Outs) {
		return badOutput("the results name %d of %d outputs", named, len(o.Outs))
	}
	return nil
}

func badOutput(format string, args ...any) error {
	return fault.New(fault.Permanent, CodeBadOutput, "the transform returned what does not fit its input: %s", fmt.Sprintf(format, args...))
}
