package delivery

import (
	"maps"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/google/uuid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/state"
)

// mergeEntries is how many committed sets of positions may stand above the checkpoints before they become one.
const mergeEntries = 128

// tracker knows which positions are committed. It mirrors the durable state: a change is made to both in commit, and if
// that fails the tracker is of no use any more. One goroutine commits; the owner guards everything with a lock.
type tracker struct {
	prefix string
	start  map[record.ShardID]uint64
	shards map[record.ShardID]*shardTrack
	// entries are the committed sets that are durable under covers/ and done/: none is wholly below the checkpoints.
	entries map[string]map[record.ShardID]uint64 // id -> highest position by shard
}

type shardTrack struct {
	shardRecord
	done *roaring64.Bitmap // committed positions from the checkpoint on
}

func newTracker(prefix string, d *durable) *tracker {
	t := &tracker{
		prefix: prefix, start: d.start.Shards, shards: map[record.ShardID]*shardTrack{},
		entries: map[string]map[record.ShardID]uint64{},
	}
	for id, r := range d.shards {
		t.shards[id] = &shardTrack{shardRecord: *r, done: roaring64.New()}
	}
	for id, c := range d.done {
		t.entries[id] = highest(c)
		for shard, bits := range c.shards {
			above := bits.Clone()
			s := t.shard(shard)
			above.RemoveRange(0, s.checkpoint)
			s.done.Or(above)
		}
	}
	return t
}

func highest(c *coverage) map[record.ShardID]uint64 {
	c.flush()
	top := make(map[record.ShardID]uint64, len(c.shards))
	for shard, bits := range c.shards {
		top[shard] = bits.Maximum()
	}
	return top
}

func (t *tracker) shard(id record.ShardID) *shardTrack {
	s := t.shards[id]
	if s == nil {
		start, ok := t.start[id]
		if !ok {
			start = 1
		}
		s = &shardTrack{shardRecord: shardRecord{start: start, checkpoint: start}, done: roaring64.New()}
		t.shards[id] = s
	}
	return s
}

// outcome is a set of positions that reached their end.
type outcome struct {
	kind   int
	object string // id of the object whose manifest this commits; empty if there is none
	size   int64  // of the object in the spool, in bytes
	epoch  uint64 // of the backlog
	covers *coverage
}

// commit adds outcomes to the tracker and to a transaction.
func (t *tracker) commit(tx *state.Tx, outcomes []outcome) error {
	touched := map[record.ShardID]bool{}
	for i := range outcomes {
		o := &outcomes[i]
		for shard, bits := range o.covers.shards {
			s := t.shard(shard)
			s.counts[o.kind] += bits.GetCardinality()
			s.done.Or(bits)
			touched[shard] = true
		}
	}
	for id := range touched {
		s := t.shards[id]
		if n := fullPrefix(s.done, s.checkpoint); n > 0 {
			s.checkpoint += n
			s.done.RemoveRange(0, s.checkpoint)
		}
		tx.Put(shardKey(t.prefix, id), s.encode())
	}
	for i := range outcomes {
		if err := t.settle(tx, &outcomes[i]); err != nil {
			return err
		}
	}
	for id, top := range t.entries {
		if t.passed(top) {
			delete(t.entries, id)
			t.forget(tx, id)
		}
	}
	if len(t.entries) > mergeEntries {
		return t.merge(tx)
	}
	return nil
}

// settle replaces an object's manifest by the fact that its positions are committed, if that is not implied already.
func (t *tracker) settle(tx *state.Tx, o *outcome) error {
	top := highest(o.covers)
	if o.object != "" {
		tx.Delete(t.prefix + "object/" + o.object)
	}
	if t.passed(top) {
		if o.object != "" {
			tx.Delete(t.prefix + "covers/" + o.object)
		}
		return nil
	}
	id := o.object
	if id == "" {
		id = newID()
		covers, err := o.covers.encode()
		if err != nil {
			return err
		}
		tx.Put(t.prefix+"covers/"+id, covers)
	}
	tx.Put(t.prefix+"done/"+id, nil)
	t.entries[id] = top
	return nil
}

// passed reports whether all positions up to top are before the checkpoints.
func (t *tracker) passed(top map[record.ShardID]uint64) bool {
	for shard, seq := range top {
		if seq >= t.shards[shard].checkpoint {
			return false
		}
	}
	return true
}

func (t *tracker) forget(tx *state.Tx, id string) {
	tx.Delete(t.prefix + "covers/" + id)
	tx.Delete(t.prefix + "done/" + id)
}

// merge makes one entry of all.
func (t *tracker) merge(tx *state.Tx) error {
	all := &coverage{shards: map[record.ShardID]*roaring64.Bitmap{}}
	for id, s := range t.shards {
		if !s.done.IsEmpty() {
			all.shards[id] = s.done
		}
	}
	covers, err := all.encode()
	if err != nil {
		return err
	}
	for id := range t.entries {
		t.forget(tx, id)
	}
	id := newID()
	tx.Put(t.prefix+"covers/"+id, covers)
	tx.Put(t.prefix+"done/"+id, nil)
	t.entries = map[string]map[record.ShardID]uint64{id: highest(all)}
	return nil
}

// checkpoints returns the positions from which the log is still needed.
func (t *tracker) checkpoints() shardlog.Positions {
	at := make(shardlog.Positions, len(t.start)+len(t.shards))
	maps.Copy(at, t.start)
	for id, s := range t.shards {
		at[id] = s.checkpoint
	}
	return at
}

// size is the memory that the committed positions above the checkpoints take, in bytes.
func (t *tracker) size() int64 {
	var n int64
	for _, s := range t.shards {
		if !s.done.IsEmpty() {
			n += sizeOf(s.done)
		}
	}
	return n
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
