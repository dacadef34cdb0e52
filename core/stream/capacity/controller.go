package capacity

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
)

const (
	// headroom is how many times its peak a stream has ready.
	headroom = 2
	// DefaultFloor and DefaultCeiling bound the shards of a stream that was not asked to keep more ready: writes of
	// 4 MiB/s and 200 MiB/s.
	DefaultFloor, DefaultCeiling = stream.OnDemandShards, 200

	// hot is the load, in units, from which a shard is split whatever the others do.
	hot = unit * 8 / 10
	// cold is the load, in units, that two neighbours together must not have had on any day of the window to be merged.
	// The gap to hot is what a load may grow before the merge is undone.
	cold = unit * 6 / 10
	// mergeEvery is how far apart merges of one stream are at least. Shards that are not needed cost little; ones that
	// are missing cost writes.
	mergeEvery = 15 * time.Minute
	// maxSplits is how many splits one step plans at most, so that a reshard never keeps writers waiting for long. It is
	// enough to get from the floor to the default ceiling as fast as doubling allows.
	maxSplits = 100
)

// Load is what one open shard took in lately.
type Load struct {
	ID      record.ShardID
	Hash    stream.HashRange
	Parents []record.ShardID
	// Bytes and Records are stored per second.
	Bytes, Records float64
	// Refused says that the shard's write limit turned records away.
	Refused bool
	// Sample are hash keys of some of its records.
	Sample []stream.HashKey
}

// use is the shard's load in units. A shard that turned records away was full, if only for a second.
func (l *Load) use(full stream.WriteLimit) uint32 {
	u := use(full, l.Bytes, l.Records)
	if l.Refused {
		u = max(u, unit)
	}
	return u
}

// use is a load in units of full.
func use(full stream.WriteLimit, bytes, records float64) uint32 {
	u := 0.0
	if full.BytesPerSecond > 0 {
		u = bytes / float64(full.BytesPerSecond)
	}
	if full.RecordsPerSecond > 0 {
		u = max(u, records/float64(full.RecordsPerSecond))
	}
	return uint32(math.Ceil(min(u*unit, maxLoad)))
}

// Bounds are what a plan keeps to.
type Bounds struct {
	// Full is what one shard takes. Without limits it is what one of the Kinesis service takes.
	Full stream.WriteLimit
	// Floor and Ceiling bound what the stream's load alone would ask for. A stream that has more than Ceiling keeps them
	// as long as its peaks need them.
	Floor, Ceiling int
	// Room is how many more shards all streams together may have.
	Room int
}

// Split divides a shard; the second half begins at At.
type Split struct {
	Shard record.ShardID
	At    stream.HashKey
}

// Merge joins two neighbours, the lower range first.
type Merge struct{ Low, High record.ShardID }

// Plan is what to do next. No shard is in it twice, and it never has both splits and merges.
type Plan struct {
	// Target is how many shards the peak asks for, within the bounds.
	Target int
	Splits []Split
	Merges []Merge
	// Held is how many more splits the load asks for than the bounds allow.
	Held int
}

// Controller decides on the shards of one stream. It has no clock and does nothing itself, so that a test can run it over
// years. The zero value is ready for a stream of which nothing is known.
type Controller struct {
	history history
	merged  time.Time // when the last merge was planned
	seams   seams
}

// seams are defects on purpose, for the tests that show that the tests find them.
type seams struct {
	forgetful bool // only the load of now counts
}

// Step takes the loads of all open shards, in the order of their hash ranges, since the step before, and returns what to do.
// changed tells whether the controller's history is another one than before.
func (c *Controller) Step(now time.Time, loads []Load, b Bounds) (p Plan, changed bool) {
	if b.Full == (stream.WriteLimit{}) {
		b.Full = stream.KinesisWriteLimit
	}
	uses := make([]uint32, len(loads))
	var bytes, records float64
	for i := range loads {
		uses[i] = loads[i].use(b.Full)
		bytes += loads[i].Bytes
		records += loads[i].Records
	}
	if c.seams.forgetful {
		c.history.clear()
	}
	changed = c.history.observe(dayOf(now), use(b.Full, bytes, records), loads, uses)

	ceiling := min(max(b.Ceiling, b.Floor), stream.MaxShards)
	needed := (int(c.history.total.worst())*headroom + unit - 1) / unit
	p.Target = min(max(needed, b.Floor), ceiling)

	wanted := c.wanted(loads, uses, p.Target)
	allowed := min(ceiling-len(loads), b.Room, maxSplits)
	allowed = min(max(allowed, 0), len(wanted))
	p.Splits = wanted[:allowed]
	if p.Held = min(len(wanted), maxSplits) - allowed; len(wanted) == 0 && now.Sub(c.merged) >= mergeEvery {
		if m, ok := c.merge(loads, p.Target); ok {
			p.Merges = []Merge{m}
			c.merged = now
		}
	}
	return p, changed
}

// wanted returns the splits that the load asks for, the most urgent first: of the hot shards, and of those that have the
// largest share until there are as many as the target.
func (c *Controller) wanted(loads []Load, uses []uint32, target int) (splits []Split) {
	total := 0.0
	for _, u := range uses {
		total += float64(u)
	}
	type candidate struct {
		split Split
		hot   bool
		share float64 // of the load and of the hash space
	}
	var candidates []candidate
	for i := range loads {
		l := &loads[i]
		if uses[i] < hot && len(loads) >= target {
			continue
		}
		at, sampled, ok := cut(l.Hash, l.Sample)
		if !ok {
			continue
		}
		share := width(l.Hash)
		if total > 0 {
			share += float64(uses[i]) / total
		}
		// A hot shard of which nobody knows where its load is will have a sample soon.
		candidates = append(candidates, candidate{Split{l.ID, at}, uses[i] >= hot && sampled, share})
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		if a.hot != b.hot {
			if a.hot {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.share, a.share)
	})
	for _, k := range candidates {
		if k.hot || len(loads)+len(splits) < target {
			splits = append(splits, k.split)
		}
	}
	return splits
}

// merge returns the narrowest pair of neighbours that was cold on each day of the window, if there are more shards than
// the target asks for. Children of a split are left alone until they have seen a whole day: what is known of the days
// before is a guess.
func (c *Controller) merge(loads []Load, target int) (best Merge, ok bool) {
	if len(loads) <= target {
		return Merge{}, false
	}
	narrowest := math.Inf(1)
	for i := range len(loads) - 1 {
		low, high := c.history.shards[loads[i].ID], c.history.shards[loads[i+1].ID]
		if max(low.guessed, high.guessed)+2 > c.history.day && !c.seams.forgetful {
			continue
		}
		together := low.plus(&high.peaks)
		if w := width(loads[i].Hash) + width(loads[i+1].Hash); together.worst() <= cold && w < narrowest {
			best, ok, narrowest = Merge{loads[i].ID, loads[i+1].ID}, true, w
		}
	}
	return best, ok
}
