package wasm

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// Go's linker writes a data segment for each run of bytes that are not zero: 30,000 in a module of 3 MB. A new instance
// evaluates the offset of each, which is most of what the instance costs. mergeSegments joins neighbours.

// maxGap is how many zeros two segments may have between them to be joined, in bytes: copying them costs no more than a
// segment of its own does.
const maxGap = 512

const (
	sectionData      = 11
	sectionDataCount = 12
	segmentActive    = 0 // in memory 0, with an offset
	insnI32Const     = 0x41
	insnEnd          = 0x0b
)

// mergeSegments returns a module that initializes its memory to the same bytes with fewer segments. It returns the module
// itself if there is nothing to join, if instructions may name segments by their number (there is a section DataCount
// then), if segments overlap, and if anything looks unusual: to find out what is wrong with a module is the compiler's work, not done here.
func mergeSegments(module []byte) []byte {
	if len(module) < 8 {
		return module
	}
	out := slices.Clip(module[:8])
	r := wasmReader{rest: module[8:]}
	merged := false
	for len(r.rest) > 0 {
		start := r.rest
		id, size := r.byte(), r.u32()
		body := r.take(size)
		if r.bad || id == sectionDataCount {
			return module
		}
		if id == sectionData {
			joined, ok := joinSegments(body)
			if !ok {
				return module
			}
			out = append(out, sectionData)
			out = binary.AppendUvarint(out, uint64(len(joined)))
			out, merged = append(out, joined...), true
			continue
		}
		out = append(out, start[:len(start)-len(r.rest)]...)
	}
	if !merged {
		return module
	}
	return out
}

// joinSegments joins the segments of a data section. They may come in any order, because they must not overlap.
func joinSegments(section []byte) (joined []byte, ok bool) {
	type segment struct {
		at   uint32
		data []byte
	}
	r := wasmReader{rest: section}
	var all []segment
	for n := r.u32(); n > 0 && !r.bad; n-- {
		if r.byte() != segmentActive || r.byte() != insnI32Const {
			return nil, false
		}
		at := uint32(r.s32())
		if r.byte() != insnEnd {
			return nil, false
		}
		all = append(all, segment{at, slices.Clip(r.take(r.u32()))}) // clipped: growing it must not write to the module
	}
	if r.bad || len(r.rest) > 0 {
		return nil, false
	}
	slices.SortStableFunc(all, func(a, b segment) int { return cmp.Compare(a.at, b.at) })
	n := 0
	for _, s := range all {
		if n > 0 {
			last := &all[n-1]
			end := uint64(last.at) + uint64(len(last.data))
			if uint64(s.at) < end {
				return nil, false
			}
			if gap := uint64(s.at) - end; gap <= maxGap {
				last.data = append(append(last.data, make([]byte, gap)...), s.data...)
				continue
			}
		}
		all[n] = s
		n++
	}
	joined = binary.AppendUvarint(nil, uint64(n))
	for _, s := range all[:n] {
		joined = append(joined, segmentActive, insnI32Const)
		joined = appendS32(joined, int32(s.at))
		joined = append(joined, insnEnd)
		joined = binary.AppendUvarint(joined, uint64(len(s.data)))
		joined = append(joined, s.data...)
	}
	return joined, true
}

// wasmReader reads a binary module. After a mistake it is bad and reads zeros.
type wasmReader struct {
	rest []byte
	bad  bool
}

func (r *wasmReader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *wasmReader) take(n uint32) []byte {
	if r.bad || uint64(n) > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *wasmReader) u32() uint32 {
	v, n := binary.Uvarint(r.rest[:min(5, len(r.rest))])
	if r.bad || n <= 0 || v>>32 != 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return uint32(v)
}

// s32 reads a signed LEB128 number of at most 32 bits.
func (r *wasmReader) s32() int32 {
	var v int64
	for i, c := range r.rest[:min(5, len(r.rest))] {
		v |= int64(c&0x7f) << (7 * i)
		if c&0x80 != 0 {
			continue
		}
		unused := 64 - 7*(i+1)
		if v = v << unused >> unused; v != int64(int32(v)) {
			break
		}
		r.rest = r.rest[i+1:]
		return int32(v)
	}
	r.bad = true
	return 0
}

func appendS32(b []byte, v int32) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
