package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/leatstream/leat/core/record"
)

// The footer of a sealed segment is an index block and, as the last bytes of the file, a trailer that says where it is.
const (
	trailerMagic    = 0x3145544c // "LTE1"
	trailerSize     = 64
	indexHeadSize   = 16
	indexDirSize    = 48
	maxIndexEntries = 1 << 24
)

// trailer is the decoded end of a sealed segment.
type trailer struct {
	segment uint64
	index   uint64 // offset of the index block, which is where the segment's blocks end
	length  uint32 // of the index block
	shards  uint32 // entries of the directory
	runs    uint32 // entries of the index
	state   uint32 // bytes of the state at the end of the segment
	first   int64  // times of the first and the newest block
	last    int64
}

func (t *trailer) encode() []byte {
	b := make([]byte, trailerSize)
	le.PutUint32(b, trailerMagic)
	le.PutUint16(b[4:], blockVersion)
	le.PutUint64(b[8:], t.segment)
	le.PutUint64(b[16:], t.index)
	le.PutUint32(b[24:], t.length)
	le.PutUint32(b[28:], t.shards)
	le.PutUint32(b[32:], t.runs)
	le.PutUint32(b[36:], t.state)
	le.PutUint64(b[40:], uint64(t.first))
	le.PutUint64(b[48:], uint64(t.last))
	le.PutUint32(b[60:], checksum(b[:60]))
	return b
}

func parseTrailer(b []byte, segment uint64, size int64) (trailer, error) {
	var t trailer
	switch {
	case len(b) != trailerSize || le.Uint32(b) != trailerMagic:
		return t, fmt.Errorf("no trailer at the end of the file")
	case le.Uint32(b[60:]) != checksum(b[:60]):
		return t, fmt.Errorf("trailer checksum differs")
	case le.Uint16(b[4:]) != blockVersion:
		return t, fmt.Errorf("trailer version %d: this program reads version %d", le.Uint16(b[4:]), blockVersion)
	}
	t = trailer{
		segment: le.Uint64(b[8:]), index: le.Uint64(b[16:]), length: le.Uint32(b[24:]), shards: le.Uint32(b[28:]),
		runs: le.Uint32(b[32:]), state: le.Uint32(b[36:]), first: int64(le.Uint64(b[40:])), last: int64(le.Uint64(b[48:])),
	}
	body := uint64(indexHeadSize) + uint64(t.shards)*indexDirSize + uint64(t.runs)*runEntrySize + uint64(t.state)
	if t.segment != segment || t.index+uint64(t.length)+trailerSize != uint64(size) ||
		uint64(padded(int(headerSize+body+runEntrySize))) != uint64(t.length) || t.runs > maxIndexEntries {
		return t, fmt.Errorf("trailer contradicts the file")
	}
	return t, nil
}

// indexDir is what the index says of one shard.
type indexDir struct {
	shard      record.ShardID
	runs       uint32
	start      uint32 // number of its first entry
	first      uint64 // positions [first, next) are in the segment
	next       uint64
	firstArriv int64
	lastArriv  int64
}

func (d *indexDir) put(b []byte) {
	le.PutUint32(b, uint32(d.shard))
	le.PutUint32(b[4:], d.runs)
	le.PutUint32(b[8:], d.start)
	le.PutUint64(b[12:], d.first)
	le.PutUint64(b[20:], d.next)
	le.PutUint64(b[28:], uint64(d.firstArriv))
	le.PutUint64(b[36:], uint64(d.lastArriv))
	le.PutUint32(b[44:], checksum(b[:44]))
}

func parseIndexDir(b []byte) (d indexDir, ok bool) {
	d = indexDir{
		shard: record.ShardID(le.Uint32(b)), runs: le.Uint32(b[4:]), start: le.Uint32(b[8:]), first: le.Uint64(b[12:]),
		next: le.Uint64(b[20:]), firstArriv: int64(le.Uint64(b[28:])), lastArriv: int64(le.Uint64(b[36:])),
	}
	return d, le.Uint32(b[44:]) == checksum(b[:44])
}

// indexBody encodes the runs of a segment: head {shards, runs, bytes of state, 0}, the directory by shard, the entries by
// shard and position with their offsets in the segment, the state at the end of the segment.
func indexBody(runs runIndex, state []byte) (body []byte, shards, entries uint32) {
	ids := make([]record.ShardID, 0, len(runs))
	total := 0
	for id, l := range runs {
		if len(l.refs) > 0 {
			ids = append(ids, id)
			total += len(l.refs)
		}
	}
	slices.SortFunc(ids, func(a, b record.ShardID) int { return cmp.Compare(a, b) })
	body = make([]byte, indexHeadSize+len(ids)*indexDirSize+total*runEntrySize+len(state))
	le.PutUint32(body, uint32(len(ids)))
	le.PutUint32(body[4:], uint32(total))
	le.PutUint32(body[8:], uint32(len(state)))
	dir, at := body[indexHeadSize:], body[indexHeadSize+len(ids)*indexDirSize:]
	start := uint32(0)
	for _, id := range ids {
		refs := runs[id].refs
		d := indexDir{
			shard: id, runs: uint32(len(refs)), start: start, first: refs[0].first, next: refs[len(refs)-1].next(),
			firstArriv: refs[0].arrived, lastArriv: refs[len(refs)-1].arrived,
		}
		d.put(dir)
		dir = dir[indexDirSize:]
		for i := range refs {
			e := refs[i].entry(id)
			e.put(at)
			at = at[runEntrySize:]
		}
		start += d.runs
	}
	copy(at, state)
	return body, uint32(len(ids)), uint32(total)
}

// footerSize estimates how many bytes a footer takes.
func footerSize(shards, runs, state int) int64 {
	return int64(headerSize + indexHeadSize + shards*indexDirSize + runs*runEntrySize + state + runEntrySize + blockAlign + trailerSize)
}

// readTrailer reads the trailer of a file of the given size.
func readTrailer(f io.ReaderAt, segment uint64, size int64) (trailer, error) {
	if size < trailerSize {
		return trailer{}, fmt.Errorf("file of %d bytes is too short for a trailer", size)
	}
	b := make([]byte, trailerSize)
	if err := readFull(f, b, size-trailerSize); err != nil {
		return trailer{}, err
	}
	return parseTrailer(b, segment, size)
}

// readIndex reads and checks a whole index block and returns its body.
func readIndex(f io.ReaderAt, t *trailer) ([]byte, error) {
	b := make([]byte, t.length)
	if err := readFull(f, b, int64(t.index)); err != nil {
		return nil, err
	}
	h, body, err := parseBodyBlock(b, kindIndex)
	if err != nil {
		return nil, err
	}
	if h.segment != t.segment || h.length != t.length || len(body) < indexHeadSize || le.Uint32(body) != t.shards ||
		le.Uint32(body[4:]) != t.runs || le.Uint32(body[8:]) != t.state ||
		indexHeadSize+int(t.shards)*indexDirSize+int(t.runs)*runEntrySize+int(t.state) != len(body) {
		return nil, fmt.Errorf("index contradicts its trailer")
	}
	return body, nil
}

// stateOf returns the part of an index body that is the state at the segment's end.
func (t *trailer) stateOf(body []byte) (*snapshot, error) {
	return parseSnapshot(body[len(body)-int(t.state):])
}

// ioError is a read that the file system refused; what is stored there is unknown, not damaged.
type ioError struct {
	n   int
	off int64
	err error
}

func (e *ioError) Error() string { return fmt.Sprintf("read %d bytes at %d: %v", e.n, e.off, e.err) }
func (e *ioError) Unwrap() error { return e.err }

func isIO(err error) bool {
	_, ok := errors.AsType[*ioError](err)
	return ok
}

// readFull reads len(p) bytes at off. A file that ends before is io.ErrUnexpectedEOF, any other error an *ioError.
func readFull(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return fmt.Errorf("read %d bytes at %d: %w", len(p), off, io.ErrUnexpectedEOF)
	}
	return &ioError{len(p), off, err}
}
