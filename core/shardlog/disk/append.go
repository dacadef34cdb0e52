package disk

import (
	"context"
	"math/bits"
	"sync"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

const (
	// maxInFlight is how many groups may be written and synced at a time.
	maxInFlight = 2
	// overlapBytes: a second group goes in flight only when it is at least this large. Small groups cost their sync, not
	// their bytes, and are better off together.
	overlapBytes = 128 << 10
	// maxGroup is when a group takes no further appends, in bytes, unless a single one is larger.
	maxGroup = 4 << 20
	minGroup = 64 << 10
)

// groupKind tells groups of appends from the log's own steps, which go through the same line.
type groupKind uint8

const (
	groupAppends groupKind = iota
	groupReshard
	groupPromise
	groupRoll  // seals the active segment
	groupFresh // begins a segment, so that all before it can expire
)

// group becomes one block. Appenders reserve room in it under Log.mu and encode their records there, each in its own
// goroutine; the committer waits for them, gives out positions and writes.
type group struct {
	kind     groupKind
	buf      []byte // [headerSize:used] are runs; the table goes behind
	used     int
	table    int // bytes that the table will take
	parts    []*part
	ops      []shardOp // of a reshard
	encoders sync.WaitGroup

	prev   *group
	lane   int
	taken  chan struct{} // closed when nobody can join any more
	placed chan struct{} // closed when the next group may be placed
	done   chan struct{} // closed when err and the parts' results are final
	err    error

	// Set by place.
	seg   *segment
	off   int64
	block []byte
	head  blockHeader
	runs  []runEntry
	marks []shardlog.Mark
}

// part is one append within a group.
type part struct {
	pieces  []piece
	results []shardlog.RunResult
	shards  []record.ShardID // of the runs
	mark    []byte           // encoded; empty without one
	base    int              // offset of its first byte in the block
	payload int
}

// piece is a stored run to be: some of the entries of one of the append's runs.
type piece struct {
	run    int
	count  uint32
	length uint32
	crc    uint32
}

var parts = sync.Pool{New: func() any { return new(part) }}

// measure plans the pieces of an append.
func (p *part) measure(runs []shardlog.Run, mark *shardlog.Mark) error {
	p.pieces, p.shards, p.mark, p.payload = p.pieces[:0], p.shards[:0], p.mark[:0], 0
	for i := range runs {
		p.shards = append(p.shards, runs[i].Shard)
		cur := piece{run: i}
		for j := range runs[i].Entries {
			e := &runs[i].Entries[j]
			if err := checkEntry(e); err != nil {
				return fault.New(fault.Permanent, "log.bad_record", "append to %v, record %d: %w", runs[i].Shard, j, err)
			}
			n := entrySize(e)
			if n > maxAppend-p.payload {
				return fault.New(fault.Permanent, "log.append_too_large",
					"append of more than %d bytes, key and framing included", maxAppend).WithHint("append it in parts")
			}
			if cur.count > 0 && int(cur.length)+n > maxRun {
				p.pieces = append(p.pieces, cur)
				cur = piece{run: i}
			}
			cur.count++
			cur.length += uint32(n)
			p.payload += n
		}
		if cur.count > 0 {
			p.pieces = append(p.pieces, cur)
		}
	}
	if mark != nil {
		if len(mark.Producer) == 0 || len(mark.Producer) > 255 || len(mark.State) > shardlog.MaxMarkState {
			return fault.New(fault.Permanent, "log.bad_mark", "mark of producer %.64q: producer of %d bytes (1 to 255), state of %d (at most %d)",
				mark.Producer, len(mark.Producer), len(mark.State), shardlog.MaxMarkState)
		}
		p.mark = putMark(p.mark, *mark)
	}
	return nil
}

func (p *part) tableSize() int { return len(p.pieces)*runEntrySize + len(p.mark) }

// encode writes the records to their place in the block. What p.measure saw must not have changed.
func (p *part) encode(block []byte, runs []shardlog.Run) {
	at := block[p.base : p.base+p.payload]
	run, entry := 0, 0
	for i := range p.pieces {
		c := &p.pieces[i]
		if c.run != run {
			run, entry = c.run, 0
		}
		whole := at[:c.length]
		for range c.count {
			at = putEntry(at, &runs[run].Entries[entry])
			entry++
		}
		c.crc = checksum(whole)
	}
}

// Append implements shardlog.Log. All encoded records of one append take at most 64 MiB.
func (l *Log) Append(ctx context.Context, runs []shardlog.Run, mark *shardlog.Mark) ([]shardlog.RunResult, error) {
	if len(runs) == 0 && mark == nil {
		return nil, nil
	}
	p := parts.Get().(*part)
	if err := p.measure(runs, mark); err != nil {
		return nil, err
	}
	p.results = make([]shardlog.RunResult, len(runs))
	if mark != nil {
		if err := l.checkMarkRoom(mark); err != nil {
			return nil, err
		}
	}
	g, err := l.join(ctx, p)
	if err != nil {
		return nil, err
	}
	p.encode(g.buf, runs)
	g.encoders.Done()
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, canceled(ctx)
	}
	if g.err != nil {
		return nil, g.err
	}
	results := p.results
	p.results = nil
	parts.Put(p)
	return results, nil
}

// checkMarkRoom refuses producers beyond what snapshots can carry.
func (l *Log) checkMarkRoom(m *shardlog.Mark) error {
	l.idx.RLock()
	defer l.idx.RUnlock()
	if _, known := l.marks[m.Producer]; known || len(m.State) == 0 {
		return nil
	}
	if len(l.marks) >= maxProducers || l.markSize+markSize(m) > maxMarkBytes {
		return fault.New(fault.Permanent, "log.too_many_producers", "mark of producer %.64q: the log keeps %d marks of %d bytes, at most %d and %d",
			m.Producer, len(l.marks), l.markSize, maxProducers, maxMarkBytes).WithHint("append a mark with an empty state for producers that are gone")
	}
	return nil
}

// refusal says why nothing can be appended. The caller holds mu.
func (l *Log) refusal() error {
	switch {
	case l.closing:
		return shardlog.ErrClosed
	case l.readOnly:
		return fault.New(fault.Permanent, "log.read_only", "log %s is open for reading only", l.dir)
	}
	return l.poisoned()
}

// join reserves room for p in the group being filled, and begins one if need be. It waits while that group is full.
func (l *Log) join(ctx context.Context, p *part) (*group, error) {
	l.checkUsage()
	if f := l.full.Load(); f != nil {
		return nil, f
	}
	l.mu.Lock()
	for {
		if err := l.refusal(); err != nil {
			l.mu.Unlock()
			return nil, err
		}
		if l.filling == nil {
			l.filling = l.newGroup(groupAppends, headerSize+p.payload+p.tableSize()+blockAlign)
		}
		g := l.filling
		if g.kind == groupAppends && g.used+p.payload+g.table+p.tableSize()+blockAlign <= cap(g.buf) {
			p.base = g.used
			g.used += p.payload
			g.table += p.tableSize()
			g.parts = append(g.parts, p)
			g.encoders.Add(1)
			l.startCommitter(g)
			l.mu.Unlock()
			return g, nil
		}
		l.startCommitter(g)
		l.mu.Unlock()
		select {
		case <-g.taken:
		case <-ctx.Done():
			return nil, canceled(ctx)
		}
		l.mu.Lock()
	}
}

// submit puts a group of the log's own in the line, behind all appends that have joined, and waits for its end.
func (l *Log) submit(ctx context.Context, g *group) error {
	l.mu.Lock()
	for {
		if err := l.refusal(); err != nil {
			l.mu.Unlock()
			return err
		}
		if l.filling == nil {
			break
		}
		ahead := l.filling
		l.startCommitter(ahead)
		l.mu.Unlock()
		select {
		case <-ahead.taken:
		case <-ctx.Done():
			return canceled(ctx)
		}
		l.mu.Lock()
	}
	l.filling = g
	l.startCommitter(g)
	l.mu.Unlock()
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return canceled(ctx)
	}
}

// newGroup returns an empty group with room for need bytes. If need is not 0 the caller holds mu.
func (l *Log) newGroup(kind groupKind, need int) *group {
	g := &group{kind: kind, used: headerSize, taken: make(chan struct{}), placed: make(chan struct{}), done: make(chan struct{})}
	if need > 0 {
		g.buf = getBuffer(max(need, min(2*l.recent, maxGroup)))
	}
	return g
}

// Buffers for blocks come in powers of two from minGroup to maxGroup, shared by all logs; larger ones are not kept.
var buffers [7]sync.Pool

func bufferClass(n int) int { return bits.Len(uint(max(n-1, 0) / minGroup)) }

func getBuffer(n int) []byte {
	c := bufferClass(n)
	if c >= len(buffers) {
		return make([]byte, n)
	}
	if b, ok := buffers[c].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, minGroup<<c)
}

func putBuffer(b []byte) {
	b = b[:cap(b)]
	if c := bufferClass(len(b)); c < len(buffers) && len(b) == minGroup<<c {
		buffers[c].Put(&b)
	}
}
