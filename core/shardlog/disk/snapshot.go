package disk

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// shardInfo is what a snapshot says of one shard.
type shardInfo struct {
	id       record.ShardID
	next     uint64 // position of the next record
	tip      int64  // arrival of the newest record; 0 if there never was one
	opened   int64
	closed   int64  // 0: open
	closedIn uint64 // segment that holds the closing
	meta     []byte
}

// snapshot is the state of a log at the start of a segment, and in a footer at its end.
type snapshot struct {
	capacity uint64 // room that was allocated for the segment, in bytes; 0 in a footer
	prev     uint64 // number of the segment before; 0 if there was none
	prevEnd  uint64 // where its blocks end, all of them synced
	created  int64
	shards   []shardInfo // by id
	marks    []shardlog.Mark
}

const (
	snapshotHeadSize = 48
	shardInfoSize    = 48
)

// encode returns the body: head {capacity, prev, prevEnd, created, shards (4), bytes of marks (4), bytes of
// descriptions (4), 0 (4)}, a fixed entry per shard, the descriptions, the marks.
func (s *snapshot) encode() []byte {
	slices.SortFunc(s.shards, func(a, b shardInfo) int { return cmp.Compare(a.id, b.id) })
	slices.SortFunc(s.marks, func(a, b shardlog.Mark) int { return cmp.Compare(a.Producer, b.Producer) })
	metas, marks := 0, 0
	for i := range s.shards {
		metas += len(s.shards[i].meta)
	}
	for i := range s.marks {
		marks += markSize(&s.marks[i])
	}
	b := make([]byte, 0, snapshotHeadSize+len(s.shards)*shardInfoSize+metas+marks)
	b = le.AppendUint64(b, s.capacity)
	b = le.AppendUint64(b, s.prev)
	b = le.AppendUint64(b, s.prevEnd)
	b = le.AppendUint64(b, uint64(s.created))
	b = le.AppendUint32(b, uint32(len(s.shards)))
	b = le.AppendUint32(b, uint32(marks))
	b = le.AppendUint32(b, uint32(metas))
	b = le.AppendUint32(b, 0)
	for i := range s.shards {
		sh := &s.shards[i]
		b = le.AppendUint32(b, uint32(sh.id))
		b = le.AppendUint32(b, uint32(len(sh.meta)))
		b = le.AppendUint64(b, sh.next)
		b = le.AppendUint64(b, uint64(sh.tip))
		b = le.AppendUint64(b, uint64(sh.opened))
		b = le.AppendUint64(b, uint64(sh.closed))
		b = le.AppendUint64(b, sh.closedIn)
	}
	for i := range s.shards {
		b = append(b, s.shards[i].meta...)
	}
	for i := range s.marks {
		b = putMark(b, s.marks[i])
	}
	return b
}

func parseSnapshot(b []byte) (*snapshot, error) {
	if len(b) < snapshotHeadSize {
		return nil, fmt.Errorf("snapshot of %d bytes", len(b))
	}
	s := &snapshot{
		capacity: le.Uint64(b), prev: le.Uint64(b[8:]), prevEnd: le.Uint64(b[16:]), created: int64(le.Uint64(b[24:])),
	}
	shards, marks, metas := uint64(le.Uint32(b[32:])), uint64(le.Uint32(b[36:])), uint64(le.Uint32(b[40:]))
	if snapshotHeadSize+shards*shardInfoSize+marks+metas != uint64(len(b)) {
		return nil, fmt.Errorf("snapshot lengths contradict each other")
	}
	meta := b[snapshotHeadSize+shards*shardInfoSize:]
	s.shards = make([]shardInfo, shards)
	for i := range s.shards {
		e := b[snapshotHeadSize+i*shardInfoSize:]
		n := le.Uint32(e[4:])
		if n > shardlog.MaxShardMeta || uint64(n) > uint64(len(meta))-marks {
			return nil, fmt.Errorf("snapshot: description of shard %d has %d bytes", le.Uint32(e), n)
		}
		s.shards[i] = shardInfo{
			id: record.ShardID(le.Uint32(e)), next: le.Uint64(e[8:]), tip: int64(le.Uint64(e[16:])),
			opened: int64(le.Uint64(e[24:])), closed: int64(le.Uint64(e[32:])), closedIn: le.Uint64(e[40:]),
			meta: append([]byte(nil), meta[:n]...),
		}
		if i > 0 && s.shards[i-1].id >= s.shards[i].id {
			return nil, fmt.Errorf("snapshot: shards are out of order")
		}
		meta = meta[n:]
	}
	var err error
	if uint64(len(meta)) != marks {
		return nil, fmt.Errorf("snapshot lengths contradict each other")
	}
	s.marks, err = parseMarks(meta, nil)
	return s, err
}

// readSnapshot reads and checks the first block of a segment.
func readSnapshot(f io.ReaderAt, id uint64) (*snapshot, blockHeader, *badBlock, error) {
	head := make([]byte, headerSize)
	if err := readFull(f, head, 0); isIO(err) {
		return nil, blockHeader{}, nil, err
	} else if err != nil {
		return nil, blockHeader{}, &badBlock{region: RegionHeader, err: err, empty: true}, nil
	}
	h, err := parseHeader(head)
	if err != nil {
		return nil, h, &badBlock{region: RegionHeader, err: err, empty: allZero(head)}, nil
	}
	if h.segment != id || h.kind != kindSnapshot || h.length > maxBlock {
		return nil, h, &badBlock{region: RegionHeader, err: fmt.Errorf("a %v block of segment %d at the head of segment %d", h.kind, h.segment, id)}, nil
	}
	b := make([]byte, h.length)
	if err := readFull(f, b, 0); isIO(err) {
		return nil, h, nil, err
	} else if err != nil {
		return nil, h, &badBlock{region: RegionSnapshot, err: err}, nil
	}
	_, body, err := parseBodyBlock(b, kindSnapshot)
	if err != nil {
		return nil, h, &badBlock{off: headerSize, region: RegionSnapshot, err: err}, nil
	}
	s, err := parseSnapshot(body)
	if err != nil {
		return nil, h, &badBlock{off: headerSize, region: RegionSnapshot, err: err}, nil
	}
	return s, h, nil, nil
}
