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
	CodeBadOutput = "stage.bad_output" // the transform's results do not fit its input
	CodePanic     = "stage.panic"      // a native transform panicked
	CodeFailed    = "stage.failed"     // an error, or a failed record, without a code of its own
	CodeStopped   = "stage.stopped"    // a record failed in a stage with policy stop
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
}

// Chain runs batches through transforms, one after the other. Run may be called concurrently, each call with its own Final.
type Chain struct {
	links []Link
	tap   Tap
}

// NewChain returns a chain of links, which it owns from then on. Without links it passes every record on.
func NewChain(links ...Link) *Chain {
	c := &Chain{links: append([]Link(nil), links...)}
	for i := range c.links {
		if c.links[i].Policy == "" {
			c.links[i].Policy = DeadLetter
		}
	}
	return c
}

// Run fills f with what becomes of the records of in. It does not change in, nor does it keep a reference to it.
//
// Records that fail are part of f. An error means that the batch as a whole has no result: ctx is done, a transform cannot work for
// now (its class says what may be done about it), a record failed in a stage with policy stop (code stage.stopped), or too many
// have failed for the stage's tolerance.
func (c *Chain) Run(ctx context.Context, in *record.Batch, f *Final) error {
	f.Reset()
	f.Roots = resize(f.Roots, len(in.Records))
	clear(f.Roots)
	watches := c.tap.watches.Load()
	entering(watches, WholeChain, in)
	if len(c.links) == 0 {
		err := f.identity(in)
		finished(watches, in, f)
		return err
	}
	if len(in.Records) == 0 {
		return ctx.Err()
	}
	f.ids = resize(f.ids, len(in.Records))
	for i := range f.ids {
		f.ids[i] = rootID{root: i}
	}
	cur, ids := in, f.ids
	for i := range c.links {
		last := i == len(c.links)-1
		entering(watches, i, cur)
		next, err := c.links[i].run(ctx, cur, ids, in, f, last)
		if err != nil {
			f.Reset()
			return err
		}
		left(watches, i, c.links[i].Name, cur, &next.out)
		c.links[i].Shadow.offer(watches, i, cur, &next.out)
		if last || len(next.in.Records) == 0 {
			break
		}
		cur, ids = next.in, next.ids
	}
	f.settle()
	finished(watches, in, f)
	return nil
}

// Share returns a chain of the same transforms with a tap of its own, and without their shadows: records that pass both
// chains are compared once. Only one of the two is closed. The transforms of own take the place of those with their names: they
// remember what has passed them, and must not see it twice.
func (c *Chain) Share(own ...Link) *Chain {
	shared := &Chain{links: append([]Link(nil), c.links...)}
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
func (f *Final) identity(in *record.Batch) error {
	f.Outs = resize(f.Outs, len(in.Records))
	for i := range in.Records {
		r := &in.Records[i]
		f.Roots[i] = Root{First: i, N: 1}
		f.Outs[i] = Out{Parent: i, Key: r.Key, Data: r.Data, Attrs: r.Attrs}
	}
	return nil
}

// run applies the stage to cur, whose records descend from the roots that ids name. The outputs become the input of the
// step it returns or, after the last stage, f.Outs.
func (l *Link) run(ctx context.Context, cur *record.Batch, ids []rootID, roots *record.Batch, f *Final, last bool) (*step, error) {
	if err := l.Tolerance.admit(ctx, l, cur); err != nil {
		return nil, err
	}
	s := f.step()
	if err := l.isolate(ctx, cur, s); err != nil {
		return nil, err
	}
	if err := l.Tolerance.note(&s.out); err != nil {
		return nil, err
	}
	if last {
		f.Outs = slices.Grow(f.Outs, max(len(cur.Records), len(s.out.Outs)))
	}
	for i := range s.out.Results {
		res, id := &s.out.Results[i], ids[i]
		root := &f.Roots[id.root]
		if root.Fail != nil { // a sibling failed before, in this stage
			continue
		}
		switch res.Status {
		case Unchanged:
			r := &cur.Records[i]
			f.emit(s, id, &roots.Records[id.root], Out{Key: r.Key, Data: r.Data, Attrs: r.Attrs}, last)
		case OK:
			for _, o := range s.out.Outs[res.First : res.First+res.N] {
				f.emit(s, rootID{id.root, merge(id.partition, o.Partition)}, &roots.Records[id.root], o, last)
			}
		case Dropped:
		case Failed:
			fail := l.failure(res, &cur.Records[i])
			switch l.Policy {
			case Drop:
				f.Dropped++
			case Stop:
				return nil, stopped(fail)
			default:
				root.Fail = fail
			}
		}
	}
	f.number(s)
	return s, nil
}

// emit passes an output on: to f.Outs after the last stage, else to the records that enter the next.
func (f *Final) emit(s *step, id rootID, root *record.Record, o Out, last bool) {
	if last {
		o.Parent, o.Partition = id.root, id.partition
		f.Outs = append(f.Outs, o)
		return
	}
	s.ids = append(s.ids, id)
	s.in.Records = append(s.in.Records, record.Record{
		Shard: root.Shard, Seq: root.Seq, Arrived: root.Arrived, Key: o.Key, Data: o.Data, Attrs: o.Attrs,
	})
}

// number takes what descends from dead roots out of the next stage's input and numbers the rest within their roots.
func (f *Final) number(s *step) {
	n := 0
	for i, id := range s.ids {
		if f.Roots[id.root].Fail != nil {
			continue
		}
		s.ids[n], s.in.Records[n] = id, s.in.Records[i]
		s.in.Records[n].Sub = 0
		if n > 0 && s.ids[n-1].root == id.root {
			s.in.Records[n].Sub = s.in.Records[n-1].Sub + 1
		}
		n++
	}
	clear(s.ids[n:])
	clear(s.in.Records[n:])
	s.ids, s.in.Records = s.ids[:n], s.in.Records[:n]
}

// settle drops the outputs of dead roots and sets the roots' ranges. Outs are in the order of their roots.
func (f *Final) settle() {
	n := 0
	for i := range f.Outs {
		root := &f.Roots[f.Outs[i].Parent]
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
