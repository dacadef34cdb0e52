package disk

import (
	"time"

	"github.com/leatstream/leat/core/shardlog"
)

// startCommitter makes sure that somebody will take g, the group being filled. The caller holds mu.
func (l *Log) startCommitter(g *group) {
	if l.committers == 0 || (l.committers < maxInFlight && l.inflight == l.committers && l.mayOverlap(g)) {
		l.committers++
		go l.commitGroups()
	}
}

// mayOverlap says whether g is worth to be in flight beside another group.
func (l *Log) mayOverlap(g *group) bool { return g.kind == groupAppends && g.used >= overlapBytes }

// commitGroups takes and commits groups until there is none, and ends: an idle log has no goroutine.
func (l *Log) commitGroups() {
	l.mu.Lock()
	for {
		g := l.filling
		if g == nil || (l.inflight > 0 && !l.mayOverlap(g)) {
			l.committers--
			if l.committers == 0 && l.drained != nil {
				close(l.drained)
				l.drained = nil
			}
			l.mu.Unlock()
			return
		}
		l.filling = nil
		g.prev = l.newest
		l.newest = g
		// Groups in flight at the same time sync through different open files. The kernel reports a failed write-back
		// once to every open file; two syncs on one might hand the error to the wrong group.
		g.lane = int(l.turn % maxInFlight)
		l.turn++
		l.recent = max((l.recent*7+g.used)/8, min(g.used, maxGroup)/2)
		l.inflight++
		close(g.taken)
		l.mu.Unlock()

		l.commit(g)

		l.mu.Lock()
		l.inflight--
		if l.newest == g {
			l.newest = nil
		}
	}
}

// commit brings one group to its end: placed, written, synced and published, each in the order of the line.
func (l *Log) commit(g *group) {
	prev := g.prev
	g.encoders.Wait()
	if prev != nil {
		<-prev.placed
	}
	err := l.poisoned()
	if err == nil {
		err = l.place(g)
	}
	close(g.placed)
	if err == nil && g.block != nil {
		err = l.write(g)
	}
	if prev != nil && !l.opts.seams.onePublishOrder {
		<-prev.done
	}
	g.prev = nil
	if err == nil && g.block != nil {
		// A group before this one may have failed: then this one's positions do not follow what is stored.
		if err = l.poisoned(); err == nil {
			l.publish(g)
		}
	}
	g.err = err
	if g.buf != nil {
		buf := g.buf
		g.buf, g.block = nil, nil
		if err == nil {
			putBuffer(buf)
		}
	}
	close(g.done)
}

// place finds the group's place in the log and gives out its positions. It may begin a new segment.
func (l *Log) place(g *group) error {
	now := l.opts.Now()
	switch g.kind {
	case groupRoll:
		return l.rollByAge(g)
	case groupFresh:
		return l.beginFresh(g, now)
	case groupPromise:
		if l.w.seg == nil || l.w.off+headerSize > l.w.capacity || l.w.promised >= l.w.off {
			return nil
		}
		g.buf = make([]byte, headerSize)
	case groupReshard:
		if err := l.checkReshard(g); err != nil {
			return err
		}
	}
	size := int64(padded(g.used + g.table))
	if g.kind != groupPromise {
		if err := l.makeRoom(g, size, now); err != nil {
			return err
		}
	}
	if _, err := l.laneFile(g.lane); err != nil { // now, while refusing the group changes nothing
		return l.noFile("open the segment again", err)
	}
	switch {
	case g.kind == groupReshard:
		l.startReshard(g, now)
	case g.kind == groupAppends && !l.assign(g, now):
		return nil
	}
	l.finish(g, now)
	return nil
}

// assign gives positions to the group's runs and reports whether anything is to be stored.
func (l *Log) assign(g *group, now time.Time) bool {
	nanos := now.UnixNano()
	stored := false
	l.idx.RLock()
	defer l.idx.RUnlock()
	for _, p := range g.parts {
		off := uint32(p.base)
		next := 0
		kept := len(p.shards) == 0
		for run, id := range p.shards {
			res := &p.results[run]
			sh := l.shards[id]
			switch {
			case sh == nil || sh.gone:
				res.Err = shardlog.ErrNoShard
			case sh.closing || sh.closed != 0:
				res.Err = shardlog.ErrShardClosed
			default:
				kept = true
				sh.assignedTip = max(sh.assignedTip, nanos)
				res.First, res.Arrived = sh.assigned, sh.assignedTip
			}
			for ; next < len(p.pieces) && p.pieces[next].run == run; next++ {
				c := &p.pieces[next]
				e := runEntry{shard: id, offset: off, length: c.length, crc: c.crc}
				if res.Err == nil {
					e.first, e.count, e.arrived = sh.assigned, c.count, sh.assignedTip
					sh.assigned += uint64(c.count)
					stored = true
				}
				g.runs = append(g.runs, e)
				off += c.length
			}
		}
		if len(p.mark) > 0 && kept {
			m, _ := parseMarks(p.mark, nil)
			g.marks = append(g.marks, m...)
			stored = true
		}
	}
	return stored
}

// finish builds the block and takes its place from the writer.
func (l *Log) finish(g *group, now time.Time) {
	w := &l.w
	b := g.buf[:g.used]
	h := blockHeader{
		kind: kindRecords, table: uint32(len(b)), runs: uint32(len(g.runs)), segment: w.seg.id, id: w.block, epoch: l.opts.Epoch,
		promised: uint64(w.durable.Load()), time: now.UnixNano(), nonce: w.seg.nonce,
	}
	if g.kind == groupPromise {
		h.kind = kindPromise
	}
	if l.opts.seams.noPromise {
		h.promised = 0
	}
	for i := range g.runs {
		b = append(b, make([]byte, runEntrySize)...)
		g.runs[i].put(b[len(b)-runEntrySize:])
	}
	for _, m := range g.marks {
		h.marks += uint32(markSize(&m))
		b = putMark(b, m)
	}
	for _, op := range g.ops {
		h.ops += uint32(opHeadSize + len(op.meta))
		b = putOp(b, op)
	}
	g.block = sealBlock(b, &h)
	g.head, g.seg, g.off = h, w.seg, w.off
	w.off += int64(len(g.block))
	w.block++
	w.promised = max(w.promised, int64(h.promised))
	w.entries += len(g.runs)
	w.records = w.records || g.kind != groupPromise
	l.prepareSpare()
}

// write makes the block durable.
func (l *Log) write(g *group) error {
	f, err := l.laneFile(g.lane)
	if err != nil {
		return l.poisonWith("open the segment again", err)
	}
	if _, err := f.WriteAt(g.block, g.off); err != nil {
		return l.poisonWith("write a block", err)
	}
	switch {
	case l.opts.seams.noSync:
		return nil
	case l.opts.seams.ackBeforeSync:
		go func() { _ = f.Sync() }()
		return nil
	}
	err = f.Sync()
	if err != nil && l.opts.seams.retrySync {
		err = f.Sync()
	}
	if err != nil {
		return l.poisonWith("sync a block", err)
	}
	return nil
}

// publish shows the group's records to readers and wakes those who wait for them.
func (l *Log) publish(g *group) {
	end := g.off + int64(len(g.block))
	var woken []*waiter
	l.idx.Lock()
	s := g.seg
	s.end, s.synced = end, true
	if g.kind != groupPromise {
		if s.first == 0 {
			s.first = g.head.time
		}
		s.last = max(s.last, g.head.time)
	}
	for i := range g.runs {
		e := &g.runs[i]
		if e.count == 0 {
			continue
		}
		sh := l.shards[e.shard]
		sh.next, sh.tip = e.first+uint64(e.count), e.arrived
		s.runs.add(e, g.off)
		woken = sh.ready(woken)
	}
	for _, m := range g.marks {
		l.setMark(m)
	}
	for _, op := range g.ops {
		woken = l.applyOp(op, s.id, woken)
	}
	if len(g.runs) > 0 {
		l.appended++
		woken = append(woken, l.tails...)
		l.tails = nil
	}
	l.w.durable.Store(end)
	l.idx.Unlock()
	l.wake.add(woken)
	if g.kind != groupPromise {
		l.keep.published(l)
	}
}
