package stage

import (
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// Final is what a chain made of a part of a batch: of as many records as the bounds of its memory allow, which is nearly always
// all of them. Its zero value is ready for [Chain.Run], which may fill the same Final any number of times. Outs and failures
// point into the input batch and into memory of the Final: they are valid until the next Run, Reset or Release, and while
// the caller holds its reference to the input batch. A Final serves one Run at a time.
type Final struct {
	// From is the index in the batch of the part's first record.
	From int
	// Roots has one element for each record of the part, in the batch's order.
	Roots []Root
	// Outs holds the outputs of all roots, in the roots' order, and perhaps of records beyond the part. Out.Parent is the index
	// of the record in the batch.
	Outs []Out

	all   []Root   // of the batch
	made  int      // how many of them are known
	size  int      // of Outs that have been made
	ids   []rootID // of the batch's records
	steps []*step  // of the stages that have been reached
	spare []*step
}

// Left is how many records of the batch come after the part.
func (f *Final) Left() int { return len(f.all) - f.From - len(f.Roots) }

// Root is what became of one record of the input batch: Final.Outs[First:First+N], or a failure. Without either, the
// record was dropped, as Discard says.
type Root struct {
	First, N int
	// Fail is set if a stage with policy dead_letter failed the record or one of its outputs. Such a root has no outputs:
	// a record is dead as a whole, so that its dead letter, sent in again, makes each of its outputs once.
	Fail *Failure
	// Discard is about what was dropped last of the record and what it became; nil if nothing was.
	Discard *Discard
}

// Discard says which stage dropped a record.
type Discard struct {
	Stage string
	// Fail is set if the stage failed it, and its policy is drop.
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
func (f *Final) Sub(i int) uint32 { return uint32(i - f.all[f.Outs[i].Parent].First) }

// Reset forgets the last run, and what is left of its batch, and keeps the memory for the next.
func (f *Final) Reset() {
	f.forget(0)
	clear(f.all)
	f.From, f.Roots, f.all, f.made = 0, f.all[:0], f.all[:0], 0
	for _, s := range f.steps {
		s.begin()
	}
	f.spare = append(f.spare, f.steps...)
	f.steps = f.steps[:0]
}

// forget takes the memory back of what a stage and those after it have made.
func (f *Final) forget(stage int) {
	clear(f.Outs)
	f.Outs, f.size = f.Outs[:0], 0
	for i := stage; i < len(f.steps); i++ {
		f.steps[i].reset()
		if i > stage {
			f.steps[i].begin()
		}
	}
}

// Release gives the memory back. The Final is then as good as new.
func (f *Final) Release() {
	f.Reset()
	for _, s := range f.spare {
		s.release()
	}
	*f = Final{}
}

// begin prepares for a batch of n records.
func (f *Final) begin(n int) {
	f.Reset()
	f.all = resize(f.all, n)
	clear(f.all)
}

// hand makes a part of the next roots that are known, as many as take no more than room bytes together and at least one.
func (f *Final) hand(room int) {
	f.From += len(f.Roots)
	to, size := f.From, 0
	if f.size < room {
		to = f.made
	}
	for ; to < f.made && size < room; to++ {
		r := &f.all[to]
		for i := r.First; i < r.First+r.N; i++ {
			size += f.Outs[i].Size()
		}
	}
	f.Roots = f.all[f.From:to]
}

// step is the memory of one stage's run over one batch.
type step struct {
	at     int          // how many of the records that enter the stage it has run
	shown  bool         // whether those who watch have seen them enter
	view   record.Batch // the records in work
	roots  []rootID     // parallel to view.Records
	before int          // size of all records that have entered; 0 for those of the stream
	out    Output
	most   int           // that outputs of one root may take
	next   *record.Batch // what goes on to the next stage; its bytes belong to this and earlier steps and to the input batch
	ids    []rootID      // parallel to next.Records
	size   int           // of next, or of Final.Outs
	failed int           // calls with more than one record
	part   Output        // results of a part of the records in work, while the chain isolates
	sub    *record.Batch // the part itself
}

// rootID ties a record inside the chain to its root.
type rootID struct {
	root      int
	partition record.Attrs
}

// step returns that of a stage. Those of the stages before it are there.
func (f *Final) step(stage int) *step {
	if stage == len(f.steps) {
		n := len(f.spare)
		if n == 0 {
			f.spare, n = append(f.spare, newStep()), 1
		}
		f.steps = append(f.steps, f.spare[n-1])
		f.spare = f.spare[:n-1]
	}
	return f.steps[stage]
}

// entering returns the records that enter a stage, with their roots and, but for the first stage, their size.
func (f *Final) entering(stage int, in *record.Batch) ([]record.Record, []rootID, int) {
	if stage == 0 {
		return in.Records, f.ids, 0
	}
	s := f.steps[stage-1]
	return s.next.Records, s.ids, s.size
}

// waiting returns the deepest stage with records in front of it, and the root of the first of them. All roots before that
// are known, and what the stages after it have made belongs to them. Without any it is the number of roots.
func (f *Final) waiting(in *record.Batch) (stage, root int) {
	for stage = len(f.steps) - 1; stage >= 0; stage-- {
		if _, ids, _ := f.entering(stage, in); f.steps[stage].at < len(ids) {
			return stage, ids[f.steps[stage].at].root
		}
	}
	return 0, len(f.all)
}

func newStep() *step {
	s := &step{next: record.NewBatch(), most: MaxOutput}
	s.out.Reset()
	s.out.room = partRoom
	return s
}

// begin prepares for other records.
func (s *step) begin() { s.at, s.shown, s.failed = 0, false, 0 }

// reset forgets what the stage has made, and not how far it is.
func (s *step) reset() {
	s.next.Reset()
	clear(s.ids)
	s.ids, s.size = s.ids[:0], 0
	s.out.Reset()
	s.view.Records, s.roots = nil, nil
	clear(s.part.Results)
	clear(s.part.Outs)
	s.part.Results, s.part.Outs = s.part.Results[:0], s.part.Outs[:0]
	if s.sub != nil {
		s.sub.Reset()
	}
}

func (s *step) release() {
	s.next.Release()
	s.out.Arena.Release()
	if s.sub != nil {
		s.sub.Release()
	}
}
