package stage

import (
	"bytes"
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// Shadow runs a second transform beside a stage, on a sample of the same records, and counts where it would have made
// something else of them. Nothing of what it makes goes on.
//
// It works on copies, in a goroutine of its own, behind a bounded queue: while it is behind, what would be sampled is
// skipped and counted. Whatever it does, traps and time limits included, ends as a number. A batch that is run again, because a
// later stage could not work, is compared again.
type Shadow struct {
	link      Link
	threshold uint64 // records whose hash is below it are sampled
	counter   ShadowCounter

	jobs   chan *shadowJob
	queued atomic.Int64 // bytes in jobs
	stop   context.CancelFunc
	ended  sync.WaitGroup
	totals shadowTotals
}

// Bounds of what waits for a shadow.
const (
	shadowJobs  = 8
	shadowBytes = 16 << 20
)

// Difference is a kind of difference between what a stage and its shadow make of a record. Of several, it is the first
// in this order.
type Difference string

const (
	// DiffError is that the shadow fails a record which the stage does not fail.
	DiffError Difference = "error"
	// DiffStatus is that one drops the record or fails it, and the other does not.
	DiffStatus Difference = "status"
	// DiffOutputs is another number of outputs.
	DiffOutputs Difference = "outputs"
	// DiffData is other data, which for JSON is another value and not another way to write it.
	DiffData Difference = "data"
	// DiffKey is another partition key of the record.
	DiffKey Difference = "key"
	// DiffPartition is other partition keys for prefixes.
	DiffPartition Difference = "partition"
)

// Differences lists the kinds.
var Differences = []Difference{DiffError, DiffStatus, DiffOutputs, DiffData, DiffKey, DiffPartition}

// ShadowCounter is told what a shadow finds.
type ShadowCounter interface {
	Compared(records int)
	Different(kind string)
	Skipped(records int)
}

// ShadowConfig configures a shadow.
type ShadowConfig struct {
	// Name of the stage, and the transform that runs beside it. The caller closes it, after the shadow.
	Name      string
	Transform Transform
	// Sample is the part of the records that the shadow sees, more than 0. Which ones they are depends on
	// their places in the stream alone.
	Sample setting.Share
	// Counter is told what is found; nil: nobody.
	Counter ShadowCounter
}

// ShadowStats is what a shadow has found.
type ShadowStats struct {
	Compared  uint64                `json:"compared"`
	Skipped   uint64                `json:"skipped"` // of the sample, for the shadow was behind
	Different map[Difference]uint64 `json:"different"`
}

type shadowTotals struct {
	compared, skipped atomic.Uint64
	mu                sync.Mutex
	different         map[Difference]uint64
}

// shadowJob is a sample of one batch and what the stage made of it.
type shadowJob struct {
	batch   *record.Batch
	fates   []Fate // in the memory of batch
	bytes   int64
	watches *[]*Watch
	stage   int
}

// NewShadow starts a shadow. It ends with Close.
func NewShadow(cfg ShadowConfig) *Shadow {
	ctx, stop := context.WithCancel(context.Background())
	s := &Shadow{
		link: Link{Name: cfg.Name, Transform: cfg.Transform}, counter: cfg.Counter, stop: stop,
		threshold: math.MaxUint64, jobs: make(chan *shadowJob, shadowJobs), totals: shadowTotals{different: map[Difference]uint64{}},
	}
	if cfg.Sample < 1 {
		s.threshold = uint64(float64(cfg.Sample) * (1 << 63) * 2)
	}
	s.ended.Go(func() { s.run(ctx) })
	return s
}

// Digest is the digest of the module of the i-th stage; empty if it runs none.
func (c *Chain) Digest(i int) string { return c.links[i].Digest }

// Shadow is the shadow of the i-th stage, or nil.
func (c *Chain) Shadow(i int) *Shadow { return c.links[i].Shadow }

// Close ends the shadow. What waits is not compared any more.
func (s *Shadow) Close() {
	s.stop()
	s.ended.Wait()
}

// Stats is what the shadow has found until now.
func (s *Shadow) Stats() ShadowStats {
	s.totals.mu.Lock()
	defer s.totals.mu.Unlock()
	out := ShadowStats{Compared: s.totals.compared.Load(), Skipped: s.totals.skipped.Load(), Different: map[Difference]uint64{}}
	for kind, n := range s.totals.different {
		out.Different[kind] = n
	}
	return out
}

// sampled reports whether a record is in the sample. The hash is the finalizer of MurmurHash3 in 64 bits.
func (s *Shadow) sampled(r *record.Record) bool {
	h := r.Seq ^ uint64(r.Shard)<<40 ^ uint64(r.Sub)<<20
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h^h>>33 <= s.threshold
}

// offer gives the shadow its sample of a batch and what the stage made of it, unless it is behind.
func (s *Shadow) offer(watches *[]*Watch, stage int, in *record.Batch, out *Output) {
	if s == nil {
		return
	}
	var job *shadowJob
	skipped := 0
	for i := range in.Records {
		if !s.sampled(&in.Records[i]) {
			continue
		}
		if skipped > 0 || len(s.jobs) == cap(s.jobs) || s.queued.Load() >= shadowBytes {
			skipped++
			continue
		}
		if job == nil {
			job = &shadowJob{batch: record.NewBatch(), watches: watches, stage: stage}
		}
		before := job.bytes
		job.add(&in.Records[i], out.fate(s.link.Name, i, &in.Records[i]))
		s.queued.Add(job.bytes - before)
	}
	if job != nil {
		select {
		case s.jobs <- job:
		default: // other workers were faster
			skipped += len(job.fates)
			s.queued.Add(-job.bytes)
			job.batch.Release()
		}
	}
	if skipped > 0 {
		s.skip(skipped)
	}
}

func (s *Shadow) skip(n int) {
	s.totals.skipped.Add(uint64(n))
	if s.counter != nil {
		s.counter.Skipped(n)
	}
}

// add copies a record and its fate into the job.
func (j *shadowJob) add(r *record.Record, f Fate) {
	j.batch.Add(*r)
	j.bytes += int64(r.Size())
	f.Code, f.Reason = j.batch.String(f.Code), j.batch.String(f.Reason)
	outs := make([]Out, len(f.Outs))
	for i, o := range f.Outs {
		if f.Status == Unchanged {
			same := &j.batch.Records[len(j.batch.Records)-1]
			outs[i] = Out{Key: same.Key, Data: same.Data, Attrs: same.Attrs}
			continue
		}
		outs[i] = Out{Key: j.batch.String(o.Key), Data: j.batch.Bytes(o.Data), Partition: cloneAttrs(o.Partition), Attrs: cloneAttrs(o.Attrs)}
		j.bytes += int64(len(o.Key) + len(o.Data))
	}
	f.Outs = outs
	j.fates = append(j.fates, f)
}

// run compares until ctx is done.
func (s *Shadow) run(ctx context.Context) {
	var f Final
	defer f.Release()
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.jobs:
			s.compare(ctx, j, &f)
			s.queued.Add(-j.bytes)
			j.batch.Release()
		}
	}
}

func (s *Shadow) compare(ctx context.Context, j *shadowJob, f *Final) {
	var step *step
	var err error
	from, to := 0, 0 // the records in step
	for i := range j.fates {
		if i == to {
			f.Reset()
			step = f.step(0)
			step.view.Records = j.batch.Records[i:]
			err = s.link.isolate(ctx, &step.view, step)
			if ctx.Err() != nil {
				return
			}
			if from, to = i, i+len(step.out.Results); err != nil {
				to = len(j.fates)
			}
		}
		r := &j.batch.Records[i]
		var made Fate
		if err != nil { // it cannot work at all for now
			made = Fate{Status: Failed, Stage: s.link.Name, Code: fault.CodeOf(err), Reason: err.Error()}
		} else {
			made = step.out.fate(s.link.Name, i-from, r)
		}
		kind := differ(&j.fates[i], &made)
		if kind == "" {
			continue
		}
		s.totals.mu.Lock()
		s.totals.different[kind]++
		s.totals.mu.Unlock()
		if s.counter != nil {
			s.counter.Different(string(kind))
		}
		if j.watches == nil {
			continue
		}
		for _, w := range *j.watches {
			if w.cfg.Stage == j.stage && w.cfg.Side == SideShadow {
				w.show(1, func(int) *Seen {
					shadow := made // each copies for itself
					return &Seen{In: *r, Fate: j.fates[i], Shadow: &shadow, Difference: kind}
				})
			}
		}
	}
	s.totals.compared.Add(uint64(len(j.fates)))
	if s.counter != nil {
		s.counter.Compared(len(j.fates))
	}
}

// differ says how two fates of a record differ; empty if they do not.
func differ(stage, shadow *Fate) Difference {
	switch {
	case shadow.Status == Failed && stage.Status == Failed:
		return ""
	case shadow.Status == Failed:
		return DiffError
	case stage.Status == Failed, (stage.Status == Dropped) != (shadow.Status == Dropped):
		return DiffStatus
	case len(stage.Outs) != len(shadow.Outs):
		return DiffOutputs
	}
	kind := Difference("")
	for i := range stage.Outs {
		a, b := &stage.Outs[i], &shadow.Outs[i]
		switch {
		case !bytes.Equal(a.Data, b.Data) && !codec.JSONEqual(a.Data, b.Data):
			return DiffData
		case a.Key != b.Key:
			kind = DiffKey
		case kind == "" && !sameAttrs(a.Partition, b.Partition):
			kind = DiffPartition
		}
	}
	return kind
}

// sameAttrs compares attributes whatever their order.
func sameAttrs(a, b record.Attrs) bool {
	if len(a) != len(b) {
		return false
	}
	for _, want := range a {
		if got, ok := b.Get(want.Name); !ok || got != want.Value {
			return false
		}
	}
	return true
}
