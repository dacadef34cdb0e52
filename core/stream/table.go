package stream

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// table is an immutable view of a stream's shards. Puts route by it without a lock; a reshard replaces it.
type table struct {
	starts []HashKey                     // where the range of each open shard begins, ascending
	open   []openShard                   // the shards of starts
	shards map[record.ShardID]*shardMeta // open and closed
	next   record.ShardID                // index that the next new shard gets
	newest int64                         // the latest creation second among all shards
	meters map[record.ShardID]*meter     // of the open shards of an on-demand stream, else nil
}

type openShard struct {
	id     record.ShardID
	bucket *bucket // nil: no limit
}

// newTable reads the shards of a log. Buckets of shards that old knows too go on, if the limit is the same.
func newTable(name string, states []shardlog.ShardState, limit WriteLimit, old *table) (*table, error) {
	t := &table{shards: make(map[record.ShardID]*shardMeta, len(states))}
	buckets := map[record.ShardID]*bucket{}
	if old != nil {
		t.next, t.newest = old.next, old.newest
		for _, o := range old.open {
			buckets[o.id] = o.bucket
		}
	}
	for i := range states {
		st := &states[i]
		m, err := decodeMeta(st.Meta)
		if err != nil {
			return nil, fmt.Errorf("%v: %w: %w", st.ID, shardlog.ErrCorrupt, err)
		}
		t.shards[st.ID] = &m
		t.next = max(t.next, st.ID+1)
		t.newest = max(t.newest, m.created)
		if !st.Closed.IsZero() {
			continue
		}
		o := openShard{id: st.ID}
		if limit != (WriteLimit{}) {
			if o.bucket = buckets[st.ID]; o.bucket == nil || o.bucket.limit != limit {
				o.bucket = newBucket(limit, errThroughput(name, st.ID, limit))
			}
		}
		t.open = append(t.open, o)
	}
	slices.SortFunc(t.open, func(a, b openShard) int {
		return t.shards[a.id].hash.Start.Compare(t.shards[b.id].hash.Start)
	})
	if err := t.checkCover(); err != nil {
		return nil, fmt.Errorf("%w: %w", shardlog.ErrCorrupt, err)
	}
	for _, o := range t.open {
		t.starts = append(t.starts, t.shards[o.id].hash.Start)
	}
	return t, nil
}

// checkCover makes sure that the open shards divide the hash space without a gap or an overlap.
func (t *table) checkCover() error {
	want := HashKey{}
	for i, o := range t.open {
		r := t.shards[o.id].hash
		if r.Start != want || i > 0 && want == (HashKey{}) {
			return fmt.Errorf("%v starts at hash key %v, want %v", o.id, r.Start, want)
		}
		want = r.End.next()
	}
	if len(t.open) == 0 || want != (HashKey{}) {
		return fmt.Errorf("no open shard has hash key %v", want)
	}
	return nil
}

// find returns the index in t.open of the shard that has k.
func (t *table) find(k HashKey) int {
	lo, hi := 0, len(t.starts) // starts[lo] <= k < starts[hi]
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; t.starts[mid].Compare(k) <= 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}
