package codec

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/snappy"
)

// snappyChunk is the most uncompressed bytes that the framing format allows in one chunk.
const snappyChunk = 64 << 10

// snappied writes Snappy's framing format, which is what Firehose calls Snappy:
// https://github.com/google/snappy/blob/main/framing_format.txt. Its bytes are the same on every machine of one
// architecture; between architectures the encoder's assembly may differ.
type snappied struct{}

func (snappied) Name() string      { return "snappy" }
func (snappied) Extension() string { return ".snappy" }
func (snappied) Headers(string) (typ, encoding string) {
	return "application/x-snappy-framed", ""
}

func (snappied) AppendHeader(dst []byte, _ string) []byte {
	return append(dst, "\xff\x06\x00\x00sNaPpY"...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (snappied) AppendBlock(dst, block []byte) []byte {
	const compressed, uncompressed = 0x00, 0x01
	for len(block) > 0 {
		raw := block[:min(len(block), snappyChunk)]
		block = block[len(raw):]
		crc := crc32.Checksum(raw, castagnoli)
		masked := (crc>>15 | crc<<17) + 0xa282ead8

		at := len(dst)
		dst = append(dst, 0, 0, 0, 0) // type and length, below
		dst = binary.LittleEndian.AppendUint32(dst, masked)
		body := len(dst)
		dst = slices.Grow(dst, snappy.MaxEncodedLen(len(raw)))
		typ := byte(compressed)
		n := len(snappy.Encode(dst[body:cap(dst)], raw))
		if n >= len(raw)-len(raw)/8 { // not worth the reader's time
			typ = uncompressed
			n = copy(dst[body:cap(dst)], raw)
		}
		dst = dst[:body+n]
		binary.LittleEndian.PutUint32(dst[at:], uint32(4+n)<<8|uint32(typ))
	}
	return dst
}

func (snappied) AppendTrailer(dst []byte, _ string, _ Sum) []byte { return dst }
