package stage

import (
	"context"
	"errors"
	"fmt"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// maxFailedParts is how many failed calls with more than one record the chain spends on one batch. A guilty record takes about
// log2(n) of them to find, so a batch with many is cheaper record by record: one call each, whatever they are.
const maxFailedParts = 32

// isolation finds the records of one batch that make a transform fail, and fails only those.
type isolation struct {
	link *Link
	all  *record.Batch
	s    *step
	// failed counts the failed calls with more than one record.
	failed int
}

// isolate fills s.out with one result for each record of in.
func (l *Link) isolate(ctx context.Context, in *record.Batch, s *step) error {
	err := l.apply(ctx, in, &s.out)
	if err == nil {
		return nil
	}
	if refused := refusal(ctx, err); refused != nil {
		return refused
	}
	s.out.Results = resize(s.out.Results[:0], len(in.Records))
	s.out.Outs = s.out.Outs[:0]
	s.part.Arena = s.out.Arena
	if s.sub == nil {
		s.sub = record.NewBatch()
	}
	i := isolation{link: l, all: in, s: s}
	return i.blame(ctx, 0, len(in.Records), err)
}

// apply runs the transform and checks its results. out may hold what a call that failed left behind.
func (l *Link) apply(ctx context.Context, in *record.Batch, out *Output) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Permanent, CodePanic, "the transform panicked: %v", p)
		}
	}()
	clear(out.Outs)
	out.Results, out.Outs = out.Results[:0], out.Outs[:0]
	if err := l.Transform.Apply(ctx, in, out); err != nil {
		return err
	}
	return out.check(len(in.Records))
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

// blame finds the guilty among the records lo to hi, which failed together with err.
func (i *isolation) blame(ctx context.Context, lo, hi int, err error) error {
	if hi-lo == 1 {
		i.fail(lo, err)
		return nil
	}
	if i.failed++; i.failed > maxFailedParts {
		for at := lo; at < hi; at++ {
			if err := i.try(ctx, at, at+1); err != nil {
				return err
			}
		}
		return nil
	}
	var c Culprit
	if errors.As(err, &c) && c.Record() >= 0 && c.Record() < hi-lo {
		at := lo + c.Record()
		if err := i.try(ctx, at, at+1); err != nil {
			return err
		}
		if err := i.try(ctx, lo, at); err != nil {
			return err
		}
		return i.try(ctx, at+1, hi)
	}
	mid := lo + (hi-lo)/2
	if err := i.try(ctx, lo, mid); err != nil {
		return err
	}
	return i.try(ctx, mid, hi)
}

// try applies the transform to the records lo to hi and, if that fails, looks for the guilty among them.
func (i *isolation) try(ctx context.Context, lo, hi int) error {
	if lo == hi {
		return nil
	}
	sub, part, out := i.s.sub, &i.s.part, &i.s.out
	clear(sub.Records)
	sub.Records = append(sub.Records[:0], i.all.Records[lo:hi]...)
	if err := i.link.apply(ctx, sub, part); err != nil {
		if refused := refusal(ctx, err); refused != nil {
			return refused
		}
		return i.blame(ctx, lo, hi, err)
	}
	shift := len(out.Outs)
	for j, res := range part.Results {
		res.First += shift
		out.Results[lo+j] = res
	}
	out.Outs = append(out.Outs, part.Outs...) // from here on results name outs, not outs their parents
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

// check reports whether o fits an input of n records: one result each, and every out named by exactly one.
func (o *Output) check(n int) error {
	if len(o.Results) != n {
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
