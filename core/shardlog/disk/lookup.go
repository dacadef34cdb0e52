package disk

import (
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/leatstream/leat/core/record"
)

const (
	// windowEntries is how many index entries of a sealed segment one lookup keeps; a sequential reader needs one lookup for
	// so many runs.
	windowEntries = 128
	// maxWindows bounds the cache of such lookups, per log: 128 x 48 bytes x 64 = 384 KiB.
	maxWindows = 64
)

// window is a stretch of one shard's index entries in a sealed segment.
type window struct {
	seg     *segment
	shard   record.ShardID
	entries []runEntry // contiguous positions
}

func (w *window) from(pos uint64) []runEntry {
	i := sort.Search(len(w.entries), func(i int) bool { return w.entries[i].first+uint64(w.entries[i].count) > pos })
	if i == len(w.entries) || w.entries[i].first > pos {
		return nil
	}
	return w.entries[i:]
}

// windowCache keeps the windows used last.
type windowCache struct {
	mu   sync.Mutex
	list []*window // used last at the end
}

func (c *windowCache) find(s *segment, id record.ShardID, pos uint64) []runEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.list) - 1; i >= 0; i-- {
		w := c.list[i]
		if w.seg == s && w.shard == id {
			if e := w.from(pos); e != nil {
				copy(c.list[i:], c.list[i+1:])
				c.list[len(c.list)-1] = w
				return e
			}
		}
	}
	return nil
}

func (c *windowCache) add(w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) >= maxWindows {
		copy(c.list, c.list[1:])
		c.list = c.list[:len(c.list)-1]
	}
	c.list = append(c.list, w)
}

// forget drops what the cache knows of a segment.
func (c *windowCache) forget(s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.list[:0]
	for _, w := range c.list {
		if w.seg != s {
			kept = append(kept, w)
		}
	}
	clear(c.list[len(kept):])
	c.list = kept
}

// runsAt returns index entries of a shard in a segment, the first of which contains pos, at most a window of them. The
// entries are checked to follow each other, but what they point to is not.
func (l *Log) runsAt(s *segment, f io.ReaderAt, id record.ShardID, pos uint64) ([]runEntry, error) {
	for try := 0; ; try++ {
		l.idx.RLock()
		if s.runs != nil {
			e := s.runsFrom(id, pos)
			l.idx.RUnlock()
			if e == nil {
				return nil, l.report(s, 0, RegionFile, fmt.Errorf("position %d of %v is not in the segment it belongs to", pos, id))
			}
			return e, nil
		}
		t, known := s.footer, s.footer.segment != 0
		l.idx.RUnlock()
		if e := l.cache.find(s, id, pos); e != nil {
			return e, nil
		}
		var err error
		if !known {
			if t, err = l.loadTrailer(s, f); err == nil {
				continue
			}
		} else {
			var w *window
			if w, err = lookupIndex(f, &t, s, id, pos, l.opts.seams.trustIndex); err == nil {
				l.cache.add(w)
				if e := w.from(pos); e != nil {
					return e, nil
				}
				err = fmt.Errorf("position %d of %v is not in the index", pos, id)
			}
		}
		if try > 2 || isIO(err) {
			return nil, err
		}
		if err := l.rebuild(s, f, err); err != nil {
			return nil, err
		}
	}
}

// runsFrom copies entries of an index in memory. The caller holds idx.
func (s *segment) runsFrom(id record.ShardID, pos uint64) []runEntry {
	list := s.runs[id]
	if list == nil {
		return nil
	}
	refs := list.refs
	i := sort.Search(len(refs), func(i int) bool { return refs[i].next() > pos })
	if i == len(refs) || refs[i].first > pos {
		return nil
	}
	refs = refs[i:min(i+windowEntries, len(refs))]
	out := make([]runEntry, len(refs))
	for j := range refs {
		out[j] = refs[j].entry(id)
	}
	return out
}

// loadTrailer reads the trailer of a sealed segment into memory.
func (l *Log) loadTrailer(s *segment, f io.ReaderAt) (trailer, error) {
	l.idx.RLock()
	size := s.size
	l.idx.RUnlock()
	t, err := readTrailer(f, s.id, size)
	if err != nil {
		return t, err
	}
	l.idx.Lock()
	defer l.idx.Unlock()
	s.footer, s.end, s.first, s.last = t, int64(t.index), t.first, t.last
	return t, nil
}

// lookupIndex finds the entries of a shard from pos on in a sealed segment's index by a few small reads.
func lookupIndex(f io.ReaderAt, t *trailer, s *segment, id record.ShardID, pos uint64, trust bool) (*window, error) {
	dirAt := int64(t.index) + headerSize + indexHeadSize
	d, err := findDir(f, dirAt, int(t.shards), id, trust)
	if err != nil {
		return nil, err
	}
	at := dirAt + int64(t.shards)*indexDirSize
	if uint64(d.start)+uint64(d.runs) > uint64(t.runs) {
		return nil, fmt.Errorf("index of %v goes beyond its end", id)
	}
	b := make([]byte, windowEntries*runEntrySize)
	read := func(i, n int) ([]runEntry, error) {
		p := b[:n*runEntrySize]
		if err := readFull(f, p, at+int64(int(d.start)+i)*runEntrySize); err != nil {
			return nil, err
		}
		out := make([]runEntry, n)
		for j := range out {
			e, ok := parseRunEntry(p[j*runEntrySize:])
			if !trust && (!ok || e.shard != id || j > 0 && e.first != out[j-1].first+uint64(out[j-1].count)) {
				return nil, fmt.Errorf("index entry %d of %v is damaged", i+j, id)
			}
			out[j] = e
		}
		return out, nil
	}
	lo, hi := 0, int(d.runs) // the run with pos is in [lo, hi)
	for hi-lo > windowEntries {
		mid := (lo + hi) / 2
		e, err := read(mid, 1)
		if err != nil {
			return nil, err
		}
		if e[0].first > pos {
			hi = mid
		} else {
			lo = mid
		}
	}
	n := min(windowEntries, int(d.runs)-lo)
	entries, err := read(lo, n)
	if err != nil {
		return nil, err
	}
	return &window{seg: s, shard: id, entries: entries}, nil
}

func findDir(f io.ReaderAt, at int64, n int, id record.ShardID, trust bool) (indexDir, error) {
	b := make([]byte, indexDirSize)
	lo, hi := 0, n
	for lo < hi {
		mid := (lo + hi) / 2
		if err := readFull(f, b, at+int64(mid)*indexDirSize); err != nil {
			return indexDir{}, err
		}
		d, ok := parseIndexDir(b)
		switch {
		case !ok && !trust:
			return d, fmt.Errorf("entry %d of the index directory is damaged", mid)
		case d.shard == id:
			return d, nil
		case d.shard < id:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return indexDir{}, fmt.Errorf("the index does not know %v", id)
}

// rebuild replaces the footer of a segment, which is damaged or was never durable, by an index in memory made from its
// blocks.
func (l *Log) rebuild(s *segment, f io.ReaderAt, cause error) error {
	l.idx.RLock()
	size := s.size
	l.idx.RUnlock()
	// A file that still has its allocated size was never sealed for good.
	if snap, _, bad, err := readSnapshot(f, s.id); err != nil || bad != nil || int64(snap.capacity) != size {
		_ = l.report(s, size-trailerSize, RegionFooter, cause)
	}
	built, err := l.indexBlocks(s, f, size)
	if err != nil {
		return fmt.Errorf("rebuild the index of segment %d: %w", s.id, err)
	}
	l.idx.Lock()
	defer l.idx.Unlock()
	s.runs, s.end, s.first, s.last = built.runs, built.end, built.first, built.last
	l.cache.forget(s)
	return nil
}

// walked is what a walk over a segment's blocks finds.
type walked struct {
	runs        runIndex
	end         int64
	first, last int64
}

// indexBlocks walks over the headers and tables of a segment. Behind damage it goes on with the next intact header.
func (l *Log) indexBlocks(s *segment, f io.ReaderAt, size int64) (walked, error) {
	out := walked{runs: runIndex{}}
	r := blockReader{f: f, segment: s.id, end: size, tables: true}
	for {
		h, bad, err := r.next(out.end)
		if err != nil || bad == nil && h.kind == kindIndex {
			return out, err
		}
		if bad != nil {
			after, err := r.resync(out.end)
			if err != nil || after < 0 {
				return out, err
			}
			_ = l.report(s, bad.off, bad.region, bad.err)
			out.end = after
			continue
		}
		if h.kind == kindRecords {
			if out.first == 0 {
				out.first = h.time
			}
			out.last = max(out.last, h.time)
			for i := range r.table.runs {
				if e := &r.table.runs[i]; e.count > 0 {
					out.runs.add(e, out.end)
				}
			}
		}
		out.end += int64(h.length)
	}
}
