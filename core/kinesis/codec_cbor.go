package kinesis

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

// Bytes of CBOR, RFC 8949: major types in the upper three bits, and some simple values.
const (
	cborBytes      = 2 << 5
	cborText       = 3 << 5
	cborArray      = 4 << 5
	cborMap        = 5 << 5
	cborIndefinite = 31
	cborFalse      = 0xf4
	cborTrue       = 0xf5
	cborNull       = 0xf6
	cborBreak      = 0xff
)

// cborBody is a [hotBody] in CBOR. Maps and lists may have an indefinite length, as the Java SDKs write them.
type cborBody struct {
	body []byte
	at   int
	odd  bool // met what is for the generic decoder

	open  [hotDepth]cborNest
	depth int
}

// cborNest is an open list or structure.
type cborNest struct {
	left       uint64 // elements yet to come
	indefinite bool   // it ends with a break instead
}

func (b *cborBody) fail() { b.odd = true }

// next is the next byte; at the end, one that nothing begins with.
func (b *cborBody) next() byte {
	if b.at < len(b.body) {
		return b.body[b.at]
	}
	return 0xfe
}

// head reads the head of an item of a major type and returns its argument.
func (b *cborBody) head(major byte) uint64 {
	c := b.next()
	info := c & 0x1f
	if c&0xe0 != major || info > 27 {
		b.fail()
		return 0
	}
	b.at++
	if info < 24 {
		return uint64(info)
	}
	size := 1 << (info - 24)
	if len(b.body)-b.at < size {
		b.fail()
		return 0
	}
	var wide [8]byte
	copy(wide[8-size:], b.body[b.at:])
	b.at += size
	return binary.BigEndian.Uint64(wide[:])
}

func (b *cborBody) enter(list bool) {
	if b.depth == hotDepth {
		b.fail()
		return
	}
	major := byte(cborMap)
	if list {
		major = cborArray
	}
	n := &b.open[b.depth]
	b.depth++
	if n.indefinite = b.next() == major|cborIndefinite; n.indefinite {
		b.at++
		return
	}
	n.left = b.head(major)
}

func (b *cborBody) more() bool {
	if b.odd {
		return false
	}
	n := &b.open[b.depth-1]
	switch {
	case n.indefinite && b.next() != cborBreak:
		return true
	case n.indefinite:
		b.at++
	case n.left > 0:
		n.left--
		return true
	}
	b.depth--
	return false
}

// content reads a string of definite length.
func (b *cborBody) content(major byte) []byte {
	n := b.head(major)
	if b.odd || n > uint64(len(b.body)-b.at) {
		b.fail()
		return nil
	}
	p := b.body[b.at:][:n:n]
	b.at += int(n)
	return p
}

func (b *cborBody) name() []byte { return b.content(cborText) }

func (b *cborBody) null() bool {
	if b.next() != cborNull {
		return false
	}
	b.at++
	return true
}

func (b *cborBody) flag() bool {
	c := b.next()
	if c != cborTrue && c != cborFalse {
		b.fail()
	}
	b.at++
	return c == cborTrue
}

func (b *cborBody) text() string {
	p := b.content(cborText)
	if !utf8.Valid(p) {
		b.fail()
	}
	return unsafe.String(unsafe.SliceData(p), len(p))
}

func (b *cborBody) blob() []byte { return b.content(cborBytes) }

func (b *cborBody) end() bool { return !b.odd && b.at == len(b.body) }
