package stream

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/leatstream/leat/core/fault"
)

// maxHashKeyDigits is the number of decimal digits of the largest hash key.
const maxHashKeyDigits = 39

// ten19 is the largest power of ten that fits a word; numbers are written and read in groups of 19 digits.
const ten19 = 10_000_000_000_000_000_000

// HashKey is a point of the hash space, an unsigned number of 128 bits. Each record has one; the open shards of a
// stream divide the whole space among them.
type HashKey struct{ Hi, Lo uint64 }

// MaxHashKey is the end of the hash space, 2^128-1.
var MaxHashKey = HashKey{^uint64(0), ^uint64(0)}

// HashOf returns the hash key of a partition key: its MD5, read as a big-endian number.
func HashOf(partitionKey string) HashKey {
	sum := md5.Sum(unsafe.Slice(unsafe.StringData(partitionKey), len(partitionKey)))
	return HashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// ParseHashKey reads a decimal number from 0 to 2^128-1 without leading zeros.
func ParseHashKey(s string) (HashKey, error) {
	k, ok := parseHashKey(s)
	if !ok {
		return HashKey{}, fault.New(fault.Permanent, "stream.invalid_hash_key",
			"hash key %.50q: want a decimal number from 0 to 2^128-1 without leading zeros", s)
	}
	return k, nil
}

func parseHashKey(s string) (k HashKey, ok bool) {
	if len(s) == 0 || len(s) > maxHashKeyDigits || s[0] == '0' && len(s) > 1 {
		return HashKey{}, false
	}
	for i := range len(s) {
		digit := uint64(s[i]) - '0'
		if digit > 9 {
			return HashKey{}, false
		}
		// k = k*10 + digit; a carry out of the high word means that the number is too large.
		over, hi := bits.Mul64(k.Hi, 10)
		carry, lo := bits.Mul64(k.Lo, 10)
		lo, c := bits.Add64(lo, digit, 0)
		hi, c = bits.Add64(hi, carry, c)
		if over != 0 || c != 0 {
			return HashKey{}, false
		}
		k = HashKey{hi, lo}
	}
	return k, true
}

// Compare is negative if k is before o, 0 if they are equal, else positive.
func (k HashKey) Compare(o HashKey) int {
	if k.Hi != o.Hi {
		return cmp.Compare(k.Hi, o.Hi)
	}
	return cmp.Compare(k.Lo, o.Lo)
}

// String returns the decimal form that the Kinesis API uses.
func (k HashKey) String() string {
	// k = (a*10^19 + b)*10^19 + c
	q1 := k.Hi / ten19
	q0, c := bits.Div64(k.Hi%ten19, k.Lo, ten19)
	a, b := bits.Div64(q1, q0, ten19)
	var buf [maxHashKeyDigits]byte
	switch {
	case a > 0:
		return string(append19(append19(strconv.AppendUint(buf[:0], a, 10), b), c))
	case b > 0:
		return string(append19(strconv.AppendUint(buf[:0], b, 10), c))
	default:
		return strconv.FormatUint(c, 10)
	}
}

// append19 appends n, which is below 10^19, as exactly 19 digits.
func append19(dst []byte, n uint64) []byte {
	var digits [20]byte // one more, so that they come in pairs
	for i := len(digits) - 2; i >= 0; i -= 2 {
		copy(digits[i:], twoDigits[n%100*2:][:2])
		n /= 100
	}
	return append(dst, digits[1:]...)
}

// twoDigits are the numbers 00 to 99: digits in pairs halve the divisions of a sequence number.
var twoDigits = func() (d [200]byte) {
	for i := range 100 {
		d[2*i], d[2*i+1] = byte('0'+i/10), byte('0'+i%10)
	}
	return d
}()

// next is k+1; of the largest key it is 0.
func (k HashKey) next() HashKey {
	lo, c := bits.Add64(k.Lo, 1, 0)
	return HashKey{k.Hi + c, lo}
}

// prev is k-1; of 0 it is the largest key.
func (k HashKey) prev() HashKey {
	lo, b := bits.Sub64(k.Lo, 1, 0)
	return HashKey{k.Hi - b, lo}
}

// HashRange is the part of the hash space from Start to End, both included.
type HashRange struct{ Start, End HashKey }

// Contains tells whether k lies in the range.
func (r HashRange) Contains(k HashKey) bool { return r.Start.Compare(k) <= 0 && k.Compare(r.End) <= 0 }

// SplitsAt tells whether a shard with the range can be split so that the second one begins at k: k must be greater than
// the range's start plus one and less than its end, as in the Kinesis service.
func (r HashRange) SplitsAt(k HashKey) bool {
	return k.Compare(r.Start) > 0 && k.Compare(r.Start.next()) > 0 && k.Compare(r.End) < 0
}

// Meets tells whether o begins where r ends.
func (r HashRange) Meets(o HashRange) bool { return r.End != MaxHashKey && r.End.next() == o.Start }

// UniformRanges divides the hash space into n ranges, n at least 1: each floor(2^128/n) wide, and the last one also
// takes the rest.
func UniformRanges(n int) []HashRange {
	ranges := make([]HashRange, n)
	for i := range ranges {
		ranges[i].Start = uniformStart(n, i)
		if i > 0 {
			ranges[i-1].End = ranges[i].Start.prev()
		}
	}
	ranges[n-1].End = MaxHashKey
	return ranges
}

// uniformStart is the start of the i-th of n uniform ranges.
func uniformStart(n, i int) HashKey {
	if n == 1 {
		return HashKey{}
	}
	d := uint64(n)
	width := HashKey{Hi: ^uint64(0) / d}
	var rest uint64
	width.Lo, rest = bits.Div64(^uint64(0)%d, ^uint64(0), d)
	if rest == d-1 { // n divides 2^128 itself
		width = width.next()
	}
	hi, lo := bits.Mul64(width.Lo, uint64(i))
	return HashKey{hi + width.Hi*uint64(i), lo}
}
