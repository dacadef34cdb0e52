package stream

import (
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/core/shardlog"
)

// keepPlan is the largest plan, in entries, that is kept for later puts.
const keepPlan = 16 << 10

// plan is the working memory of one put: which entry goes to which shard. Its methods are called in the order route,
// limit (once), group, settle; after settle, what is still pending may be routed and grouped again.
type plan struct {
	pending []int32          // entries still to store, ascending
	shard   []int32          // for each of pending, the index of its shard in the table's open list
	run     []int32          // for each open shard, the number of its run plus one; zeros between calls of group
	next    []int32          // for each run, the next free place in grouped
	grouped []shardlog.Entry // entries by run
	entry   []int32          // for each of grouped, which entry it is
	runs    []shardlog.Run
}

var plans = sync.Pool{New: func() any { return new(plan) }}

// newPlan returns a plan with all entries pending.
func newPlan(entries int) *plan {
	p := plans.Get().(*plan)
	p.pending = p.pending[:0]
	for i := range entries {
		p.pending = append(p.pending, int32(i))
	}
	return p
}

// release gives the plan back, without the memory of its callers.
func (p *plan) release() {
	if cap(p.grouped) > keepPlan {
		return
	}
	clear(p.grouped)
	clear(p.runs)
	plans.Put(p)
}

// route finds the shard of each pending entry.
func (p *plan) route(t *table, entries []Entry) {
	p.shard = p.shard[:0]
	last := -1 // the entry before, if its shard follows from its key
	for n, i := range p.pending {
		e := &entries[i]
		if last >= 0 && e.ExplicitHashKey == "" && e.Key == entries[last].Key {
			p.shard = append(p.shard, p.shard[n-1])
			continue
		}
		last = -1
		var k HashKey
		if e.ExplicitHashKey == "" {
			last = int(i)
			k = HashOf(e.Key)
		} else {
			k, _ = parseHashKey(e.ExplicitHashKey) // CheckEntry saw to it that it is one
		}
		p.shard = append(p.shard, int32(t.find(k)))
	}
}

// limit takes the pending entries from their shards' buckets. Those that are refused are no longer pending; their
// results carry the shard and the error, and limit returns the last of them.
func (p *plan) limit(t *table, now time.Duration, entries []Entry, results []PutResult) (refused error) {
	kept := 0
	for n, i := range p.pending {
		b := t.open[p.shard[n]].bucket
		if b != nil && !b.take(now, len(entries[i].Key)+len(entries[i].Data)) {
			refused = b.refusal
			t.meters[t.open[p.shard[n]].id].refuse()
			results[i].Shard, results[i].Err = t.open[p.shard[n]].id, refused
			continue
		}
		p.pending[kept], p.shard[kept] = i, p.shard[n]
		kept++
	}
	p.pending, p.shard = p.pending[:kept], p.shard[:kept]
	return refused
}

// refund gives back what limit took for the pending entries.
func (p *plan) refund(t *table, entries []Entry) {
	for n, i := range p.pending {
		if b := t.open[p.shard[n]].bucket; b != nil {
			b.refund(len(entries[i].Key) + len(entries[i].Data))
		}
	}
}

// group makes one run a shard of the pending entries; within a run they keep their order.
func (p *plan) group(t *table, entries []Entry) {
	clear(p.runs)
	clear(p.grouped)
	p.runs, p.next = p.runs[:0], p.next[:0]
	p.run = slices.Grow(p.run[:0], len(t.open))[:len(t.open)]
	for _, sh := range p.shard {
		if p.run[sh] == 0 {
			p.runs = append(p.runs, shardlog.Run{Shard: t.open[sh].id})
			p.next = append(p.next, 0)
			p.run[sh] = int32(len(p.runs))
		}
		p.next[p.run[sh]-1]++
	}
	p.grouped = slices.Grow(p.grouped[:0], len(p.pending))[:len(p.pending)]
	p.entry = slices.Grow(p.entry[:0], len(p.pending))[:len(p.pending)]
	at := int32(0)
	for r, n := range p.next {
		p.runs[r].Entries = p.grouped[at : at+n]
		p.next[r] = at
		at += n
	}
	for n, i := range p.pending {
		e := &entries[i]
		to := &p.next[p.run[p.shard[n]]-1]
		p.grouped[*to] = shardlog.Entry{Key: e.Key, Data: e.Data, Attrs: e.Attrs}
		p.entry[*to] = i
		*to++
	}
	for _, sh := range p.shard {
		p.run[sh] = 0
	}
}

// settle writes the results of the runs that were stored, leaves the entries of the others pending, in order, and
// returns how many were stored.
func (p *plan) settle(t *table, stored []shardlog.RunResult, results []PutResult) int {
	all := len(p.pending)
	p.pending = p.pending[:0]
	at := 0
	for r := range p.runs {
		ids := p.entry[at : at+len(p.runs[r].Entries)]
		at += len(ids)
		if stored[r].Err != nil {
			p.pending = append(p.pending, ids...)
			continue
		}
		shard := p.runs[r].Shard
		created := t.shards[shard].created
		for n, i := range ids {
			results[i] = PutResult{Shard: shard, Seq: stored[r].First + uint64(n), Arrived: stored[r].Arrived, created: created}
		}
	}
	slices.Sort(p.pending)
	return all - len(p.pending)
}
