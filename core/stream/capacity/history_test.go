package capacity

import (
	"bytes"
	"testing"

	"github.com/leatstream/leat/core/record"
)

func someHistory() *history {
	h := &history{}
	loads := idle(3)
	h.observe(20_000, 250, loads, []uint32{100, 80, 70})
	h.observe(20_002, 1<<20, loads[:2], []uint32{maxLoad, 0})
	return h
}

func TestAShardFollowsFromItsParents(t *testing.T) {
	h := &history{}
	loads := idle(2)
	h.observe(100, 0, loads, []uint32{0, 0})
	h.observe(101, 90, loads, []uint32{61, 30})
	h.observe(102, 90, []Load{
		{ID: 2, Parents: []record.ShardID{0}}, {ID: 3, Parents: []record.ShardID{0, 1}}, {ID: 4, Parents: []record.ShardID{9}},
	}, []uint32{0, 0, 0})
	for id, want := range map[record.ShardID][2]uint32{2: {25, 31}, 3: {100, 91}, 4: {0, 0}} {
		s := h.shards[id]
		if s == nil || [2]uint32{s.peaks[100%(window+1)], s.peaks[101%(window+1)]} != want {
			t.Errorf("%v has %+v, want peaks of %v", id, s, want)
		}
	}
	if p := h.shards[4].worst(); p != unit/headroom {
		t.Errorf("a shard of unknown parents had a peak of %d", p)
	}
	if len(h.shards) != 3 {
		t.Errorf("%d shards are known, 3 are open", len(h.shards))
	}
}

func FuzzDecodeHistory(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2})
	good := someHistory().encode()
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add((&history{day: 1}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHistory(b)
		if err != nil {
			return
		}
		again, err := decodeHistory(h.encode())
		if err != nil || !bytes.Equal(again.encode(), h.encode()) {
			t.Fatalf("%+v comes back as %+v, %v", h, again, err)
		}
		for day := range int64(3) {
			h.observe(h.day+20*day, 7, idle(4), []uint32{1, 2, 3, 4})
		}
	})
}
