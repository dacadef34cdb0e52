package disk

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

const (
	// maxCoalesce bounds one read of several runs, in bytes.
	maxCoalesce = 1 << 20
	// prefetchAge: runs of a segment whose newest block is older than this are announced before they are read, because
	// they have likely left the page cache.
	prefetchAge = time.Minute
	// prefetchBytes is how far ahead they are announced.
	prefetchBytes = 4 << 20
)

// Read implements shardlog.Log. A limit of zero records or bytes means 10,000 records or 10 MiB.
func (l *Log) Read(ctx context.Context, id record.ShardID, from uint64, max shardlog.ReadLimit, dst *record.Batch) (uint64, error) {
	left := newBudget(max)
	next := from
	for !left.spent() {
		if err := ctx.Err(); err != nil {
			return next, err
		}
		end, err := l.readable(id, next)
		if err != nil {
			if left.taken > 0 {
				return next, nil // what was read stands; the next read meets the error
			}
			return from, err
		}
		if next >= end {
			return next, nil
		}
		got, err := l.readSegment(id, next, end, &left, dst)
		if err != nil {
			if _, again := l.readable(id, next); again != nil {
				err = again // it expired meanwhile
			}
			if left.taken > 0 {
				return got, nil
			}
			return from, err
		}
		if got < next || got == next && !left.spent() {
			return from, fmt.Errorf("read %v from %d: the index leads nowhere: %w", id, next, shardlog.ErrCorrupt)
		}
		next = got
	}
	return next, nil
}

// readable checks that from can be read and returns the position after the last durable record.
func (l *Log) readable(id record.ShardID, from uint64) (uint64, error) {
	l.idx.RLock()
	defer l.idx.RUnlock()
	sh := l.shards[id]
	switch {
	case l.closed:
		return 0, shardlog.ErrClosed
	case sh == nil || sh.hidden:
		return 0, fmt.Errorf("%v: %w", id, shardlog.ErrNoShard)
	case from < sh.trim:
		return 0, fmt.Errorf("%v, position %d, the oldest is %d: %w", id, from, sh.trim, shardlog.ErrTrimmed)
	case from > sh.next:
		return 0, fmt.Errorf("%v: position %d lies in the future, the next is %d", id, from, sh.next)
	}
	return sh.next, nil
}

// readSegment adds records from one segment, as far as left allows.
func (l *Log) readSegment(id record.ShardID, from, end uint64, left *budget, dst *record.Batch) (uint64, error) {
	s := l.activeHolds(id, from)
	if s == nil {
		var err error
		if s, err = l.segmentFor(id, from); err != nil {
			return from, err
		}
	}
	f, err := l.handles.acquire(l.fs, s)
	if err != nil {
		return from, err
	}
	defer l.handles.release(s)
	entries, err := l.runsAt(s, f, id, from)
	if err != nil {
		return from, err
	}
	l.prefetch(s, f, entries)
	for len(entries) > 0 && !left.spent() {
		n := coalesce(entries, left)
		span := int(entries[n-1].offset+entries[n-1].length) - int(entries[0].offset)
		p := dst.Alloc(span)
		if err := readFull(f, p, int64(entries[0].offset)); isIO(err) {
			return from, fmt.Errorf("segment %d: %w", s.id, err)
		} else if err != nil {
			return from, l.report(s, int64(entries[0].offset), RegionRun, err)
		}
		for i := range entries[:n] {
			e := &entries[i]
			run := p[e.offset-entries[0].offset:][:e.length]
			if from, err = l.takeRun(s, e, run, from, left, dst); err != nil || left.spent() {
				return from, err
			}
		}
		entries = entries[n:]
	}
	return from, nil
}

// takeRun checks a run's bytes and adds its records.
func (l *Log) takeRun(s *segment, e *runEntry, run []byte, from uint64, left *budget, dst *record.Batch) (uint64, error) {
	if !l.opts.seams.skipRunCRC && checksum(run) != e.crc {
		return from, l.report(s, int64(e.offset), RegionRun, fmt.Errorf("checksum of positions %d to %d of %v differs", e.first, e.first+uint64(e.count)-1, e.shard))
	}
	if e.first > from {
		return from, l.report(s, int64(e.offset), RegionFile, fmt.Errorf("positions %d to %d of %v are missing", from, e.first-1, e.shard))
	}
	next, err := decodeRun(e, run, from, left, dst)
	if err != nil {
		return next, l.report(s, int64(e.offset), RegionRun, err)
	}
	return next, nil
}

// coalesce returns how many of the entries to read at once: while the shard owns at least half of the bytes between, and
// as far as left needs them.
func coalesce(entries []runEntry, left *budget) int {
	start := entries[0].offset
	useful := int(entries[0].length)
	n := 1
	for ; n < len(entries); n++ {
		e := &entries[n]
		if e.offset < start || useful > left.bytes {
			break
		}
		span := int(e.offset+e.length) - int(start)
		if span > maxCoalesce || 2*(useful+int(e.length)) < span {
			break
		}
		useful += int(e.length)
	}
	return n
}

// activeHolds returns the active segment if it holds the position.
func (l *Log) activeHolds(id record.ShardID, pos uint64) *segment {
	l.idx.RLock()
	defer l.idx.RUnlock()
	if s := l.active; s != nil && s.runs[id] != nil {
		if refs := s.runs[id].refs; len(refs) > 0 && refs[0].first <= pos {
			return s
		}
	}
	return nil
}

// prefetch announces runs that are about to be read from a segment that has likely left the page cache.
func (l *Log) prefetch(s *segment, f vfs.File, entries []runEntry) {
	l.idx.RLock()
	cold := s.sealed && s.last != 0 && l.opts.Now().Sub(time.Unix(0, s.last)) > prefetchAge
	l.idx.RUnlock()
	if !cold {
		return
	}
	sum := 0
	for i := range entries {
		f.Prefetch(int64(entries[i].offset), int64(entries[i].length))
		if sum += int(entries[i].length); sum > prefetchBytes {
			return
		}
	}
}

// SeekTime implements shardlog.Log.
func (l *Log) SeekTime(ctx context.Context, id record.ShardID, at time.Time) (uint64, error) {
	l.idx.RLock()
	sh := l.shards[id]
	if sh == nil || sh.hidden || l.closed {
		closed := l.closed
		l.idx.RUnlock()
		if closed {
			return 0, shardlog.ErrClosed
		}
		return 0, fmt.Errorf("%v: %w", id, shardlog.ErrNoShard)
	}
	lo, hi := sh.trim, sh.next // the answer is in [lo, hi]
	l.idx.RUnlock()
	want := at.UnixNano()
	// Arrival times never go backwards, so a binary search over positions works; each step is one index lookup.
	for lo < hi {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		mid := lo + (hi-lo)/2
		e, err := l.runWindow(id, mid)
		if err != nil {
			if now, ok := l.State(id); ok && now.TrimHorizon > mid {
				lo = now.TrimHorizon // it expired meanwhile
				continue
			}
			return 0, err
		}
		// All records of a run have one arrival time, so the answer is at the start of a run.
		switch i := sort.Search(len(e), func(i int) bool { return e[i].arrived >= want }); {
		case i == len(e):
			lo = e[len(e)-1].first + uint64(e[len(e)-1].count)
		case i == 0:
			hi = max(e[0].first, lo)
		default:
			return max(e[i].first, lo), nil
		}
	}
	return lo, nil
}

// runWindow returns index entries from the one that contains pos on.
func (l *Log) runWindow(id record.ShardID, pos uint64) ([]runEntry, error) {
	s, err := l.segmentFor(id, pos)
	if err != nil {
		return nil, err
	}
	f, err := l.handles.acquire(l.fs, s)
	if err != nil {
		return nil, err
	}
	defer l.handles.release(s)
	return l.runsAt(s, f, id, pos)
}
