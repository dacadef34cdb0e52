package stream

import (
	"cmp"
	"math"
	"math/bits"
	"strconv"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// EndPosition is the position in the closing sequence number of a shard; no record has it.
const EndPosition = math.MaxInt64

// sequenceDigits is the length of a sequence number: every number with a leading hex digit 2 has it.
const sequenceDigits = 56

// secondMask covers the seconds that a sequence number has room for, up to the year 4147.
const secondMask = 1<<36 - 1

// SequenceNumber identifies a record, or the start or the end of a shard, within a stream and among all streams that
// ever had the same name. Its text is a decimal number of 56 digits in the layout of the Kinesis service, so that
// numbers compare as their records follow each other: by creation of the shard, then by position.
//
//	bits    187..184  183..148  147..144     143..80   79..72  71..36   35..4  3..0
//	        2         Created   Shard mod 16 Position  0       Second   Shard  2 (version)
type SequenceNumber struct {
	// Created is when the shard was created, in seconds since the Unix epoch. It is later than its parents'.
	Created int64
	Shard   record.ShardID
	// Position is the record's position; 0 in the number where the shard starts, EndPosition where it ends.
	Position uint64
	// Second is when the record arrived, in seconds since the Unix epoch.
	Second int64
}

// String returns the 56 digits.
func (n SequenceNumber) String() string {
	var buf [sequenceDigits]byte
	return string(n.Append(buf[:0]))
}

// Append appends the 56 digits to dst.
func (n SequenceNumber) Append(dst []byte) []byte {
	created, second := uint64(n.Created)&secondMask, uint64(n.Second)&secondMask
	w2 := 2<<56 | created<<20 | uint64(n.Shard&0xf)<<16 | n.Position>>48
	w1 := n.Position<<16 | second>>28
	w0 := second<<36 | uint64(n.Shard)<<4 | 2

	// Two divisions by 10^19 leave groups of 18, 19 and 19 digits. w2 is below 2^58, so no quotient overflows.
	q1, rest := bits.Div64(w2, w1, ten19)
	q0, low := bits.Div64(rest, w0, ten19)
	high, mid := bits.Div64(q1, q0, ten19)
	return append19(append19(strconv.AppendUint(dst, high, 10), mid), low)
}

// Compare is negative if n is before o, 0 if they are equal, else positive. It orders as the decimal numbers do.
func (n SequenceNumber) Compare(o SequenceNumber) int {
	return cmp.Or(
		cmp.Compare(n.Created, o.Created),
		cmp.Compare(n.Shard&0xf, o.Shard&0xf),
		cmp.Compare(n.Position, o.Position),
		cmp.Compare(n.Second, o.Second),
		cmp.Compare(n.Shard, o.Shard),
	)
}

// ParseSequenceNumber reads what String writes. It tells nothing about which stream the number came from.
func ParseSequenceNumber(s string) (SequenceNumber, error) {
	n, ok := parseSequenceNumber(s)
	if !ok {
		return SequenceNumber{}, fault.New(fault.Permanent, "stream.invalid_sequence_number",
			"sequence number %.60q is invalid", s).
			WithHint("use one that a put or a read returned, with all its %d digits", sequenceDigits)
	}
	return n, nil
}

func parseSequenceNumber(s string) (n SequenceNumber, ok bool) {
	if len(s) != sequenceDigits {
		return n, false
	}
	high, ok1 := parseDigits(s[:18])
	mid, ok2 := parseDigits(s[18:37])
	low, ok3 := parseDigits(s[37:])
	if !ok1 || !ok2 || !ok3 {
		return n, false
	}
	// w2:w1:w0 = (high*10^19 + mid)*10^19 + low; 10^56 is below 2^187, so nothing overflows.
	hi, lo := bits.Mul64(high, ten19)
	lo, c := bits.Add64(lo, mid, 0)
	hi += c
	w1, w0 := bits.Mul64(lo, ten19)
	w2, m := bits.Mul64(hi, ten19)
	w1, c = bits.Add64(w1, m, 0)
	w2 += c
	w0, c = bits.Add64(w0, low, 0)
	w1, c = bits.Add64(w1, 0, c)
	w2 += c

	n = SequenceNumber{
		Created:  int64(w2 >> 20 & secondMask),
		Shard:    record.ShardID(w0 >> 4),
		Position: w2<<48 | w1>>16,
		Second:   int64(w1<<28&secondMask | w0>>36),
	}
	wellFormed := w2>>56 == 2 && w0&0xf == 2 && w1>>8&0xff == 0 &&
		w2>>16&0xf == uint64(n.Shard&0xf) && n.Position <= EndPosition
	return n, wellFormed
}

// parseDigits reads up to 19 decimal digits.
func parseDigits(s string) (v uint64, ok bool) {
	for i := range len(s) {
		digit := uint64(s[i]) - '0'
		if digit > 9 {
			return 0, false
		}
		v = v*10 + digit
	}
	return v, true
}
