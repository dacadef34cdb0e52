package capacity

import (
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// idle are loads of n uniform shards that take nothing.
func idle(n int) []Load {
	loads := make([]Load, n)
	for i, r := range stream.UniformRanges(n) {
		loads[i] = Load{ID: record.ShardID(i), Hash: r}
	}
	return loads
}

// spread is a sample of n keys that are spread evenly over the part of a range between two shares of it.
func spread(r stream.HashRange, n int, from, to float64) (keys []stream.HashKey) {
	for i := range n {
		share := from + (to-from)*(float64(i)+0.5)/float64(n)
		keys = append(keys, stream.HashKey{Hi: r.Start.Hi + uint64(share*float64(r.End.Hi-r.Start.Hi)), Lo: 7})
	}
	return keys
}

func bounds() Bounds {
	return Bounds{Floor: DefaultFloor, Ceiling: DefaultCeiling, Room: stream.MaxShards}
}

func TestStepGrows(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		loads  func() []Load
		bounds func(*Bounds)
		target int
		splits []record.ShardID
		held   int
	}{
		"not at all without a load": {func() []Load { return idle(4) }, nil, 4, nil, 0},
		"to twice the bytes": {func() []Load {
			l := idle(4)
			l[2].Bytes, l[3].Bytes = 0.7*mib, 2.2*mib
			return l
		}, nil, 6, []record.ShardID{3, 2}, 0},
		"to twice the records": {func() []Load {
			l := idle(4)
			l[1].Records = 2300
			return l
		}, nil, 5, []record.ShardID{1}, 0},
		"by its own limit": {func() []Load {
			l := idle(4)
			l[1].Bytes = 300
			return l
		}, func(b *Bounds) { b.Full = stream.WriteLimit{BytesPerSecond: 100} }, 6, []record.ShardID{1, 0}, 0},
		"to a floor that was raised, each shard once": {func() []Load { return idle(4) }, func(b *Bounds) { b.Floor = 100 }, 100,
			[]record.ShardID{0, 1, 2, 3}, 0},
		"up to the ceiling": {func() []Load {
			l := idle(4)
			l[0].Bytes = 300 * mib
			return l
		}, func(b *Bounds) { b.Ceiling = 6 }, 6, []record.ShardID{0, 1}, 0},
		"as far as there is room": {func() []Load {
			l := idle(4)
			l[0].Bytes = 300 * mib
			return l
		}, func(b *Bounds) { b.Room = 1 }, 200, []record.ShardID{0}, 3},
		"not without room": {func() []Load { return idle(4) }, func(b *Bounds) { b.Floor, b.Room = 9, -3 }, 9, nil, 4},
		"by a hot shard though there are enough": {func() []Load {
			l := idle(8)
			l[5].Bytes, l[5].Sample = 0.8*mib, spread(l[5].Hash, 20, 0, 1)
			return l
		}, nil, 4, []record.ShardID{5}, 0},
		"by a shard that refused records": {func() []Load {
			l := idle(8)
			l[5].Refused, l[5].Sample = true, spread(l[5].Hash, 20, 0, 1)
			return l
		}, nil, 4, []record.ShardID{5}, 0},
		"not by a hot shard of which nothing is known": {func() []Load {
			l := idle(8)
			l[5].Bytes, l[5].Sample = 0.8*mib, spread(l[5].Hash, enoughSamples-1, 0, 1)
			return l
		}, nil, 4, nil, 0},
		"not by a hot shard with a single key": {func() []Load {
			l := idle(8)
			l[5].Bytes, l[5].Sample = 0.8*mib, slices.Repeat([]stream.HashKey{{Hi: l[5].Hash.Start.Hi + 1}}, 20)
			return l
		}, nil, 4, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := bounds()
			if c.bounds != nil {
				c.bounds(&b)
			}
			loads := c.loads()
			// What came before does not count: all were idle.
			k := Controller{history: history{day: dayOf(noon), shards: map[record.ShardID]*shardPeaks{}}}
			p, changed := k.Step(noon, loads, b)
			if !changed {
				t.Error("the first step changed nothing")
			}
			var splits []record.ShardID
			for _, s := range p.Splits {
				splits = append(splits, s.Shard)
			}
			if p.Target != c.target || !slices.Equal(splits, c.splits) || p.Held != c.held || len(p.Merges) > 0 {
				t.Errorf("plan is %+v, want target %d, splits of %v and %d held", p, c.target, c.splits, c.held)
			}
			if _, changed := k.Step(noon.Add(time.Minute), loads, b); changed {
				t.Error("the same loads again changed something")
			}
		})
	}
}

func TestCutDividesTheLoadRatherThanTheRange(t *testing.T) {
	r := stream.UniformRanges(4)[2]
	middle := stream.UniformRanges(8)[5].Start
	for name, c := range map[string]struct {
		sample   []stream.HashKey
		from, to float64 // where the cut is, in shares of the range; 0: nowhere
	}{
		"nothing known":    {nil, 0.5, 0.5},
		"too little known": {spread(r, 15, 0, 0.1), 0.5, 0.5},
		"uniform":          {spread(r, 32, 0, 1), 0.5, 0.5},
		"low end":          {spread(r, 32, 0, 0.1), 0.04, 0.06},
		"high end":         {spread(r, 32, 0.8, 1), 0.88, 0.92},
		"keys of anywhere": {spread(stream.HashRange{End: stream.MaxHashKey}, 32, 0, 1), 0.5, 0.5},
		"one key":          {slices.Repeat(spread(r, 1, 0.1, 0.2), 32), 0, 0},
		"one key and a few records of others": {
			append(slices.Repeat(spread(r, 1, 0.1, 0.2), 30), spread(r, 2, 0, 1)...), 0, 0},
		"two keys": {append(slices.Repeat(spread(r, 1, 0.1, 0.1), 20), slices.Repeat(spread(r, 1, 0.2, 0.2), 12)...), 0.19, 0.21},
	} {
		t.Run(name, func(t *testing.T) {
			at, sampled, ok := cut(r, c.sample)
			if ok != (c.to > 0) || sampled != (len(c.sample) >= enoughSamples) {
				t.Fatalf("cut is %v, %v, %v", at, sampled, ok)
			}
			if !ok {
				return
			}
			share := width(stream.HashRange{Start: r.Start, End: at}) / width(r)
			if share < c.from-1e-9 || share > c.to+1e-9 || c.from == 0.5 && at != middle {
				t.Fatalf("cut at %v, which is %.3f of the range, want %.2f to %.2f", at, share, c.from, c.to)
			}
		})
	}
	full := stream.HashRange{End: stream.MaxHashKey}
	if at := middleOf(full); at != stream.UniformRanges(2)[1].Start {
		t.Errorf("the middle of all is %v", at)
	}
	if _, _, ok := cut(stream.HashRange{End: stream.HashKey{Lo: 2}}, nil); ok {
		t.Error("a range of three keys is cut")
	}
}

// years steps a controller through n days, with the same loads in each, and returns the merges in the order of their days.
func stepDays(k *Controller, from time.Time, n int, loads []Load) (merges []int) {
	for day := range n {
		for hour := range 24 {
			p, _ := k.Step(from.Add(time.Duration(day*24+hour)*time.Hour), loads, bounds())
			if len(p.Merges) > 0 {
				merges = append(merges, day)
			}
		}
	}
	return merges
}

func TestShardsOfAnUnknownPastStayFor30Days(t *testing.T) {
	k := &Controller{}
	midnight := noon.Truncate(24 * time.Hour)
	merges := stepDays(k, midnight, 32, idle(9))
	if len(merges) == 0 || merges[0] != window+1 {
		t.Fatalf("nine idle shards are merged on days %v, want %d", merges, window+1)
	}
}

func TestNeighboursAreMergedOnlyIfBothWereColdOnAllDays(t *testing.T) {
	const mib = 1 << 20
	midnight := noon.Truncate(24 * time.Hour)
	k := &Controller{}
	loads := idle(6)
	for i := range loads {
		loads[i].Bytes = 0.31 * mib // two of them are above the bound
	}
	loads[4].Bytes = 0.28 * mib
	target := 4
	if merges := stepDays(k, midnight, window+1, loads); len(merges) > 0 {
		t.Fatalf("merged on days %v", merges)
	}
	p, _ := k.Step(midnight.Add((window+1)*24*time.Hour), loads, bounds())
	if p.Target != target || !slices.Equal(p.Merges, []Merge{{3, 4}}) {
		t.Fatalf("plan is %+v, want a merge of 3 and 4 for a target of %d", p, target)
	}
	p, _ = k.Step(midnight.Add((window+1)*24*time.Hour+mergeEvery-time.Second), loads, bounds())
	if len(p.Merges) > 0 {
		t.Fatalf("another merge follows at once: %+v", p)
	}
}

func TestChildrenOfASplitAreWatchedForADay(t *testing.T) {
	const mib = 1 << 20
	midnight := noon.Truncate(24 * time.Hour)
	k := &Controller{}
	stepDays(k, midnight, window+1, idle(6))
	now := midnight.Add((window + 1) * 24 * time.Hour)
	loads := idle(6)
	right := loads[5].Hash
	at := middleOf(right)
	loads[5] = Load{ID: 6, Parents: []record.ShardID{5}, Hash: stream.HashRange{Start: right.Start, End: stream.UniformRanges(12)[10].End}}
	loads = append(loads, Load{ID: 7, Parents: []record.ShardID{5}, Hash: stream.HashRange{Start: at, End: right.End}})
	for i := range 5 {
		loads[i].Bytes = 0.4 * mib // they are not merged
	}
	k.Step(now, loads, bounds())
	for _, c := range []struct {
		hours int
		merge bool
	}{{12, false}, {47, false}, {48, true}} {
		p, _ := k.Step(now.Add(time.Duration(c.hours)*time.Hour), loads, bounds())
		if got := len(p.Merges) > 0 && p.Merges[0] == (Merge{6, 7}); got != c.merge {
			t.Errorf("%d hours after the split: plan is %+v", c.hours, p)
		}
	}
}

func TestAClockThatJumpsDoesNoHarm(t *testing.T) {
	k := &Controller{}
	loads := idle(4)
	loads[0].Records = 5000
	k.Step(noon, loads, bounds())
	if p, _ := k.Step(noon.Add(-100*24*time.Hour), idle(4), bounds()); p.Target != 10 {
		t.Errorf("after a jump back the target is %d, want 10", p.Target)
	}
	if p, _ := k.Step(noon.Add(30*24*time.Hour), idle(4), bounds()); p.Target != 10 {
		t.Errorf("after 30 days the target is %d, want 10", p.Target)
	}
	if p, _ := k.Step(noon.Add(1000*24*time.Hour), idle(4), bounds()); p.Target != 4 {
		t.Errorf("after a thousand days the target is %d, want 4", p.Target)
	}
}
