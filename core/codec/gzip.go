package codec

import "encoding/binary"

// gzipped writes one gzip member (RFC 1952) without a modification time, a name or an operating system, so that nothing
// but the content and the level decides the bytes.
type gzipped struct{ level int }

func (gzipped) Name() string      { return "gzip" }
func (gzipped) Extension() string { return ".gz" }

// Headers names gzip as the encoding of the content, as Firehose does, so that HTTP clients can undo it.
func (gzipped) Headers(contentType string) (typ, encoding string) { return contentType, "gzip" }

func (g gzipped) AppendHeader(dst []byte, _ string) []byte {
	const deflated, unknownOS = 8, 255
	var extra byte // which end of the speed range: 4 fastest, 2 smallest
	switch g.level {
	case MinLevel:
		extra = 4
	case MaxLevel:
		extra = 2
	}
	return append(dst, 0x1f, 0x8b, deflated, 0, 0, 0, 0, 0, extra, unknownOS)
}

func (g gzipped) AppendBlock(dst, block []byte) []byte { return appendDeflated(dst, block, g.level) }

func (g gzipped) AppendTrailer(dst []byte, _ string, sum Sum) []byte {
	dst = append(dst, deflateEnd[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, sum.CRC)
	return binary.LittleEndian.AppendUint32(dst, uint32(sum.Raw)) // modulo 2^32, as the format has it
}
