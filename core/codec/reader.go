package codec

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"

	"github.com/leatstream/leat/core/fault"
)

// NewReader returns the uncompressed content of an object that the compression called name has made. It reads to the end
// and fails on an object that is damaged or cut short; what was read until then is not to be trusted. The zip reader
// takes archives as this package writes them, with one entry.
func NewReader(name string, r io.Reader) (io.Reader, error) {
	switch name {
	case "none":
		return r, nil
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, damaged("gzip: %w", err)
		}
		return z, nil
	case "zip":
		return newZipReader(r)
	case "snappy":
		return snappy.NewReader(r), nil
	}
	_, err := ByName(name, 0)
	return nil, err
}

func damaged(format string, args ...any) error {
	return fault.New(fault.Permanent, "codec.damaged", format, args...)
}

// zipReader reads the only entry of an archive whose sizes follow the content.
type zipReader struct {
	src  *bufio.Reader
	body io.ReadCloser
	crc  uint32
	raw  uint64
	err  error
}

func newZipReader(r io.Reader) (io.Reader, error) {
	src := bufio.NewReaderSize(r, 64<<10)
	var head [zipLocalLen]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, damaged("zip: local header: %w", noEOF(err))
	}
	le := binary.LittleEndian
	flags, method := le.Uint16(head[6:]), le.Uint16(head[8:])
	if le.Uint32(head[0:]) != zipLocalHeader || flags&(1<<3) == 0 || flags&1 != 0 || method != zipDeflated {
		return nil, damaged("zip: the archive does not start with a deflated entry that a data descriptor follows")
	}
	names := int(le.Uint16(head[26:])) + int(le.Uint16(head[28:]))
	if _, err := src.Discard(names); err != nil {
		return nil, damaged("zip: entry name: %w", noEOF(err))
	}
	return &zipReader{src: src, body: flate.NewReader(src)}, nil
}

func (z *zipReader) Read(p []byte) (int, error) {
	if z.err != nil {
		return 0, z.err
	}
	n, err := z.body.Read(p)
	z.crc = crc32.Update(z.crc, crc32.IEEETable, p[:n])
	z.raw += uint64(n)
	switch {
	case err == io.EOF:
		z.err = z.finish()
	case err != nil:
		z.err = damaged("zip: content: %w", err)
	}
	return n, z.err
}

// finish reads the rest of the archive and compares the data descriptor with what was read. It returns io.EOF if all is
// well.
func (z *zipReader) finish() error {
	// The descriptor has 4-byte or 8-byte sizes; which ones, the signature behind it tells.
	tail, err := z.src.Peek(28)
	if err != nil {
		return damaged("zip: data descriptor: %w", noEOF(err))
	}
	le := binary.LittleEndian
	var raw uint64
	switch {
	case le.Uint32(tail[16:]) == zipCentralHeader:
		raw = uint64(le.Uint32(tail[12:]))
	case le.Uint32(tail[24:]) == zipCentralHeader:
		raw = le.Uint64(tail[16:])
	default:
		return damaged("zip: no central directory after the entry")
	}
	if le.Uint32(tail[0:]) != zipDescriptor || le.Uint32(tail[4:]) != z.crc || raw != z.raw {
		return damaged("zip: the content does not have the size and the CRC that the archive states")
	}
	last := make([]byte, 0, 64<<10+22)
	for {
		if len(last) == cap(last) {
			return damaged("zip: more than one entry")
		}
		n, err := z.src.Read(last[len(last):cap(last)])
		last = last[:len(last)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return damaged("zip: central directory: %w", err)
		}
	}
	if len(last) < 22 || le.Uint32(last[len(last)-22:]) != zipEnd || le.Uint16(last[len(last)-12:]) != 1 {
		return damaged("zip: the archive is cut short or has more than one entry")
	}
	return io.EOF
}

// noEOF makes the end of the input, where more is needed, an error that io.ReadAll reports.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
