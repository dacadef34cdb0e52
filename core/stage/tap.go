package stage

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/record"
)

// Tap is where people look at what passes a chain while it runs. What nobody watches costs one atomic load a batch. A watch
// costs copies of the records that it shows: it never blocks the chain, and what it has no room or no time for is counted.
type Tap struct {
	mu      sync.Mutex // held while watches is replaced
	watches atomic.Pointer[[]*Watch]
}

// Side is what of a stage a watch shows.
type Side uint8

const (
	// SideIn is the records that enter, before the stage has seen them.
	SideIn Side = iota
	// SideOut is what becomes of them.
	SideOut
	// SideDiff is both.
	SideDiff
	// SideShadow is the records of which the stage's shadow makes something else.
	SideShadow
)

// WholeChain as the stage of a watch is all stages together: the stream's records and what they become in the end.
const WholeChain = -1

// Bounds of what waits to be read from a watch. A record larger than queueBytes waits alone.
const (
	queueRecords = 1024
	queueBytes   = 8 << 20
)

// WatchConfig says what to watch.
type WatchConfig struct {
	// Stage is the index of a stage, or WholeChain.
	Stage int
	Side  Side
	// Rate is the most records shown a second, with a burst of as many; the records of a batch that are shown are spread
	// over it. 0 is no limit but the reader's.
	Rate int
}

// Seen is one record as it was seen. Its memory is its own.
type Seen struct {
	// In is the record that entered.
	In record.Record
	// What became of it, unless the side is SideIn.
	Fate
	// Shadow is what the shadow made of it, and Difference the kind of what differs, on SideShadow.
	Shadow     *Fate
	Difference Difference

	size int
}

// Fate is what became of a record.
type Fate struct {
	Status Status
	// Stage is where it was dropped or failed, and Code and Reason why it failed, also if it was dropped for it.
	Stage, Code, Reason string
	// Outs are the outputs; that of an unchanged record is the record itself. Their parents are without meaning.
	Outs []Out
}

// Watch is one look at a tap. Whoever made it reads C until it has seen enough, and closes it then.
type Watch struct {
	cfg WatchConfig
	tap *Tap
	// C has what was seen, batch by batch: those of batches that are worked on at the same time are in any order.
	C <-chan *Seen

	c       chan *Seen
	queued  atomic.Int64 // bytes in c
	skipped atomic.Uint64

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

// Watch begins to watch.
func (t *Tap) Watch(cfg WatchConfig) *Watch {
	w := &Watch{cfg: cfg, tap: t, c: make(chan *Seen, queueRecords), tokens: float64(cfg.Rate), filled: time.Now()}
	w.C = w.c
	t.change(func(all []*Watch) []*Watch { return append(all, w) })
	return w
}

// Close ends the watch. It does not close C, which batches under way may still write to.
func (w *Watch) Close() {
	w.tap.change(func(all []*Watch) []*Watch {
		return slices.DeleteFunc(all, func(other *Watch) bool { return other == w })
	})
}

// Skipped is how many records have passed that are neither in C nor have been.
func (w *Watch) Skipped() uint64 { return w.skipped.Load() }

// Took makes room for as much as a record that was read from C.
func (w *Watch) Took(s *Seen) { w.queued.Add(-int64(s.size)) }

func (t *Tap) change(to func([]*Watch) []*Watch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*Watch
	if now := t.watches.Load(); now != nil {
		all = slices.Clone(*now)
	}
	if all = to(all); len(all) == 0 {
		t.watches.Store(nil)
		return
	}
	t.watches.Store(&all)
}

// entering shows records that are about to enter a stage. watches may be nil, also below.
func entering(watches *[]*Watch, stage int, in *record.Batch) {
	if watches == nil {
		return
	}
	for _, w := range *watches {
		if w.cfg.Stage == stage && w.cfg.Side == SideIn {
			w.show(len(in.Records), func(i int) *Seen { return &Seen{In: in.Records[i]} })
		}
	}
}

// left shows what a stage made of its input.
func left(watches *[]*Watch, stage int, name string, in *record.Batch, out *Output) {
	if watches == nil {
		return
	}
	for _, w := range *watches {
		if w.cfg.Stage == stage && (w.cfg.Side == SideOut || w.cfg.Side == SideDiff) {
			w.show(len(in.Records), func(i int) *Seen { return &Seen{In: in.Records[i], Fate: out.fate(name, i, &in.Records[i])} })
		}
	}
}

// finished shows what the whole chain made of a batch.
func finished(watches *[]*Watch, in *record.Batch, f *Final) {
	if watches == nil {
		return
	}
	for _, w := range *watches {
		if w.cfg.Stage == WholeChain && (w.cfg.Side == SideOut || w.cfg.Side == SideDiff) {
			w.show(len(in.Records), func(i int) *Seen { return &Seen{In: in.Records[i], Fate: f.fate(i)} })
		}
	}
}

// fate is what became of the i-th record, r. It shares o's memory.
func (o *Output) fate(stage string, i int, r *record.Record) Fate {
	res := &o.Results[i]
	switch res.Status {
	case OK:
		return Fate{Outs: o.Outs[res.First : res.First+res.N]}
	case Unchanged:
		return Fate{Status: Unchanged, Outs: []Out{{Key: r.Key, Data: r.Data, Attrs: r.Attrs}}}
	case Failed:
		return Fate{Status: Failed, Stage: stage, Code: res.Code, Reason: res.Reason}
	}
	return Fate{Status: res.Status}
}

func (f *Final) fate(i int) Fate {
	root := &f.Roots[i]
	switch {
	case root.Fail != nil:
		return Fate{Status: Failed, Stage: root.Fail.Stage, Code: root.Fail.Code, Reason: root.Fail.Reason}
	case root.N == 0:
		fate := Fate{Status: Dropped, Stage: root.Discard.Stage}
		if fail := root.Discard.Fail; fail != nil {
			fate.Code, fate.Reason = fail.Code, fail.Reason
		}
		return fate
	}
	return Fate{Outs: f.Outs[root.First : root.First+root.N]}
}

// show queues copies of some of n records, as many as the rate and the queue allow.
func (w *Watch) show(n int, seen func(i int) *Seen) {
	take := w.allow(n)
	w.skipped.Add(uint64(n - take))
	for k := range take {
		if !w.queue(seen(k * n / take)) {
			w.skipped.Add(1)
		}
	}
}

// allow says how many of n records may be shown now.
func (w *Watch) allow(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = min(n, cap(w.c)-len(w.c))
	if w.cfg.Rate == 0 {
		return n
	}
	now := time.Now()
	rate := float64(w.cfg.Rate)
	w.tokens = min(rate, w.tokens+now.Sub(w.filled).Seconds()*rate)
	w.filled = now
	n = min(n, int(w.tokens))
	w.tokens -= float64(n)
	return n
}

// queue copies s and queues the copy, if there is room.
func (w *Watch) queue(s *Seen) bool {
	s.size = s.In.Size() + s.Fate.size()
	if s.Shadow != nil {
		s.size += s.Shadow.size()
	}
	if all := w.queued.Add(int64(s.size)); all > queueBytes && all > int64(s.size) {
		w.queued.Add(-int64(s.size))
		return false
	}
	s.own()
	select {
	case w.c <- s:
		return true
	default:
		w.queued.Add(-int64(s.size))
		return false
	}
}

// own makes s independent of the batch that it was taken from.
func (s *Seen) own() {
	r := &s.In
	r.Key, r.Data, r.Attrs = strings.Clone(r.Key), slices.Clone(r.Data), cloneAttrs(r.Attrs)
	s.Fate.own()
	if s.Shadow != nil {
		s.Shadow.own()
	}
}

func (f *Fate) size() int {
	n := len(f.Code) + len(f.Reason)
	for i := range f.Outs {
		n += len(f.Outs[i].Key) + len(f.Outs[i].Data)
	}
	return n
}

func (f *Fate) own() {
	f.Code, f.Reason = strings.Clone(f.Code), strings.Clone(f.Reason)
	f.Outs = slices.Clone(f.Outs)
	for i := range f.Outs {
		o := &f.Outs[i]
		o.Key, o.Data, o.Attrs, o.Partition = strings.Clone(o.Key), slices.Clone(o.Data), cloneAttrs(o.Attrs), cloneAttrs(o.Partition)
	}
}

func cloneAttrs(attrs record.Attrs) record.Attrs {
	attrs = slices.Clone(attrs)
	for i := range attrs {
		attrs[i].Name, attrs[i].Value = strings.Clone(attrs[i].Name), strings.Clone(attrs[i].Value)
	}
	return attrs
}
