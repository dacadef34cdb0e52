package delivery

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// Counts are numbers of input records. In = Delivered + Dropped + Dead + Expired + Skipped + Pending.
type Counts struct {
	In        uint64 `json:"in"`
	Delivered uint64 `json:"delivered"`
	Dropped   uint64 `json:"dropped"`
	Dead      uint64 `json:"dead"`
	Pending   uint64 `json:"pending"`
	Expired   uint64 `json:"expired"`
	Skipped   uint64 `json:"skipped"`
}

// Add adds o to c.
func (c *Counts) Add(o Counts) {
	c.In += o.In
	c.Delivered += o.Delivered
	c.Dropped += o.Dropped
	c.Dead += o.Dead
	c.Pending += o.Pending
	c.Expired += o.Expired
	c.Skipped += o.Skipped
}

// Holds reports whether every input is accounted for exactly once.
func (c Counts) Holds() bool {
	return c.In == c.Delivered+c.Dropped+c.Dead+c.Pending+c.Expired+c.Skipped
}

// ShardLedger is the ledger of one shard.
type ShardLedger struct {
	Shard      record.ShardID `json:"shard"`
	Start      uint64         `json:"start"`      // first position that counts
	Checkpoint uint64         `json:"checkpoint"` // all positions before it have reached their end
	Next       uint64         `json:"next"`       // position that the next record will get
	Counts
}

// ledger compares what the tracker counted with what the log holds. Pending is counted, not derived: it is the number of
// positions that no commit covers.
func (t *tracker) ledger(shards []shardlog.ShardState) []ShardLedger {
	out := make([]ShardLedger, 0, len(shards))
	seen := map[record.ShardID]bool{}
	for i := range shards {
		out = append(out, t.shardLedger(shards[i].ID, shards[i].Next))
		seen[shards[i].ID] = true
	}
	for id, s := range t.shards {
		if !seen[id] { // closed, and all of it has expired from the log
			out = append(out, t.shardLedger(id, s.end()))
		}
	}
	return out
}

// end is the position after the last that is committed.
func (s *shardTrack) end() uint64 {
	if s.done.IsEmpty() {
		return s.checkpoint
	}
	return s.done.Maximum() + 1
}

// behind says which shards of the log are shorter than what was committed or promised of them, and by which the log is
// poorer. It has lost its end then, or is another log.
func (t *tracker) behind(pending map[string]*manifest, shards []shardlog.ShardState) []string {
	ends := map[record.ShardID]uint64{}
	for id, s := range t.shards {
		ends[id] = s.end()
	}
	for _, m := range pending {
		for id, top := range highest(m.covers) {
			ends[id] = max(ends[id], top+1)
		}
	}
	var lost []string
	for i := range shards {
		if at, ok := ends[shards[i].ID]; ok && at > shards[i].Next {
			lost = append(lost, fmt.Sprintf("%s ends before position %d, and its positions up to %d are delivered or promised",
				shards[i].ID, shards[i].Next, at-1))
		}
	}
	for id := range ends {
		if n := len(shards); n == 0 || id > shards[n-1].ID {
			lost = append(lost, fmt.Sprintf("there is no %s", id))
		}
	}
	slices.Sort(lost)
	return lost
}

func (t *tracker) shardLedger(id record.ShardID, next uint64) ShardLedger {
	s := shardTrack{}
	if have := t.shards[id]; have != nil {
		s = *have
	} else {
		start, ok := t.start[id]
		if !ok {
			start = 1
		}
		s.start, s.checkpoint = start, start
	}
	l := ShardLedger{Shard: id, Start: s.start, Checkpoint: s.checkpoint, Next: next}
	l.Delivered, l.Dropped, l.Dead = s.counts[kindDelivered], s.counts[kindDropped], s.counts[kindDead]
	l.Expired, l.Skipped = s.counts[kindExpired], s.counts[kindSkipped]
	if next > s.start {
		l.In = next - s.start
	}
	if next > s.checkpoint {
		l.Pending = next - s.checkpoint
		if s.done != nil {
			l.Pending -= s.done.Rank(next - 1) // all of it, unless the log has lost its end
		}
	}
	return l
}
