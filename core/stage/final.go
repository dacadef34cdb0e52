package stage

import (
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// Final is what a chain made of a batch. Its zero value is ready for [Chain.Run], which may fill the same Final any number
// of times. Outs and failures point into the input batch and into memory of the Final: they are valid until the next
// Run, Reset or Release, and while the caller holds its reference to the input batch. A Final serves one Run at a time.
type Final struct {
	// Roots has one element for each record of the input batch, in its order.
	Roots []Root
	// Outs holds the outputs of all roots, in the roots' order. Out.Parent is the index of the root.
	Outs []Out
	// Dropped counts the records that a stage failed and its policy dropped. They are not among the roots' failures.
	Dropped int

	steps []*step
	spare []*step
	ids   []rootID
}

// Root is what became of one record of the input batch: Final.Outs[First:First+N], or a failure. Without either, the
// record was dropped.
type Root struct {
	First, N int
	// Fail is set if a stage with policy dead_letter failed the record or one of its outputs. Such a root has no outputs:
	// a record is dead as a whole, so that its dead letter, sent in again, makes each of its outputs once.
	Fail *Failure
}

// Failure says why a record is dead.
type Failure struct {
	// Stage is the name of the stage that failed it, and Digest is its [Link.Digest].
	Stage  string
	Digest string
	Class  fault.Class
	// Code is stable: the transform's own, or one of this package (stage.bad_output, stage.panic, stage.failed).
	Code string
	// Reason is a sentence for people, at most 1024 bytes.
	Reason string
	// Input is the record as it entered that stage: the root itself in the first stage, else one of its outputs so far.
	// Shard, Seq and Arrived are the root's.
	Input record.Record
}

// Sub is the number of Outs[i] among the outputs of its root. It is 0 for an only output.
func (f *Final) Sub(i int) uint32 { return uint32(i - f.Roots[f.Outs[i].Parent].First) }

// Reset forgets the last run and keeps the memory for the next.
func (f *Final) Reset() {
	clear(f.Roots)
	clear(f.Outs)
	f.Roots, f.Outs, f.Dropped = f.Roots[:0], f.Outs[:0], 0
	for _, s := range f.steps {
		s.reset()
	}
	f.spare = append(f.spare, f.steps...)
	f.steps = f.steps[:0]
}

// Release gives the memory back. The Final is then as good as new.
func (f *Final) Release() {
	f.Reset()
	for _, s := range f.spare {
		s.release()
	}
	*f = Final{}
}

// step is the memory of one stage's run over one batch.
type step struct {
	in   *record.Batch // records that enter the stage; their bytes belong to earlier steps and to the input batch
	ids  []rootID      // parallel to in.Records
	out  Output
	part Output        // results of a part of the batch, while the chain isolates
	sub  *record.Batch // the part itself
}

// rootID ties a record inside the chain to its root.
type rootID struct {
	root      int
	partition record.Attrs
}

func (f *Final) step() *step {
	if n := len(f.spare); n > 0 {
		s := f.spare[n-1]
		f.spare = f.spare[:n-1]
		f.steps = append(f.steps, s)
		return s
	}
	s := newStep()
	f.steps = append(f.steps, s)
	return s
}

func newStep() *step {
	s := &step{in: record.NewBatch()}
	s.out.Reset()
	return s
}

func (s *step) reset() {
	s.in.Reset()
	clear(s.ids)
	s.ids = s.ids[:0]
	s.out.Reset()
	clear(s.part.Results)
	clear(s.part.Outs)
	s.part.Results, s.part.Outs = s.part.Results[:0], s.part.Outs[:0]
	if s.sub != nil {
		s.sub.Reset()
	}
}

func (s *step) release() {
	s.in.Release()
	s.out.Arena.Release()
	if s.sub != nil {
		s.sub.Release()
	}
}
