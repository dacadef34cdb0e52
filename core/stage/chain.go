package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// Codes of failures that the chain itself finds.
const (
	CodeBadOutput      = "stage.bad_output"       // the transform's results do not fit its input
	CodePanic          = "stage.panic"            // a native transform panicked
	CodeFailed         = "stage.failed"           // an error, or a failed record, without a code of its own
	CodeStopped        = "stage.stopped"          // a record failed in a stage with policy stop
	CodeOutputTooLarge = "stage.output_too_large" // the outputs of a record take more than MaxOutput
)

// Link is one stage of a chain.
type Link struct {
	// Name is the stage's name in the pipeline file.
	Name string
	// Policy is what happens to records that fail here; empty is DeadLetter.
	Policy    Policy
	Transform Transform
	// Digest is sha256:HEX of the module that the transform runs, for its failures; empty if it runs none.
	Digest string
	// Tolerance watches how many records fail here; nil: nothing does.
	Tolerance *Tolerance
	// Shadow runs beside the transform; nil: nothing does.
	Shadow *Shadow

	discard Discard // that of every record which the transform drops
}

// Chain runs batches through transforms, one after the other. Run may be called concurrently, each call with its own Final.
type Chain struct {
	links []Link
	tap   Tap
	// room is partRoom and most MaxOutput, but in tests.
	room, most int
}

// NewChain returns a chain of links, which it owns from then on. Without links it passes every record on.
func NewChain(links ...Link) *Chain {
	c := &Chain{links: append([]Link(nil), links...), room: partRoom, most: MaxOutput}
	for i := range c.links {
		if c.links[i].Policy == "" {
			c.links[i].Policy = DeadLetter
		}
		c.links[i].discard.Stage = c.links[i].Name
	}
	return c
}

// Run fills f with what becomes of the records of in, which it does not change. If there is not enough memory for the outputs of
// all of them, f is about the first, and the next Run goes on with the rest of the same batch:
//
//	for done := false; !done; done = f.Left() == 0 {
//		if err := c.Run(ctx, in, f); err != nil {
//			return err
//		}
//		// use f
//	}
//
// Every record passes every stage once, whatever the number of parts.
//
// Records that fail are part of f. An error means that what is left of the batch has no result. If ctx is done or the error is
// permanent, f forgets it: a record failed in a stage with policy stop (code stage.stopped), or too many for the stage's tolerance.
// Otherwise the stage cannot work for now, or rests (code stage.paused), and f remembers how far the batch is: the next Run waits until
// the stage may be tried again and goes on with it, and [Final.Reset] gives up.
func (c *Chain) Run(ctx context.Context, in *record.Batch, f *Final) error {
	watches := c.tap.watches.Load()
	if f.Left() == 0 {
		f.begin(len(in.Records))
		entering(watches, WholeChain, in)
	}
	if f.From+len(f.Roots) == f.made { // the caller has had all that is known
		if err := c.advance(ctx, in, f, watches); err != nil {
			if ctx.Err() != nil || fault.ClassOf(err) == fault.Permanent {
				f.Reset()
			} else {
				f.hand(0)
			}
			return err
		}
	}
	f.hand(c.room)
	if watches != nil {
		finished(watches, &record.Batch{Records: in.Records[f.From : f.From+len(f.Roots)]}, f)
	}
	return nil
}

// advance runs the deepest stage that has records in front of it, and those after it, each once: one or more roots more
// become known.
func (c *Chain) advance(ctx context.Context, in *record.Batch, f *Final, watches *[]*Watch) error {
	if len(c.links) == 0 {
		f.identity(in)
		return nil
	}
	if len(in.Records) == 0 {
		return ctx.Err()
	}
	if f.made == 0 {
		f.ids = resize(f.ids, len(in.Records))
		for i := range f.ids {
			f.ids[i] = rootID{root: i}
		}
	}
	first, _ := f.waiting(in)
	f.forget(first)
	for i := first; i < len(c.links); i++ {
		s := f.step(i)
		s.out.room, s.most = c.room, c.most
		s.view.Records, s.roots, s.before = f.entering(i, in)
		if !s.shown {
			entering(watches, i, &s.view)
			s.shown = true
		}
		s.view.Records, s.roots = s.view.Records[s.at:], s.roots[s.at:]
		if err := c.links[i].run(ctx, in, f, s, i == len(c.links)-1); err != nil {
			return err
		}
		s.view.Records = s.view.Records[:len(s.out.Results)]
		s.at += len(s.out.Results)
		left(watches, i, c.links[i].Name, &s.view, &s.out)
		c.links[i].Shadow.offer(watches, i, &s.view, &s.out)
		s.view.Records = nil
		f.size = s.size
		if len(s.next.Records) == 0 {
			break
		}
	}
	_, f.made = f.waiting(in)
	f.settle()
	return nil
}

// Share returns a chain of the same transforms with a tap of its own, and without their shadows: records that pass both
// chains are compared once. Only one of the two is closed. The transforms of own take the place of those with their names: they
// remember what has passed them, and must not see it twice.
func (c *Chain) Share(own ...Link) *Chain {
	shared := NewChain(c.links...)
	for i := range shared.links {
		l := &shared.links[i]
		l.Shadow = nil
		for _, o := range own {
			if o.Name == l.Name {
				l.Transform = o.Transform
			}
		}
	}
	return shared
}

// Tap is where to watch the chain.
func (c *Chain) Tap() *Tap { return &c.tap }

// Stages are the names of the chain's stages.
func (c *Chain) Stages() []string {
	names := make([]string, len(c.links))
	for i := range c.links {
		names[i] = c.links[i].Name
	}
	return names
}

// Close closes the transforms, all of them whatever happens.
func (c *Chain) Close(ctx context.Context) error {
	var errs []error
	for _, l := range c.links {
		if err := l.Transform.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stage %s: close: %w", l.Name, err))
		}
	}
	return errors.Join(errs...)
}

// identity makes every record its own only output, without copying.
func (f *Final) identity(in *record.Batch) {
	f.Outs = resize(f.Outs, len(in.Records))
	for i := range in.Records {
		r := &in.Records[i]
		f.all[i] = Root{First: i, N: 1}
		f.Outs[i] = Out{Parent: i, Key: r.Key, Data: r.Data, Attrs: r.Attrs}
	}
	f.made = len(in.Records)
}

// run applies the stage to the first records of s.view, as many as there is room for, and whole roots. The outputs become
// s.next or, after the last stage, f.Outs.
func (l *Link) run(ctx context.Context, roots *record.Batch, f *Final, s *step, last bool) error {
	cur := &s.view
	trial, err := l.Tolerance.admit(ctx)
	if err != nil {
		return err
	}
	if trial {
		s.few()
	}
	err = l.fill(ctx, s)
	if err = l.Tolerance.note(ctx, &s.out, err, trial); err != nil {
		return err
	}
	if last {
		f.Outs = slices.Grow(f.Outs, max(len(s.out.Results), len(s.out.Outs)))
	}
	for i := range s.out.Results {
		res, id := &s.out.Results[i], s.roots[i]
		root := &f.all[id.root]
		if root.Fail != nil { // a sibling failed before, in this stage
			continue
		}
		switch res.Status {
		case Unchanged:
			r := &cur.Records[i]
			s.size += outCost + r.Size()
			f.emit(s, id, &roots.Records[id.root], Out{Key: r.Key, Data: r.Data, Attrs: r.Attrs}, last)
		case OK:
			for _, o := range s.out.Outs[res.First : res.First+res.N] {
				s.size += o.Size()
				f.emit(s, rootID{id.root, merge(id.partition, o.Partition)}, &roots.Records[id.root], o, last)
			}
		case Dropped:
			root.Discard = &l.discard
		case Failed:
			fail := l.failure(res, &cur.Records[i])
			switch l.Policy {
			case Drop:
				root.Discard = &Discard{l.Name, fail}
			case Stop:
				return stopped(fail)
			default:
				root.Fail = fail
			}
		}
	}
	f.number(s)
	return nil
}

// fill applies the stage to as many records as there is room for, or as it can work on now, and to the rest of the last one's root if
// it takes no more than a root may. What takes more fails.
func (l *Link) fill(ctx context.Context, s *step) error {
	ids := s.roots
	if err := l.isolate(ctx, &s.view, s); err != nil {
		return err
	}
	end := len(s.out.Results)
	for end < len(ids) && ids[end].root == ids[end-1].root {
		end++
	}
	if end > len(s.out.Results) {
		s.out.room = s.out.taken() + 2*s.most
		if err := l.extend(ctx, &s.view, s, end); err != nil {
			root := ids[end-1].root
			for end > 0 && ids[end-1].root == root {
				end--
			}
			if ctx.Err() != nil || fault.ClassOf(err) == fault.Permanent || !s.out.cut(end) {
				return err
			}
		}
	}
	tooLarge := Result{
		Status: Failed, Class: fault.Permanent, Code: CodeOutputTooLarge,
		Reason: fmt.Sprintf("what this stage makes of the stream's record takes more than %d bytes", s.most),
	}
	for n := len(s.out.Results); n < end; n++ {
		s.out.Results = append(s.out.Results, tooLarge)
	}
	if s.out.taken()+s.before <= s.most {
		return nil
	}
	size := 0
	for i := range s.out.Results {
		if i == 0 || ids[i].root != ids[i-1].root {
			size = 0
		}
		res := &s.out.Results[i]
		switch res.Status {
		case Unchanged:
			size += s.view.Records[i].Size() + outCost
		case OK:
			for k := res.First; k < res.First+res.N; k++ {
				size += s.out.Outs[k].Size()
			}
		default:
			continue
		}
		if size > s.most {
			*res = tooLarge
		}
	}
	return nil
}

// emit passes an output on: to f.Outs after the last stage, else to the records that enter the next.
func (f *Final) emit(s *step, id rootID, root *record.Record, o Out, last bool) {
	if last {
		o.Parent, o.Partition = id.root, id.partition
		f.Outs = append(f.Outs, o)
		return
	}
	s.ids = append(s.ids, id)
	s.next.Records = append(s.next.Records, record.Record{
		Shard: root.Shard, Seq: root.Seq, Arrived: root.Arrived, Key: o.Key, Data: o.Data, Attrs: o.Attrs,
	})
}

// number takes what descends from dead roots out of the next stage's input and numbers the rest within their roots.
func (f *Final) number(s *step) {
	n := 0
	for i, id := range s.ids {
		if f.all[id.root].Fail != nil {
			continue
		}
		s.ids[n], s.next.Records[n] = id, s.next.Records[i]
		s.next.Records[n].Sub = 0
		if n > 0 && s.ids[n-1].root == id.root {
			s.next.Records[n].Sub = s.next.Records[n-1].Sub + 1
		}
		n++
	}
	clear(s.ids[n:])
	clear(s.next.Records[n:])
	s.ids, s.next.Records = s.ids[:n], s.next.Records[:n]
}

// settle drops the outputs of dead roots and sets the roots' ranges. Outs are in the order of their roots.
func (f *Final) settle() {
	n := 0
	for i := range f.Outs {
		root := &f.all[f.Outs[i].Parent]
		if root.Fail != nil {
			continue
		}
		if root.N == 0 {
			root.First = n
		}
		root.N++
		if n < i {
			f.Outs[n] = f.Outs[i]
		}
		n++
	}
	clear(f.Outs[n:])
	f.Outs = f.Outs[:n]
}

// maxReason bounds a failure's reason, in bytes.
const maxReason = 1024

func (l *Link) failure(res *Result, in *record.Record) *Failure {
	return &Failure{
		Stage: l.Name, Digest: l.Digest, Class: res.Class, Code: cmp.Or(res.Code, CodeFailed), Reason: shortReason(res.Reason), Input: *in,
	}
}

func shortReason(s string) string {
	if len(s) > maxReason {
		return strings.ToValidUTF8(s[:maxReason], "")
	}
	return s
}

func stopped(f *Failure) error {
	return fault.New(fault.Permanent, CodeStopped, "stage %s failed the record at %s, position %d, and its on_error is stop: %s: %s",
		f.Stage, f.Input.Shard, f.Input.Seq, f.Code, f.Reason).
		WithHint("correct the data or the transform, or set on_error to dead_letter or drop")
}

// merge adds the partition keys that a stage set to those of the stages before; the newer value of a name wins.
func merge(old, set record.Attrs) record.Attrs {
	switch {
	case len(set) == 0:
		return old
	case len(old) == 0:
		return set
	}
	all := append(make(record.Attrs, 0, len(old)+len(set)), old...)
	for _, a := range set {
		all.Set(a.Name, a.Value)
	}
	return all
}

// resize returns s with n elements, whose values are undefined.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
