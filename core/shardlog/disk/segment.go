package disk

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/vfs"
)

const (
	segmentSuffix = ".seg"
	// damagedSuffix marks a segment that was damaged when its time to expire came.
	damagedSuffix = ".damaged"
	// maxHandles bounds the sealed segments that a log keeps open without reading from them.
	maxHandles = 16
)

func segmentName(id uint64) string { return fmt.Sprintf("%016d%s", id, segmentSuffix) }

func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil && id > 0
}

// segment is one file of the log. Fields without a guard do not change.
type segment struct {
	id    uint64
	path  string
	nonce uint64 // 0 if not known yet; only unsealed segments need it

	// Guarded by Log.idx.
	size   int64 // of the file, in bytes
	end    int64 // where the blocks that readers may see end; 0 until a sealed segment was looked at
	first  int64 // time of the first block; 0 as end
	last   int64 // time of the newest block; 0 as end
	runs   runIndex
	synced bool // its head is durable: the segments before it are not needed to open the log
	sealed bool // a durable footer is there, and runs is nil unless the footer turned out to be bad
	footer trailer
	base   *baseTable // cached; see baseOf
	hurt   bool       // damage was found: never deleted

	handle handle
}

// runIndex is the index of an unsealed segment.
type runIndex map[record.ShardID]*runList

// runList is the runs of one shard, by position.
type runList struct{ refs []runRef }

// runRef is a run as an index in memory knows it: 32 bytes, for there may be a million.
type runRef struct {
	first   uint64
	arrived int64
	count   uint32
	offset  uint32 // of the run in the segment
	length  uint32
	crc     uint32
}

func (r *runRef) entry(shard record.ShardID) runEntry {
	return runEntry{shard: shard, count: r.count, first: r.first, arrived: r.arrived, offset: r.offset, length: r.length, crc: r.crc}
}

func (r *runRef) next() uint64 { return r.first + uint64(r.count) }

// add adds a run of the block at offset block of the segment.
func (x runIndex) add(e *runEntry, block int64) {
	l := x[e.shard]
	if l == nil {
		l = new(runList)
		x[e.shard] = l
	}
	l.refs = append(l.refs, runRef{
		first: e.first, arrived: e.arrived, count: e.count, offset: uint32(block) + e.offset, length: e.length, crc: e.crc,
	})
}

// handle is the open file of a segment and who uses it.
type handle struct {
	f    vfs.File
	refs int
	gone bool // the file was removed: close with the last reference
}

// handles keeps segments' files open while they are read and for a while after. The zero value is ready.
type handles struct {
	mu   sync.Mutex
	idle []*segment // open and unused, the longest unused first
}

// acquire returns the segment's file, opening it if need be. Each acquire needs a release.
func (hs *handles) acquire(fs vfs.FS, s *segment) (vfs.File, error) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := &s.handle
	if h.f == nil {
		f, err := fs.OpenRead(s.path)
		if err != nil {
			return nil, fmt.Errorf("open segment: %w", err)
		}
		h.f = f
	}
	if h.refs == 0 {
		hs.forget(s)
	}
	h.refs++
	return h.f, nil
}

func (hs *handles) release(s *segment) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := &s.handle
	h.refs--
	if h.refs > 0 {
		return
	}
	if h.gone {
		h.close()
		return
	}
	hs.idle = append(hs.idle, s)
	if len(hs.idle) > maxHandles {
		hs.idle[0].handle.close()
		hs.idle = append(hs.idle[:0], hs.idle[1:]...)
	}
}

func (hs *handles) forget(s *segment) {
	for i := range hs.idle {
		if hs.idle[i] == s {
			hs.idle = append(hs.idle[:i], hs.idle[i+1:]...)
			return
		}
	}
}

// drop says that the segment's file is going to be removed.
func (hs *handles) drop(s *segment) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	s.handle.gone = true
	if s.handle.refs == 0 {
		hs.forget(s)
		s.handle.close()
	}
}

// closeIdle closes every file that nobody uses; those in use are closed with their last release.
func (hs *handles) closeIdle(all []*segment) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, s := range all {
		s.handle.gone = true
		if s.handle.refs == 0 {
			s.handle.close()
		}
	}
	hs.idle = nil
}

// close ignores the error: the handle only reads.
func (h *handle) close() {
	if h.f != nil {
		_ = h.f.Close()
		h.f = nil
	}
}

// removeFile removes a file and makes that durable.
func removeFile(fs vfs.FS, path string) error {
	return errors.Join(fs.Remove(path), fs.SyncDir(filepath.Dir(path)))
}
