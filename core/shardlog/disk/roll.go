package disk

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/core/vfs"
)

// makeRoom makes sure that the writer's segment has room for the group's block of size bytes and, behind it, a footer.
func (l *Log) makeRoom(g *group, size int64, now time.Time) error {
	w := &l.w
	entries := 0
	for _, p := range g.parts {
		entries += len(p.pieces)
	}
	if w.seg != nil && w.off+size+l.footerRoom(w.entries+entries, g.table) < w.capacity {
		return nil
	}
	if g.prev != nil {
		<-g.prev.done
		if err := l.poisoned(); err != nil {
			return err
		}
	}
	return l.begin(size+l.footerRoom(entries, g.table), now)
}

// footerRoom is the most that a footer takes which indexes so many runs. more is what the state may grow by.
func (l *Log) footerRoom(runs, more int) int64 {
	l.idx.RLock()
	defer l.idx.RUnlock()
	shards := len(l.shards)
	return footerSize(shards, runs, snapshotHeadSize+shards*shardInfoSize+l.metaSize+l.markSize+more)
}

// begin seals the active segment, if there is one, and begins the next with room for so many bytes behind its snapshot. No
// group is in flight. ErrFull leaves everything as it was.
func (l *Log) begin(room int64, now time.Time) error {
	w := &l.w
	snap := l.snapshotNow(now)
	snap.prev, snap.prevEnd = w.prevSeg, w.prevEnd
	if w.seg != nil {
		snap.prev, snap.prevEnd = w.seg.id, uint64(w.off)
	}
	id := w.nextSeg
	body := snap.encode()
	f, capacity, err := l.nextFile(id, int64(headerSize+len(body)+runEntrySize+2*blockAlign)+room)
	if err != nil {
		return err
	}
	if w.seg != nil {
		l.sealLater(snap)
	}
	snap.capacity = uint64(capacity)
	le.PutUint64(body, snap.capacity)
	h := blockHeader{kind: kindSnapshot, segment: id, id: w.block, epoch: l.opts.Epoch, time: now.UnixNano(), nonce: rand.Uint64() | 1}
	block := bodyBlock(&h, body)
	if _, err := f.WriteAt(block, 0); err != nil {
		_ = f.Close()
		return l.poisonWith("write the head of a segment", err)
	}
	seg := &segment{
		id: id, path: l.path(id), nonce: h.nonce, size: capacity, end: int64(len(block)), runs: runIndex{},
		base: newBaseTable(&snap),
	}
	w.prevSeg, w.prevEnd = snap.prev, snap.prevEnd
	w.seg, w.lanes, w.off, w.capacity, w.grow = seg, [2]vfs.File{f, nil}, int64(len(block)), capacity, capacity
	w.nextSeg, w.began, w.records, w.entries, w.promised = id+1, now, false, 0, 0
	w.block++
	w.durable.Store(0)
	l.idx.Lock()
	l.segs = append(l.segs, seg)
	l.active = seg
	l.idx.Unlock()
	return nil
}

func (l *Log) path(id uint64) string { return filepath.Join(l.dir, segmentName(id)) }

// segmentCapacity is the size of the next segment: twice that of the one before, within the bounds of options and hold.
func (l *Log) segmentCapacity(need int64) int64 {
	size := min(max(2*l.w.grow, l.opts.FirstSegment), l.opts.SegmentSize)
	if hold := l.retention().Hold; hold > 0 {
		size = min(size, max(hold/8, minSegment))
	}
	return max(size, (need+4095)&^4095)
}

// spare is a segment file that is prepared before it is needed.
type spare struct {
	ready    chan struct{} // closed when the fields below are final
	f        vfs.File
	id       uint64
	capacity int64
	err      error
}

// prepareSpare begins to make the next segment's file when the active one is half full.
func (l *Log) prepareSpare() {
	w := &l.w
	if w.spare != nil || w.off < w.capacity/2 {
		return
	}
	sp := &spare{ready: make(chan struct{}), id: w.nextSeg, capacity: l.segmentCapacity(0)}
	w.spare = sp
	l.back.Add(1)
	go func() {
		defer l.back.Done()
		defer close(sp.ready)
		// Without room there is no spare, but that is no reason yet to refuse writes: the active segment has room.
		sp.capacity = l.fitting(sp.capacity, 0)
		if full := l.lackOfRoom(sp.capacity); full != nil {
			sp.err = full
			return
		}
		sp.f, sp.err = l.createFile(sp.id, sp.capacity)
	}()
}

// nextFile returns the file of segment id with at least the given room: the spare, or a new one.
func (l *Log) nextFile(id uint64, need int64) (vfs.File, int64, error) {
	sp := l.w.spare
	l.w.spare = nil
	if sp != nil {
		<-sp.ready
		if sp.err == nil {
			if sp.capacity >= need {
				if err := l.holdRoom(sp.capacity); err != nil {
					l.w.spare = sp
					return nil, 0, err
				}
				return sp.f, sp.capacity, nil
			}
			_ = sp.f.Close()
			if err := removeFile(l.fs, l.path(id)); err != nil {
				return nil, 0, l.noFile("remove a segment that is too small", err)
			}
		}
	}
	capacity := l.fitting(l.segmentCapacity(need), need)
	if err := l.holdRoom(capacity); err != nil {
		return nil, 0, err
	}
	if err := l.hasRoomFor(capacity); err != nil {
		return nil, 0, err
	}
	f, err := l.createFile(id, capacity)
	if err == nil {
		return f, capacity, nil
	}
	if isNoSpace(err) {
		full := l.fullError(codeDiskFull, "its disk has no room for a segment of %.2f MiB: %v", mebibytes(capacity), err).
			WithHint("free that much on the disk; writes then resume by themselves, and reads go on meanwhile")
		return nil, 0, l.refuse(full, capacity)
	}
	return nil, 0, l.noFile("create a segment", err)
}

// createFile makes a segment's file durable under its name, without content.
func (l *Log) createFile(id uint64, capacity int64) (vfs.File, error) {
	path := l.path(id)
	f, err := l.fs.Create(path)
	if err != nil {
		return nil, err
	}
	if err = f.Allocate(capacity); err == nil {
		err = f.Sync() // a size that is not the allocated one has to mean that the file was cut
	}
	if err == nil && !l.opts.seams.noDirSync {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		_ = f.Close()
		// Left behind, the empty file would be in the way of the next try; a recovery removes it too.
		if rm := l.fs.Remove(path); rm != nil {
			return nil, fmt.Errorf("%w (and could not remove %s: %v)", err, path, rm)
		}
		return nil, err
	}
	return f, nil
}

// dropSpare removes a prepared file that was not needed. Nothing depends on it: recovery removes what this cannot.
func (l *Log) dropSpare() {
	sp := l.w.spare
	l.w.spare = nil
	if sp == nil {
		return
	}
	<-sp.ready
	if sp.err == nil {
		_ = sp.f.Close()
		if err := l.fs.Remove(l.path(sp.id)); err != nil {
			l.logger.Warn("cannot remove a prepared segment", "path", l.path(sp.id), "err", err)
		}
	}
}

// laneFile returns the open file that a group of the lane writes and syncs through.
func (l *Log) laneFile(lane int) (vfs.File, error) {
	w := &l.w
	if w.lanes[lane] == nil {
		f, err := l.fs.Open(w.seg.path)
		if err != nil {
			return nil, err
		}
		w.lanes[lane] = f
	}
	return w.lanes[lane], nil
}

// sealLater seals the active segment beside the writes to the next one. At most one segment is being sealed, so that at
// most two have their index in memory.
func (l *Log) sealLater(snap snapshot) {
	w := &l.w
	if w.sealing != nil {
		<-w.sealing
	}
	done := make(chan struct{})
	w.sealing = done
	seg, lanes, end, block := w.seg, w.lanes, w.off, w.block
	w.block++
	w.lanes = [2]vfs.File{}
	l.back.Add(1)
	go func() {
		defer l.back.Done()
		defer close(done)
		_ = l.seal(seg, lanes, end, block, snap) // it has been logged, and poisons if it must
	}()
}

// seal gives a segment its footer and cuts the file behind it. All its blocks are durable, so no error can lose records;
// a lack of room leaves the segment without footer until the log is opened again.
func (l *Log) seal(s *segment, lanes [2]vfs.File, end int64, block uint64, state snapshot) error {
	defer closeFiles(lanes)
	f := lanes[0]
	if f == nil {
		f = lanes[1]
	}
	l.idx.RLock()
	runs, first, last := s.runs, s.first, s.last
	l.idx.RUnlock()
	t, err := writeFooter(f, s.id, s.nonce, block, end, runs, first, last, state)
	if err != nil {
		l.logger.Warn("cannot seal a segment", "path", s.path, "err", err)
		if isNoSpace(err) {
			return nil
		}
		return l.poisonWith("seal a segment", err)
	}
	l.idx.Lock()
	s.size = int64(t.index) + int64(t.length) + trailerSize
	s.end, s.footer, s.sealed, s.runs = end, t, true, nil
	l.idx.Unlock()
	return nil
}

// writeFooter writes index and trailer behind end, syncs, cuts the file there and syncs again. In this order a file that is
// shorter than its allocation always has a whole footer.
func writeFooter(f vfs.File, id, nonce, block uint64, end int64, runs runIndex, first, last int64, state snapshot) (trailer, error) {
	state.capacity, state.prev, state.prevEnd = 0, 0, 0
	encoded := state.encode()
	body, shards, entries := indexBody(runs, encoded)
	h := blockHeader{kind: kindIndex, segment: id, id: block, promised: uint64(end), time: last, nonce: nonce}
	b := bodyBlock(&h, body)
	t := trailer{
		segment: id, index: uint64(end), length: uint32(len(b)), shards: shards, runs: entries, state: uint32(len(encoded)),
		first: first, last: last,
	}
	b = append(b, t.encode()...)
	if _, err := f.WriteAt(b, end); err != nil {
		return t, fmt.Errorf("write footer: %w", err)
	}
	if err := f.Sync(); err != nil {
		return t, fmt.Errorf("sync footer: %w", err)
	}
	if err := f.Truncate(end + int64(len(b))); err != nil {
		return t, fmt.Errorf("cut segment: %w", err)
	}
	if err := f.Sync(); err != nil {
		return t, fmt.Errorf("sync cut segment: %w", err)
	}
	return t, nil
}

// rollByAge seals the active segment without beginning another.
func (l *Log) rollByAge(g *group) error {
	if g.prev != nil {
		<-g.prev.done
	}
	w := &l.w
	if l.poisoned() != nil || w.seg == nil || !w.records {
		return l.poisoned()
	}
	snap := l.snapshotNow(l.opts.Now())
	l.sealLater(snap)
	<-w.sealing
	w.prevSeg, w.prevEnd = w.seg.id, uint64(w.off)
	w.seg, w.lanes = nil, [2]vfs.File{}
	l.idx.Lock()
	l.active = nil
	l.idx.Unlock()
	return l.poisoned()
}

// beginFresh begins a segment that holds nothing but the log's state, so that all segments before it can go.
func (l *Log) beginFresh(g *group, now time.Time) error {
	if g.prev != nil {
		<-g.prev.done
	}
	if err := l.poisoned(); err != nil || l.w.seg != nil {
		return err
	}
	if err := l.begin(l.footerRoom(0, 0), now); err != nil {
		return err
	}
	if err := l.w.lanes[0].Sync(); err != nil {
		return l.poisonWith("sync the head of a segment", err)
	}
	l.w.durable.Store(l.w.off)
	l.idx.Lock()
	l.w.seg.synced = true
	l.idx.Unlock()
	return nil
}
