package disk

import (
	"bytes"
	"fmt"
	"io"
)

// readWindow is how much a blockReader reads at once, in bytes.
const readWindow = 512 << 10

// blockReader walks over the blocks of one segment.
type blockReader struct {
	f       io.ReaderAt
	segment uint64
	nonce   uint64 // of the segment; 0 until its first block was read
	end     int64  // nothing is read from here on
	noCRC   bool   // runs are believed; for reading tables only, and for a mutant
	tables  bool   // reads headers and tables, not runs

	window []byte
	at     int64 // file offset of window
	buf    []byte
	tab    []byte
	table  blockTable // of the last block
}

// bytesAt returns n bytes at off; they are valid until the next call.
func (r *blockReader) bytesAt(off int64, n int) ([]byte, error) {
	if off >= r.at && off+int64(n) <= r.at+int64(len(r.window)) {
		return r.window[off-r.at:][:n], nil
	}
	if off+int64(n) > r.end {
		return nil, io.ErrUnexpectedEOF
	}
	want := n
	if !r.tables || n < readWindow {
		want = int(min(max(int64(n), readWindow), r.end-off))
	}
	if cap(r.buf) < want {
		r.buf = make([]byte, max(want, readWindow))
	}
	r.window = r.buf[:0]
	if err := readFull(r.f, r.buf[:want], off); err != nil {
		return nil, err
	}
	r.window, r.at = r.buf[:want], off
	return r.window[:n], nil
}

// badBlock says what is wrong at an offset.
type badBlock struct {
	off    int64
	region Region
	err    error
	empty  bool // there is no trace of a block
}

// next reads the block at off, checks all of it, and leaves its table in r.table. A read error of the disk comes back
// as err; anything else that is wrong with the block as bad.
func (r *blockReader) next(off int64) (h blockHeader, bad *badBlock, err error) {
	if off+headerSize > r.end {
		return h, &badBlock{off: off, region: RegionHeader, err: fmt.Errorf("end of the file"), empty: true}, nil
	}
	head, err := r.bytesAt(off, headerSize)
	if err != nil {
		return h, nil, err
	}
	h, perr := parseHeader(head)
	if perr == nil && h.segment != r.segment {
		perr = fmt.Errorf("block of segment %d in segment %d", h.segment, r.segment)
	}
	if perr == nil && r.nonce != 0 && h.nonce != r.nonce {
		perr = fmt.Errorf("block of another log")
	}
	if perr == nil && off+int64(h.length) > r.end {
		perr = fmt.Errorf("block of %d bytes goes beyond the end of the file", h.length)
	}
	if perr != nil {
		return h, &badBlock{off: off, region: RegionHeader, err: perr, empty: allZero(head)}, nil
	}
	tableOff, n := off+int64(h.table), int(h.length-h.table)
	var tab []byte
	if tableOff >= r.at && tableOff+int64(n) <= r.at+int64(len(r.window)) {
		tab = r.window[tableOff-r.at:][:n]
	} else {
		if cap(r.tab) < n {
			r.tab = make([]byte, n)
		}
		tab = r.tab[:n]
		if err := readFull(r.f, tab, tableOff); err != nil {
			return h, nil, err
		}
	}
	if err := parseTable(&h, tab, &r.table); err != nil {
		region := RegionTable
		if h.kind == kindPromise {
			region = RegionPromise
		}
		return h, &badBlock{off: tableOff, region: region, err: err}, nil
	}
	r.nonce = h.nonce
	if r.noCRC || r.tables {
		return h, nil, nil
	}
	for i := range r.table.runs {
		e := &r.table.runs[i]
		p, err := r.bytesAt(off+int64(e.offset), int(e.length))
		if err != nil {
			return h, nil, err
		}
		if checksum(p) != e.crc {
			region := RegionRun
			switch h.kind {
			case kindSnapshot:
				region = RegionSnapshot
			case kindIndex:
				region = RegionFooter
			}
			return h, &badBlock{off: off + int64(e.offset), region: region, err: fmt.Errorf("checksum differs")}, nil
		}
	}
	return h, nil, nil
}

// promisedBeyond looks for an intact block header at or after off that promises more than off, and returns the greatest
// promise. Damage at off then hit what was synced; without one the bytes at off were never acked.
func (r *blockReader) promisedBeyond(off int64) (promised int64, err error) {
	err = r.headers(off, func(at int64, h *blockHeader) bool {
		if p := int64(h.promised); p > max(off, promised) && p <= at {
			promised = p
		}
		return true
	})
	return promised, err
}

// resync returns the offset of the next intact block header behind off, or -1.
func (r *blockReader) resync(off int64) (next int64, err error) {
	next = -1
	err = r.headers(off+blockAlign, func(at int64, _ *blockHeader) bool {
		next = at
		return false
	})
	return next, err
}

// headers calls visit for each intact block header of the segment from off on, wherever one may stand, until it returns
// false.
func (r *blockReader) headers(off int64, visit func(at int64, h *blockHeader) bool) error {
	var magic [4]byte
	le.PutUint32(magic[:], blockMagic)
	for pos := off; pos+headerSize <= r.end; {
		n := int(min(readWindow, r.end-pos))
		p, err := r.bytesAt(pos, n)
		if err != nil {
			return err
		}
		for i := 0; ; i++ {
			j := bytes.Index(p[i:], magic[:])
			if j < 0 {
				break
			}
			i += j
			if (pos+int64(i))%blockAlign != 0 || i+headerSize > n {
				continue
			}
			h, err := parseHeader(p[i:])
			if err == nil && h.segment == r.segment && (r.nonce == 0 || h.nonce == r.nonce) && !visit(pos+int64(i), &h) {
				return nil
			}
		}
		if pos+int64(n) >= r.end {
			break
		}
		pos += int64(n) - headerSize
		pos -= pos % blockAlign
	}
	return nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
