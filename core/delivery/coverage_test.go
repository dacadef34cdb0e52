package delivery

import (
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/leatstream/leat/core/record"
)

func TestCoverageSurvivesEncoding(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var c coverage
		want := map[record.ShardID]map[uint64]bool{}
		for range rng.IntN(300) {
			shard, seq := record.ShardID(rng.IntN(3)), rng.Uint64N(1000)
			if rng.IntN(2) == 0 {
				seq += 1 << 40
			}
			c.add(shard, seq)
			if want[shard] == nil {
				want[shard] = map[uint64]bool{}
			}
			want[shard][seq] = true
		}
		p, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeCoverage(p)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for shard, seqs := range want {
			for seq := range seqs {
				n++
				if !got.has(shard, seq) {
					t.Fatalf("%s %d is missing", shard, seq)
				}
			}
		}
		if got.len() != int64(n) {
			t.Fatalf("%d positions, want %d", got.len(), n)
		}
	}
}

func TestFullPrefixIsTheLengthOfTheRunAtTheStart(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		from := 1 + rng.Uint64N(1<<33)
		bits, want := roaring64.New(), uint64(0)
		run := rng.Uint64N(5000)
		if rng.IntN(4) == 0 {
			run = 0
		}
		bits.AddRange(from, from+run)
		want = run
		for range rng.IntN(50) {
			bits.Add(from + run + 1 + rng.Uint64N(1000))
		}
		if got := fullPrefix(bits, from); got != want {
			t.Fatalf("from %d: %d, want %d", from, got, want)
		}
	}
}

func FuzzDecodeCoverage(f *testing.F) {
	var c coverage
	c.addRange(1, 5, 5000)
	c.add(2, 1<<40)
	p, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := decodeCoverage(p)
		if err != nil {
			return
		}
		again, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := decodeCoverage(again); err != nil || d.len() != c.len() {
			t.Fatalf("decoded again: %v", err)
		}
	})
}
