package stream

import (
	"context"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/fault"
)

func TestSpreadEntriesGoToTheOpenShardsInTurn(t *testing.T) {
	w, _ := newWorld(t)
	s := w.mustCreate(t, "s", Config{Shards: 3})
	count := map[string]int{}
	for range 20 { // no key, a key that is always the same, a hash key that is none
		results, err := s.PutWith(context.Background(), []Entry{{Data: []byte("a")}, {Key: "k"}, {Key: "k", ExplicitHashKey: "none"}, {}},
			PutOptions{Spread: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range results {
			count[results[i].Shard.String()]++
		}
	}
	if got := fmt.Sprint(count); got != "map[shardId-000000000000:27 shardId-000000000001:27 shardId-000000000002:26]" {
		t.Fatal(got)
	}
	if _, err := s.PutWith(context.Background(), []Entry{{Data: make([]byte, MinRecordSize+1)}}, PutOptions{Spread: true}); fault.CodeOf(err) != "stream.record_too_large" {
		t.Fatal(err)
	}
	if _, err := s.Split(context.Background(), 0, HashKey{Lo: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		results, err := s.PutWith(context.Background(), make([]Entry, 4), PutOptions{Spread: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range results {
			if results[i].Err != nil || results[i].Shard == 0 {
				t.Fatalf("entry %d: shard %v, %v", i, results[i].Shard, results[i].Err)
			}
		}
	}
}

func TestAnUnlimitedPutPassesTheLimitBy(t *testing.T) {
	w, _ := newWorld(t)
	s := w.mustCreate(t, "s", Config{WriteLimit: WriteLimit{RecordsPerSecond: 2}})
	memory := make([]PutResult, 3, 8)
	for i := range memory {
		memory[i] = PutResult{Shard: 7, Seq: 7, Arrived: 7, Err: context.Canceled}
	}
	five := []Entry{{Key: "a"}, {Key: "b"}, {Key: "c"}, {Key: "d"}, {Key: "e"}}
	results, err := s.PutWith(context.Background(), five, PutOptions{Unlimited: true, Results: memory})
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		if results[i].Err != nil {
			t.Fatalf("entry %d: %v", i, results[i].Err)
		}
	}
	if &results[0] != &memory[0] {
		t.Error("the results are not in the memory that was given for them")
	}
	// It took nothing of the limit, and a refused entry says which shard refused it, whatever the memory held before.
	results, err = s.PutWith(context.Background(), five, PutOptions{Results: results})
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		r := &results[i]
		if i < 2 && r.Err != nil || i >= 2 && (fault.ClassOf(r.Err) != fault.Throttled || r.Seq != 0) || r.Shard != 0 {
			t.Errorf("entry %d: %+v", i, r)
		}
	}
}
