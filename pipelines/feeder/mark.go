package feeder

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"strconv"
	"sync"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
)

const (
	markVersion = 1
	headWindow  = 1024 // bytes of a file's beginning that identify it
	tailWindow  = 256  // bytes before the position that must still be there
	maxPath     = 3 << 10
	slotGap     = 4 * maxParallel

	flagUnterminated = 1
	flagSkipping     = 2
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// identity names a file on this machine until it is deleted; later files may get the same.
type identity struct{ dev, ino uint64 }

// position is how far a file has been read, and what proves that it is still that file: the state of a mark.
type position struct {
	id         identity
	generation uint64 // how often the file began anew
	offset     int64
	// unterminated says that the last line before offset had no newline when it was taken.
	unterminated bool
	// skipping says that offset is within a line that is too long: the rest of it is no record.
	skipping bool
	head     uint64 // crc64 of the first min(offset, headWindow) bytes
	tail     uint64 // crc64 of the last min(offset, tailWindow) bytes before offset
	path     string // where the file was
}

func (p *position) headLen() int { return int(min(p.offset, headWindow)) }

// advance moves the position by n bytes. window holds what the file has from start on, at least from tailWindow bytes
// before the position (or its beginning) to n bytes after it.
func (p *position) advance(window []byte, start int64, n int) {
	at := int(p.offset - start)
	if grow := min(headWindow-p.headLen(), n); grow > 0 {
		p.head = crc64.Update(p.head, crcTable, window[at:at+grow])
	}
	end := at + n
	p.tail = crc64.Checksum(window[max(0, end-tailWindow):end], crcTable)
	p.offset += int64(n)
	p.unterminated, p.skipping = false, false
}

// sameFile reports whether the bytes of r up to the position are, as far as the fingerprints tell, those that were read
// before. before are the bytes of r just before the position, tailWindow of them unless the file begins there.
func (p *position) sameFile(r io.ReaderAt, before []byte) (bool, error) {
	if p.offset == 0 {
		return true, nil
	}
	if len(before) < int(min(p.offset, tailWindow)) || crc64.Checksum(before, crcTable) != p.tail {
		return false, nil
	}
	var head [headWindow]byte
	n, err := r.ReadAt(head[:p.headLen()], 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	return n == p.headLen() && crc64.Checksum(head[:n], crcTable) == p.head, nil
}

// encode returns the state of a mark: version, flags, then varints device, inode, generation, offset; the two checksums
// as 8 bytes little-endian each; the path to the end. A path too long to store is left out.
func (p *position) encode() []byte {
	b := make([]byte, 0, 96+len(p.path))
	flags := byte(0)
	if p.unterminated {
		flags |= flagUnterminated
	}
	if p.skipping {
		flags |= flagSkipping
	}
	b = append(b, markVersion, flags)
	for _, v := range []uint64{p.id.dev, p.id.ino, p.generation, uint64(p.offset)} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.LittleEndian.AppendUint64(b, p.head)
	b = binary.LittleEndian.AppendUint64(b, p.tail)
	if len(p.path) <= maxPath {
		b = append(b, p.path...)
	}
	return b
}

// decodePosition is the inverse of encode.
func decodePosition(b []byte) (p position, err error) {
	if len(b) < 2 || b[0] != markVersion {
		return p, fmt.Errorf("its version is not %d", markVersion)
	}
	if b[1]&^(flagUnterminated|flagSkipping) != 0 {
		return p, fmt.Errorf("unknown flags %#x", b[1])
	}
	p.unterminated = b[1]&flagUnterminated != 0
	p.skipping = b[1]&flagSkipping != 0
	b = b[2:]
	var offset uint64
	for _, v := range []*uint64{&p.id.dev, &p.id.ino, &p.generation, &offset} {
		u, n := binary.Uvarint(b)
		if n <= 0 {
			return p, fmt.Errorf("it is cut short")
		}
		*v, b = u, b[n:]
	}
	if p.offset = int64(offset); p.offset < 0 {
		return p, fmt.Errorf("offset %d is out of range", offset)
	}
	if len(b) < 16 || len(b) > 16+maxPath {
		return p, fmt.Errorf("its length is wrong")
	}
	p.head = binary.LittleEndian.Uint64(b)
	p.tail = binary.LittleEndian.Uint64(b[8:])
	p.path = string(b[16:])
	return p, nil
}

// slots gives out the producers' names under which marks are stored. A log keeps a mark for ever and cannot list its
// producers, so the names are numbers used again and again: there are never more marks than there were files at a time,
// and all of them are found by counting up. An empty state says that a slot is free.
type slots struct {
	name string

	mu   sync.Mutex
	free []int // slots below next that are free
	next int
}

func (s *slots) producer(slot int) string { return "files/" + s.name + "/" + strconv.Itoa(slot) }

// load finds the marks of an earlier run. Slots are first stored in any order by up to maxParallel files at once, so a
// mark that is missing is not yet the end.
func (s *slots) load(mark func(producer string) (shardlog.Mark, bool)) (map[int]position, error) {
	found := make(map[int]position)
	var missing []int
	for slot := 0; len(missing) < slotGap; slot++ {
		m, ok := mark(s.producer(slot))
		if !ok {
			missing = append(missing, slot)
			continue
		}
		s.free = append(s.free, missing...)
		missing = missing[:0]
		s.next = slot + 1
		if len(m.State) == 0 {
			s.free = append(s.free, slot)
			continue
		}
		p, err := decodePosition(m.State)
		if err != nil {
			return nil, fault.New(fault.Permanent, "feeder.bad_mark", "the position stored as %s cannot be read: %w", s.producer(slot), err).
				WithHint("it may be of a newer leat; another feeder name reads all files from their beginning")
		}
		found[slot] = p
	}
	return found, nil
}

func (s *slots) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	s.next++
	return s.next - 1
}

func (s *slots) give(slot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, slot)
}
