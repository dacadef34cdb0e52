package stream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// uniformTable is the table of a new stream with n shards.
func uniformTable(tb testing.TB, n int, limit WriteLimit) *table {
	var states []shardlog.ShardState
	for i, r := range UniformRanges(n) {
		m := shardMeta{hash: r, created: 1}
		states = append(states, shardlog.ShardState{Shard: shardlog.Shard{ID: record.ShardID(i), Meta: m.encode()}, Next: 1})
	}
	t, err := newTable("s", states, limit, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestRoutingFindsTheOneShardThatContainsTheKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tb testing.TB
		table := uniformTable(tb, rapid.IntRange(1, 70).Draw(t, "shards"), WriteLimit{})
		k := keys().Draw(t, "key")
		if rapid.Bool().Draw(t, "edge") {
			k = rapid.SampledFrom(table.starts).Draw(t, "start")
			if rapid.Bool().Draw(t, "before") {
				k = k.prev()
			}
		}
		found := table.find(k)
		for i, o := range table.open {
			if table.shards[o.id].hash.Contains(k) != (i == found) {
				t.Fatalf("hash key %v is routed to %v; %v is another matter", k, table.open[found].id, o.id)
			}
		}
	})
}

func TestTableRefusesShardsThatDoNotCoverTheHashSpaceOnce(t *testing.T) {
	quarter := UniformRanges(4)
	for name, ranges := range map[string][]HashRange{
		"none":             {},
		"gap at the start": quarter[1:],
		"gap at the end":   quarter[:3],
		"gap":              {quarter[0], quarter[2], quarter[3]},
		"twice":            {quarter[0], quarter[1], quarter[1], quarter[2], quarter[3]},
		"overlap":          {quarter[0], {quarter[1].Start, quarter[2].End}, quarter[2], quarter[3]},
		"all and more":     {{HashKey{}, MaxHashKey}, quarter[0]},
		"all twice":        {{HashKey{}, MaxHashKey}, {HashKey{}, MaxHashKey}},
	} {
		var states []shardlog.ShardState
		for i, r := range ranges {
			m := shardMeta{hash: r, created: 1}
			states = append(states, shardlog.ShardState{Shard: shardlog.Shard{ID: record.ShardID(i), Meta: m.encode()}})
		}
		if _, err := newTable("s", states, WriteLimit{}, nil); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestPlanStoresEachEntryOnceThroughClosingShards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tb testing.TB
		table := uniformTable(tb, rapid.IntRange(1, 20).Draw(t, "shards"), WriteLimit{})
		var entries []Entry
		for i := range rapid.IntRange(0, 60).Draw(t, "entries") {
			entries = append(entries, Entry{Key: fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key")), Data: []byte{byte(i)}})
		}
		results := make([]PutResult, len(entries))
		p := newPlan(len(entries))
		defer p.release()
		next := map[record.ShardID]uint64{}
		stored := map[record.ShardID][]byte{}
		for round := 0; len(p.pending) > 0; round++ {
			p.route(table, entries)
			p.group(table, entries)
			seen := map[record.ShardID]bool{}
			var answer []shardlog.RunResult
			for _, run := range p.runs {
				if seen[run.Shard] || len(run.Entries) == 0 {
					t.Fatalf("%v has two runs or an empty one", run.Shard)
				}
				seen[run.Shard] = true
				if round < 3 && rapid.Bool().Draw(t, "closed") {
					answer = append(answer, shardlog.RunResult{Err: shardlog.ErrShardClosed})
					continue
				}
				answer = append(answer, shardlog.RunResult{First: next[run.Shard] + 1})
				next[run.Shard] += uint64(len(run.Entries))
				for _, e := range run.Entries {
					stored[run.Shard] = append(stored[run.Shard], e.Data[0])
				}
			}
			p.settle(table, answer, results)
		}
		total := 0
		for id, order := range stored {
			total += len(order)
			if !slices.IsSorted(order) {
				t.Fatalf("%v stored the entries in the order %v", id, order)
			}
		}
		if total != len(entries) {
			t.Fatalf("%d of %d entries were stored", total, len(entries))
		}
		for i, r := range results {
			if r.Shard != table.open[table.find(HashOf(entries[i].Key))].id {
				t.Fatalf("entry %d is in %v", i, r.Shard)
			}
			if got := stored[r.Shard][r.Seq-1]; got != byte(i) {
				t.Fatalf("entry %d was given the position of entry %d", i, got)
			}
		}
	})
}

func TestWriteLimitBurstsThenFollowsItsRate(t *testing.T) {
	b := newBucket(WriteLimit{BytesPerSecond: 1 << 20, RecordsPerSecond: 1000}, nil)
	now := time.Hour
	taken := func(size int) (n int) {
		for b.take(now, size) {
			n++
		}
		return n
	}
	if n := taken(10); n != 1000 {
		t.Fatalf("a full bucket took %d small records, want 1000", n)
	}
	now += 100 * time.Millisecond
	if n := taken(10); n != 100 {
		t.Fatalf("100 ms later it took %d small records, want 100", n)
	}
	now += time.Hour
	if n := taken(64 << 10); n != 16 {
		t.Fatalf("after an hour it took %d records of 64 KiB, want 16", n)
	}
	now += 500 * time.Millisecond
	if n := taken(64 << 10); n != 8 {
		t.Fatalf("500 ms later it took %d records of 64 KiB, want 8", n)
	}
}

func TestWriteLimitTakesARecordLargerThanItsBurstOnceAndWaits(t *testing.T) {
	b := newBucket(WriteLimit{BytesPerSecond: 1 << 20}, nil)
	if !b.take(0, 10<<20) {
		t.Fatal("a full bucket refused a record of 10 MiB")
	}
	for now := time.Duration(0); now < 9*time.Second; now += time.Second {
		if b.take(now, 1) {
			t.Fatalf("%v after 10 MiB at 1 MiB/s the shard took more", now)
		}
	}
	if !b.take(9*time.Second+time.Millisecond, 1) {
		t.Fatal("the debt is paid, but the shard takes nothing")
	}
	if b.take(9*time.Second+time.Millisecond, 10<<20) {
		t.Fatal("a large record was taken by a bucket that is not full")
	}
}

func TestTheLowestWriteLimitHoldsForTheLargestRecord(t *testing.T) {
	b := newBucket(WriteLimit{BytesPerSecond: 1}, nil)
	if !b.take(0, MaxRecordSize) || b.take(time.Hour, 1) {
		t.Error("a full bucket has to take the record, and then nothing")
	}
	if !b.take(MaxRecordSize*time.Second+burst, 1) {
		t.Error("the record has been paid for")
	}
}

func TestWriteLimitRefundIsWhatWasTaken(t *testing.T) {
	b := newBucket(WriteLimit{BytesPerSecond: 1000, RecordsPerSecond: 10}, nil)
	for range 10 {
		if !b.take(0, 100) {
			t.Fatal("refused within the burst")
		}
	}
	if b.take(0, 100) {
		t.Fatal("taken beyond the burst")
	}
	b.refund(100)
	if !b.take(0, 100) || b.take(0, 1) {
		t.Fatal("the refund is not what was taken")
	}
}

func BenchmarkRouting(b *testing.B) {
	for _, shards := range []int{1, 16, 1000} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			t := uniformTable(b, shards, WriteLimit{})
			entries := make([]Entry, 500)
			for i := range entries {
				entries[i].Key = fmt.Sprintf("partition-key-%d", i)
			}
			answer := make([]shardlog.RunResult, len(entries))
			results := make([]PutResult, len(entries))
			b.ReportAllocs()
			for b.Loop() {
				p := newPlan(len(entries))
				p.route(t, entries)
				p.limit(t, 0, entries, results)
				p.group(t, entries)
				p.settle(t, answer[:len(p.runs)], results)
				p.release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(entries)), "ns/record")
		})
	}
}
