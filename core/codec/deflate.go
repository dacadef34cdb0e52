package codec

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// deflateEnd is the final block that ends a deflate stream: empty, with fixed Huffman codes.
var deflateEnd = [...]byte{0x03, 0x00}

// appender is an io.Writer that appends.
type appender struct{ buf []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.buf = append(a.buf, p...)
	return len(p), nil
}

// deflater is a pooled flate writer (up to 1.2 MiB of tables) and what it writes to.
type deflater struct {
	out appender
	w   *flate.Writer
}

// deflaters holds one pool a level.
var deflaters [MaxLevel + 1]sync.Pool

// appendDeflated appends block as deflate blocks that refer to nothing before block and end on a byte boundary, without a
// final one: such pieces can be made on several cores, and one after the other they are one deflate stream. An empty
// block is nothing.
func appendDeflated(dst, block []byte, level int) []byte {
	if len(block) == 0 {
		return dst
	}
	d, _ := deflaters[level].Get().(*deflater)
	if d == nil {
		d = new(deflater)
		w, err := flate.NewWriter(&d.out, level)
		if err != nil {
			panic(err) // ByName has checked the level
		}
		d.w = w
	}
	d.out.buf = dst
	d.w.Reset(&d.out)
	if _, err := d.w.Write(block); err != nil {
		panic(err) // an appender takes everything
	}
	if err := d.w.Flush(); err != nil {
		panic(err)
	}
	dst = d.out.buf
	d.out.buf = nil
	deflaters[level].Put(d)
	return dst
}
