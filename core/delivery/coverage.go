package delivery

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/leatstream/leat/core/record"
)

// coverage is a set of input positions, by shard.
type coverage struct {
	shards map[record.ShardID]*roaring64.Bitmap

	// The newest positions, not yet in shards: records come in runs, and a range costs as much as one position.
	shard    record.ShardID
	from, to uint64
}

func (c *coverage) add(shard record.ShardID, seq uint64) {
	if shard == c.shard && seq == c.to && c.to > c.from {
		c.to++
		return
	}
	c.flush()
	c.shard, c.from, c.to = shard, seq, seq+1
}

func (c *coverage) addRange(shard record.ShardID, from, to uint64) {
	if from >= to {
		return
	}
	c.flush()
	c.shard, c.from, c.to = shard, from, to
}

func (c *coverage) flush() {
	if c.from == c.to {
		return
	}
	bits := c.bits(c.shard)
	if c.to == c.from+1 {
		bits.Add(c.from)
	} else {
		bits.AddRange(c.from, c.to)
	}
	c.from, c.to = 0, 0
}

func (c *coverage) bits(shard record.ShardID) *roaring64.Bitmap {
	bits := c.shards[shard]
	if bits == nil {
		if c.shards == nil {
			c.shards = make(map[record.ShardID]*roaring64.Bitmap)
		}
		bits = roaring64.New()
		c.shards[shard] = bits
	}
	return bits
}

// merge adds what other covers.
func (c *coverage) merge(other *coverage) {
	c.flush()
	other.flush()
	for shard, bits := range other.shards {
		c.bits(shard).Or(bits)
	}
}

func (c *coverage) has(shard record.ShardID, seq uint64) bool {
	c.flush()
	bits := c.shards[shard]
	return bits != nil && bits.Contains(seq)
}

func (c *coverage) empty() bool { return c.from == c.to && len(c.shards) == 0 }

// len is the number of positions.
func (c *coverage) len() int64 {
	c.flush()
	var n uint64
	for _, bits := range c.shards {
		n += bits.GetCardinality()
	}
	return int64(n)
}

// bitmapCost is what a bitmap takes in memory besides the size that it tells, in bytes (measured: 380).
const bitmapCost = 400

func sizeOf(bits *roaring64.Bitmap) int64 { return int64(bits.GetSizeInBytes()) + bitmapCost }

// size is the memory that the set takes, in bytes, roughly.
func (c *coverage) size() int64 {
	var n int64
	for _, bits := range c.shards {
		n += sizeOf(bits)
	}
	return n
}

func (c *coverage) ids() []record.ShardID {
	c.flush()
	ids := make([]record.ShardID, 0, len(c.shards))
	for id := range c.shards {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// encode returns, for each shard in order: u32 shard, u32 length, the positions as a portable 64-bit roaring bitmap.
func (c *coverage) encode() ([]byte, error) {
	out := []byte{} // not nil: an object may have nothing but outputs of inputs that are counted elsewhere
	for _, id := range c.ids() {
		bits := c.shards[id]
		bits.RunOptimize()
		p, err := bits.ToPortableBytes()
		if err != nil {
			return nil, fmt.Errorf("encode covered positions of %s: %w", id, err)
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(id))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out, nil
}

// leastPart is the size in bytes of the smallest part of an encoded 64-bit bitmap: its key, and a 32-bit bitmap of one
// position.
const leastPart = 4 + 8

func decodeCoverage(p []byte) (*coverage, error) {
	c := &coverage{}
	for len(p) > 0 {
		if len(p) < 8 {
			return nil, fmt.Errorf("covered positions: %d bytes left, want a shard header of 8", len(p))
		}
		id, n := record.ShardID(binary.LittleEndian.Uint32(p)), binary.LittleEndian.Uint32(p[4:])
		p = p[8:]
		if uint64(n) > uint64(len(p)) {
			return nil, fmt.Errorf("covered positions of %s: %d bytes announced, %d left", id, n, len(p))
		}
		// The library makes room for as many parts as the first eight bytes say, so these are checked here.
		if n < 8 || binary.LittleEndian.Uint64(p) > uint64(n-8)/leastPart {
			return nil, fmt.Errorf("covered positions of %s: more parts announced than %d bytes can hold", id, n)
		}
		bits := roaring64.New()
		if err := bits.UnmarshalBinary(p[:n]); err != nil {
			return nil, fmt.Errorf("covered positions of %s: %w", id, err)
		}
		if err := bits.Validate(); err != nil {
			return nil, fmt.Errorf("covered positions of %s: %w", id, err)
		}
		if bits.IsEmpty() || c.shards[id] != nil {
			return nil, fmt.Errorf("covered positions of %s: empty or named twice", id)
		}
		c.bits(id).Or(bits)
		p = p[n:]
	}
	return c, nil
}

// fullPrefix returns how many positions from on are all in bits, which holds none below from.
func fullPrefix(bits *roaring64.Bitmap, from uint64) uint64 {
	if !bits.Contains(from) {
		return 0
	}
	// All of from..from+n-1 are there exactly if the rank of the last is n: gallop, then halve.
	full := func(n uint64) bool { return bits.Rank(from+n-1) == n && bits.Contains(from+n-1) }
	low := uint64(1)
	for full(low * 2) {
		low *= 2
	}
	high := low * 2 // not full
	for low+1 < high {
		mid := low + (high-low)/2
		if full(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}
