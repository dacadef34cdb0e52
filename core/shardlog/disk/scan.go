package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

const (
	// minStretch and maxStretch bound how much a scan reads at once, in bytes.
	minStretch = 64 << 10
	maxStretch = 1 << 20
	// scanAhead is how far a scan of sealed segments announces what it will read, in bytes.
	scanAhead = 8 << 20
)

// scanner is a pass over all shards. All but the fields behind mu belong to its user's goroutine.
type scanner struct {
	l      *Log
	next   map[record.ShardID]uint64 // a shard that is missing is read from 1
	seg    *segment                  // nil until there is one
	f      vfs.File
	off    int64 // of the next block in seg
	want   int   // what the last reads were good for, in bytes
	ahead  int64 // announced up to here
	seen   uint64
	head   blockHeader // of the block at tabled
	table  blockTable
	tabled int64 // -1: none
	closed bool

	mu      sync.Mutex
	cur     uint64                    // number of seg; what expires behind it is missed
	trims   map[record.ShardID]uint64 // expired since cur was set
	expired []shardlog.Range
}

// Scan implements shardlog.Log.
func (l *Log) Scan(from shardlog.Positions) (shardlog.Scanner, error) {
	s := &scanner{l: l, next: map[record.ShardID]uint64{}, trims: map[record.ShardID]uint64{}, want: 4 * minStretch, tabled: -1}
	l.idx.Lock()
	if l.closed {
		l.idx.Unlock()
		return nil, shardlog.ErrClosed
	}
	type need struct {
		id  record.ShardID
		pos uint64
	}
	var needs []need
	var bad error
	for id, sh := range l.shards {
		if sh.hidden {
			continue
		}
		pos, named := from[id]
		switch {
		case !named:
			pos = sh.trim
		case pos > sh.next:
			bad = fmt.Errorf("scan from position %d of %v, which lies in the future, the next is %d", pos, id, sh.next)
		case pos < sh.trim:
			s.expired = append(s.expired, shardlog.Range{Shard: id, From: max(pos, 1), To: sh.trim})
			pos = sh.trim
		}
		s.next[id] = pos
		if pos < sh.next && !sh.gone {
			needs = append(needs, need{id, pos})
		}
	}
	var start *segment
	if n := len(l.segs); n > 0 {
		start = l.segs[n-1]
		s.off = start.end // exact for the active segment; a sealed one is read from its head
	}
	l.scans[s] = struct{}{} // from here on expiry tells the scan what it misses
	l.idx.Unlock()
	if bad != nil {
		_ = s.Close()
		return nil, bad
	}
	for _, n := range needs {
		seg, err := l.segmentFor(n.id, n.pos)
		if err != nil {
			if st, ok := l.State(n.id); !ok || st.TrimHorizon > n.pos {
				continue // it expired meanwhile, and is counted
			}
			_ = s.Close()
			return nil, err
		}
		if start == nil || seg.id < start.id {
			start, s.off = seg, 0
		} else if seg == start {
			s.off = 0
		}
	}
	if start != nil {
		f, err := l.handles.acquire(l.fs, start)
		switch {
		case err == nil:
			s.enter(start, f, s.off)
		case errors.Is(err, fs.ErrNotExist):
			s.off = 0 // it expired meanwhile: the first Next finds the oldest that is left
		default:
			_ = s.Close()
			return nil, err
		}
	}
	return s, nil
}

// enter makes seg the segment that is read. Records of segments before it that the scan has not seen have expired.
func (s *scanner) enter(seg *segment, f vfs.File, off int64) {
	s.seg, s.f, s.off, s.ahead, s.tabled = seg, f, off, off, -1
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cur = seg.id
	for id, trim := range s.trims {
		if at := s.at(id); at < trim {
			s.expired = append(s.expired, shardlog.Range{Shard: id, From: at, To: trim})
			s.next[id] = trim
		}
	}
	clear(s.trims)
}

func (s *scanner) at(id record.ShardID) uint64 { return max(s.next[id], 1) }

// trimmed tells the scan that a segment went, and with it a shard's positions before trim. The caller holds idx.
func (s *scanner) trimmed(segment uint64, id record.ShardID, trim uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if segment > s.cur {
		s.trims[id] = trim
	}
}

// Next implements shardlog.Scanner.
func (s *scanner) Next(ctx context.Context, max shardlog.ReadLimit, dst *record.Batch) error {
	left := newBudget(max)
	for !left.spent() {
		if err := ctx.Err(); err != nil {
			return err
		}
		end, more, err := s.reach()
		if err != nil {
			return s.unless(&left, err)
		}
		if !more {
			return nil
		}
		if s.off >= end {
			continue
		}
		if err := s.stretch(end, &left, dst); err != nil {
			return s.unless(&left, err)
		}
	}
	return nil
}

// unless keeps an error for the next call when records were read before it.
func (s *scanner) unless(left *budget, err error) error {
	if left.taken > 0 {
		return nil
	}
	return err
}

// reach returns how far the current segment can be read. At its end it moves to the next one; without a next one there is
// no more to read for now.
func (s *scanner) reach() (end int64, more bool, err error) {
	l := s.l
	for {
		l.idx.RLock()
		if l.closed || s.closed {
			l.idx.RUnlock()
			return 0, false, shardlog.ErrClosed
		}
		var after *segment
		for i := len(l.segs) - 1; i >= 0 && (s.seg == nil || l.segs[i].id > s.seg.id); i-- {
			after = l.segs[i]
		}
		if s.seg != nil {
			end = s.seg.end
			if end == 0 && s.seg.sealed {
				l.idx.RUnlock()
				if _, err := l.loadTrailer(s.seg, s.f); isIO(err) {
					return 0, false, err
				} else if err != nil {
					if err := l.rebuild(s.seg, s.f, err); err != nil {
						return 0, false, err
					}
				}
				continue
			}
			if s.off < end {
				l.idx.RUnlock()
				return end, true, nil
			}
		}
		if after == nil {
			s.seen = l.appended
			l.idx.RUnlock()
			return end, false, nil
		}
		l.idx.RUnlock()
		f, err := l.handles.acquire(l.fs, after)
		l.idx.RLock()
		there := slices.Contains(l.segs, after) // else it expired meanwhile
		old := s.seg
		if there && err == nil {
			s.enter(after, f, 0)
		}
		l.idx.RUnlock()
		switch {
		case err != nil && (there || !errors.Is(err, fs.ErrNotExist)):
			return 0, false, err
		case err != nil:
			continue
		case !there:
			old = after
		}
		if old != nil {
			l.handles.release(old)
		}
	}
}

// stretch reads what one read of the file gives, from s.off to at most end.
func (s *scanner) stretch(end int64, left *budget, dst *record.Batch) error {
	n := int(min(int64(min(max(s.want, minStretch), maxStretch)), end-s.off))
	if s.tabled == s.off {
		return s.bigBlock(left, dst)
	}
	s.announce(end)
	p := dst.Alloc(n)
	if err := readFull(s.f, p, s.off); isIO(err) {
		return fmt.Errorf("scan segment %d: %w", s.seg.id, err)
	} else if err != nil {
		return s.l.report(s.seg, s.off, RegionFile, err)
	}
	at := 0
	for at+headerSize <= n && !left.spent() {
		h, err := parseHeader(p[at:])
		if err == nil && (h.segment != s.seg.id || s.off+int64(h.length) > end) {
			err = fmt.Errorf("block of segment %d with %d bytes does not belong here", h.segment, h.length)
		}
		if err != nil {
			return s.l.report(s.seg, s.off, RegionHeader, err)
		}
		if at+int(h.length) > n {
			if at > 0 {
				break // the next stretch begins with it
			}
			return s.loadBig(h, left, dst)
		}
		if err := parseTable(&h, p[at+int(h.table):at+int(h.length)], &s.table); err != nil {
			return s.l.report(s.seg, s.off+int64(h.table), RegionTable, err)
		}
		if h.kind == kindRecords {
			for i := range s.table.runs {
				e := &s.table.runs[i]
				if done, err := s.run(e, p[at+int(e.offset):][:e.length], left, dst); err != nil || !done {
					s.want = at + int(h.length)
					return err
				}
			}
		}
		at += int(h.length)
		s.off += int64(h.length)
	}
	if left.spent() {
		s.want = at + at/4
	} else {
		s.want = maxStretch
	}
	return nil
}

// announce tells the system what will be read soon.
func (s *scanner) announce(end int64) {
	if s.ahead-s.off > scanAhead/2 || s.ahead >= end {
		return
	}
	s.l.idx.RLock()
	sealed := s.seg.sealed
	s.l.idx.RUnlock()
	if sealed {
		s.ahead = max(s.ahead, s.off)
		s.f.Prefetch(s.ahead, min(scanAhead, end-s.ahead))
		s.ahead += scanAhead
	}
}

// run adds what the scan has not seen of a run. done is false if left was spent before its end.
func (s *scanner) run(e *runEntry, p []byte, left *budget, dst *record.Batch) (done bool, err error) {
	end := e.first + uint64(e.count)
	at := s.at(e.shard)
	if e.count == 0 || end <= at {
		return true, nil
	}
	if e.first > at {
		return false, s.l.report(s.seg, s.off, RegionFile, fmt.Errorf("%v goes on at position %d, where %d comes next", e.shard, e.first, at))
	}
	next, err := s.l.takeRun(s.seg, &runEntry{shard: e.shard, count: e.count, first: e.first, arrived: e.arrived,
		offset: uint32(s.off) + e.offset, length: e.length, crc: e.crc}, p, at, left, dst)
	s.next[e.shard] = next
	return next == end, err
}

// loadBig reads the table of a block that is larger than a stretch, and then some of its runs.
func (s *scanner) loadBig(h blockHeader, left *budget, dst *record.Batch) error {
	tab := make([]byte, h.length-h.table)
	if err := readFull(s.f, tab, s.off+int64(h.table)); err != nil {
		return fmt.Errorf("scan segment %d: %w", s.seg.id, err)
	}
	if err := parseTable(&h, tab, &s.table); err != nil {
		return s.l.report(s.seg, s.off+int64(h.table), RegionTable, err)
	}
	s.head, s.tabled = h, s.off
	return s.bigBlock(left, dst)
}

// bigBlock adds runs of the block whose table is in s.table, a stretch of runs with each read.
func (s *scanner) bigBlock(left *budget, dst *record.Batch) error {
	runs := s.table.runs
	if s.head.kind != kindRecords {
		runs = nil
	}
	for i := 0; i < len(runs); {
		if runs[i].count == 0 || runs[i].first+uint64(runs[i].count) <= s.at(runs[i].shard) {
			i++
			continue
		}
		if left.spent() {
			return nil
		}
		n, span := 1, int(runs[i].length)
		for ; i+n < len(runs) && span+int(runs[i+n].length) <= min(maxStretch, left.bytes); n++ {
			span += int(runs[i+n].length)
		}
		p := dst.Alloc(span)
		if err := readFull(s.f, p, s.off+int64(runs[i].offset)); err != nil {
			return fmt.Errorf("scan segment %d: %w", s.seg.id, err)
		}
		start := runs[i].offset
		for _, e := range runs[i : i+n] {
			if done, err := s.run(&e, p[e.offset-start:][:e.length], left, dst); err != nil || !done {
				return err
			}
		}
		i += n
	}
	s.off += int64(s.head.length)
	s.tabled = -1
	return nil
}

// Wait implements shardlog.Scanner.
func (s *scanner) Wait(ctx context.Context) error {
	l := s.l
	for {
		l.idx.Lock()
		if l.closed || s.closed {
			l.idx.Unlock()
			return shardlog.ErrClosed
		}
		if l.appended != s.seen {
			for id, sh := range l.shards {
				if !sh.hidden && !sh.gone && s.at(id) < sh.next {
					l.idx.Unlock()
					return nil
				}
			}
			s.seen = l.appended
		}
		w := l.newWaiter()
		l.tails = append(l.tails, w)
		l.idx.Unlock()
		if err := l.await(ctx, w, &l.tails); err != nil {
			return err
		}
	}
}

// Expired implements shardlog.Scanner.
func (s *scanner) Expired() []shardlog.Range {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.expired
	s.expired = nil
	return out
}

// Close implements shardlog.Scanner.
func (s *scanner) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.l.idx.Lock()
	delete(s.l.scans, s)
	s.l.idx.Unlock()
	if s.f != nil {
		s.l.handles.release(s.seg)
		s.f = nil
	}
	return nil
}
