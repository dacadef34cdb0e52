package capacity

import (
	"math/bits"
	"slices"

	"github.com/leatstream/leat/core/stream"
)

// enoughSamples is from how many hash keys on a sample says where in a shard its load is.
const enoughSamples = 16

// cut returns the hash key at which a shard should be split: the middle of its range if that divides its load well
// enough, else where the sample is divided best. ok is false if no split would help, since nearly all records have one
// hash key, or if the range is too narrow. sampled says that the sample is large enough to know.
func cut(r stream.HashRange, sample []stream.HashKey) (at stream.HashKey, sampled, ok bool) {
	middle := middleOf(r)
	keys := slices.DeleteFunc(slices.Clone(sample), func(k stream.HashKey) bool { return !r.Contains(k) })
	if len(keys) < enoughSamples {
		// Records that are spread over the shards whatever their keys are mostly have hash keys of other shards. Then each
		// split takes the same from all.
		spread := len(sample) >= enoughSamples && 2*len(keys) < len(sample)
		return middle, spread, r.SplitsAt(middle)
	}
	slices.SortFunc(keys, stream.HashKey.Compare)
	below, _ := slices.BinarySearchFunc(keys, middle, stream.HashKey.Compare)
	if 4*below >= len(keys) && 4*below <= 3*len(keys) && r.SplitsAt(middle) {
		return middle, true, true
	}
	// Of the places between two different keys, the one nearest to the middle of the sample, with at least an eighth of
	// it on either side.
	best := 0
	for i := 1; i < len(keys); i++ {
		smaller := min(i, len(keys)-i)
		if keys[i-1] != keys[i] && 8*smaller >= len(keys) && smaller > min(best, len(keys)-best) && r.SplitsAt(keys[i]) {
			best = i
		}
	}
	if best == 0 {
		return stream.HashKey{}, true, false
	}
	return keys[best], true, true
}

// middleOf is where the upper half of a range begins.
func middleOf(r stream.HashRange) stream.HashKey {
	lo, borrow := bits.Sub64(r.End.Lo, r.Start.Lo, 0)
	hi, _ := bits.Sub64(r.End.Hi, r.Start.Hi, borrow)
	half := stream.HashKey{Hi: hi >> 1, Lo: lo>>1 | hi<<63}
	lo, carry := bits.Add64(r.Start.Lo, half.Lo, lo&1) // an odd distance is an even number of keys
	hi, _ = bits.Add64(r.Start.Hi, half.Hi, carry)
	return stream.HashKey{Hi: hi, Lo: lo}
}

// width is a range's share of the hash space.
func width(r stream.HashRange) float64 {
	point := func(k stream.HashKey) float64 { return float64(k.Hi)/(1<<32)/(1<<32) + float64(k.Lo)/(1<<64)/(1<<64) }
	return point(r.End) - point(r.Start)
}
