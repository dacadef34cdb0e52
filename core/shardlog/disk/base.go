package disk

import (
	"fmt"
	"io"
	"sort"

	"github.com/leatstream/leat/core/record"
)

const (
	// maxBaseBytes bounds the cache of sealed segments' first positions, per log.
	maxBaseBytes = 4 << 20
	baseEntry    = 12 // bytes
)

// baseTable says for each shard which position came next when a segment began.
type baseTable struct {
	shards []record.ShardID // ascending
	next   []uint64
}

func newBaseTable(s *snapshot) *baseTable {
	t := &baseTable{shards: make([]record.ShardID, len(s.shards)), next: make([]uint64, len(s.shards))}
	for i := range s.shards {
		t.shards[i], t.next[i] = s.shards[i].id, s.shards[i].next
	}
	return t
}

// of returns the position that came next; for a shard that was not there yet it is 1.
func (t *baseTable) of(id record.ShardID) uint64 {
	i := sort.Search(len(t.shards), func(i int) bool { return t.shards[i] >= id })
	if i < len(t.shards) && t.shards[i] == id {
		return t.next[i]
	}
	return 1
}

// baseOf returns the first positions of a segment, from its head if they are not in memory.
func (l *Log) baseOf(s *segment) (*baseTable, error) {
	l.idx.RLock()
	t := s.base
	l.idx.RUnlock()
	if t != nil {
		return t, nil
	}
	f, err := l.handles.acquire(l.fs, s)
	if err != nil {
		return nil, err
	}
	defer l.handles.release(s)
	snap, _, bad, err := readSnapshot(f, s.id)
	if err != nil {
		return nil, fmt.Errorf("read the head of segment %d: %w", s.id, err)
	}
	if bad != nil {
		err := l.report(s, bad.off, bad.region, bad.err)
		if snap = l.baseFromFooter(s, f); snap == nil {
			return nil, err
		}
	}
	t = newBaseTable(snap)
	l.idx.Lock()
	defer l.idx.Unlock()
	total := len(t.shards) * baseEntry
	for _, o := range l.segs {
		if o.base != nil && o.sealed {
			total += len(o.base.shards) * baseEntry
		}
	}
	for _, o := range l.segs {
		if total <= maxBaseBytes {
			break
		}
		if o.base != nil && o.sealed {
			total -= len(o.base.shards) * baseEntry
			o.base = nil
		}
	}
	s.base = t
	return t, nil
}

// baseFromFooter derives what the damaged head of a segment said from its footer: a shard's first position is that of its
// first run, or where it stands at the end if it has none. It returns nil if the footer is no better.
func (l *Log) baseFromFooter(s *segment, f io.ReaderAt) *snapshot {
	t, err := l.loadTrailer(s, f)
	if err != nil {
		return nil
	}
	body, err := readIndex(f, &t)
	if err != nil {
		return nil
	}
	state, err := t.stateOf(body)
	if err != nil {
		return nil
	}
	first := map[record.ShardID]uint64{}
	for i := range int(t.shards) {
		d, _ := parseIndexDir(body[indexHeadSize+i*indexDirSize:])
		first[d.shard] = d.first
	}
	for i := range state.shards {
		if pos, ok := first[state.shards[i].id]; ok {
			state.shards[i].next = pos
		}
	}
	return state
}

// segmentFor returns the segment that holds position pos of a shard, if the log has the position, and the one after it.
func (l *Log) segmentFor(id record.ShardID, pos uint64) (*segment, error) {
	l.idx.RLock()
	segs := append([]*segment(nil), l.segs...)
	l.idx.RUnlock()
	// The last segment that began at or before pos. Segments that began when the shard had no record yet count as 1.
	var failed error
	i := sort.Search(len(segs), func(i int) bool {
		t, err := l.baseOf(segs[i])
		if err != nil {
			failed = err
			return true
		}
		return t.of(id) > pos
	})
	if failed != nil {
		return nil, failed
	}
	if i == 0 {
		return nil, fmt.Errorf("no segment holds position %d of %v", pos, id)
	}
	return segs[i-1], nil
}
