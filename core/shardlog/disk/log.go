package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

// Log is the log of one stream in one directory. Only one Log may write a directory at a time: whoever opens it holds a
// lock (vfs.FS.Lock) on the data directory around it.
type Log struct {
	fs      vfs.FS
	dir     string
	opts    Options
	logger  *slog.Logger
	started time.Time // carries the monotonic clock that the wall clock is compared with
	wall    time.Time // Options.Now at the same moment
	// readOnly is set by OpenReadOnly: nothing is written, and nothing appears that was not there then.
	readOnly bool
	handles  handles
	cache    windowCache
	keep     keeper

	poison atomic.Pointer[fault.Error] // why the log takes no writes any more
	full   atomic.Pointer[fault.Error] // why it takes none for now
	lack   atomic.Int64                // the room on the disk that it takes none for want of, in bytes
	usage  atomic.Int64                // when the room on the disk was asked for, nanoseconds since started

	complaints fault.Complaints // of a full disk

	mu         sync.Mutex
	filling    *group
	newest     *group // the group taken last
	turn       uint64
	committers int
	inflight   int
	recent     int // estimate of a group's bytes, to size buffers
	closing    bool
	drained    chan struct{} // closed when the last committer ends after closing was set

	idx      sync.RWMutex
	shards   map[record.ShardID]*shard
	segs     []*segment // oldest first
	active   *segment   // nil until the first write and after a roll by age
	marks    map[string][]byte
	markSize int // bytes that the marks take in a snapshot
	metaSize int // bytes that the shards' descriptions take
	scans    map[*scanner]struct{}
	appended uint64    // groups with records that were published
	tails    []*waiter // scanners that wait for anything
	pins     map[string]shardlog.Positions
	retain   shardlog.Retention
	expired  time.Time // of the last unlink
	damages  []Damage
	closed   bool

	expiring sync.Mutex // serializes expiry and guards the next two; taken before idx
	leaving  []*segment // expired, and their files not yet removed, oldest first
	stuck    error      // why no file is removed any more

	w           writer
	wake        dispatcher
	idleWaiters sync.Pool      // of *waiter
	back        sync.WaitGroup // sealing, preparing, housekeeping
}

// writer is the write position. The group that is being placed owns it.
type writer struct {
	seg      *segment // nil: the next group begins a segment
	lanes    [2]vfs.File
	off      int64
	block    uint64 // id of the next block
	capacity int64
	grow     int64  // capacity of the segment before
	nextSeg  uint64 // number of the next segment
	prevSeg  uint64
	prevEnd  uint64
	began    time.Time     // when the segment was begun
	records  bool          // the segment holds something that can expire
	entries  int           // of its index
	sealing  chan struct{} // closed when the segment before is sealed; nil if none ever was
	spare    *spare
	durable  atomic.Int64 // all bytes of seg before it are synced
	promised int64        // the newest promise written
}

// shard is what the log knows of a shard.
type shard struct {
	// Guarded by Log.idx.
	shardInfo
	trim    uint64 // position of the oldest record that may be read
	hidden  bool   // its opening is not durable yet
	gone    bool   // closed and expired; remembered for readers that were away
	waiters []*waiter

	// Owned by the group that is being placed.
	assigned    uint64
	assignedTip int64
	closing     bool
}

// poisoned returns the error of a poisoned log.
func (l *Log) poisoned() error {
	if p := l.poison.Load(); p != nil {
		return p
	}
	return nil
}

// poisonWith records the first i/o error and returns what appends get from now on.
func (l *Log) poisonWith(doing string, err error) error {
	f := &fault.Error{
		Class: fault.Unavailable, Code: "log.poisoned",
		Message: fmt.Sprintf("%s: log %s takes no more writes after an i/o error: %v", doing, l.dir, err),
		Err:     errors.Join(shardlog.ErrPoisoned, err),
		Hint:    "check the disk and the system log, then restart; everything that was acked is still there",
	}
	if l.poison.CompareAndSwap(nil, f) {
		l.logger.Error("log poisoned", "dir", l.dir, "doing", doing, "err", err)
	}
	return l.poisoned()
}

// noFile is what appends get when a file cannot be opened before anything depends on it. That the process has too many
// open files ends by itself; all else poisons the log.
func (l *Log) noFile(doing string, err error) error {
	if !isNoFiles(err) {
		return l.poisonWith(doing, err)
	}
	return &fault.Error{
		Class: fault.Unavailable, Code: codeNoFiles, Err: err,
		Message: fmt.Sprintf("%s: log %s refuses writes for want of files: %v", doing, l.dir, err),
		Hint:    "raise the limit of open files (ulimit -n, LimitNOFILE of the service); writes then resume by themselves",
	}
}

func isNoFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// The codes of refusals that end by themselves.
const (
	codeDiskFull = "log.disk_full"
	codeHoldFull = "log.hold_full"
	codeNoFiles  = "log.too_many_open_files"
)

func (l *Log) fullError(code, format string, args ...any) *fault.Error {
	return &fault.Error{
		Class: fault.Unavailable, Code: code, Err: shardlog.ErrFull,
		Message: fmt.Sprintf("log %s refuses writes: ", l.dir) + fmt.Sprintf(format, args...),
	}
}

// Err implements shardlog.Log.
func (l *Log) Err() error {
	if err := l.poisoned(); err != nil {
		return err
	}
	l.checkUsage()
	if f := l.full.Load(); f != nil {
		return f
	}
	return nil
}

// Damages lists the damaged places that were found since the log was opened.
func (l *Log) Damages() []Damage {
	l.idx.RLock()
	defer l.idx.RUnlock()
	return append([]Damage(nil), l.damages...)
}

// report notes damage of a segment and returns it as users see it.
func (l *Log) report(s *segment, off int64, region Region, detail error) error {
	d := Damage{Path: s.path, Segment: s.id, Offset: off, Region: region, Detail: detail.Error()}
	l.idx.Lock()
	s.hurt = true
	known := false
	for i := range l.damages {
		known = known || (l.damages[i].Segment == d.Segment && l.damages[i].Offset == d.Offset && l.damages[i].Region == d.Region)
	}
	if !known && len(l.damages) < 1000 {
		l.damages = append(l.damages, d)
	}
	l.idx.Unlock()
	if !known {
		l.logger.Error("log damaged", "dir", l.dir, "segment", d.Segment, "offset", d.Offset, "region", string(d.Region), "detail", d.Detail)
	}
	return d.fault()
}

// State implements shardlog.Log.
func (l *Log) State(id record.ShardID) (shardlog.ShardState, bool) {
	l.idx.RLock()
	defer l.idx.RUnlock()
	sh := l.shards[id]
	if sh == nil || sh.hidden || sh.gone {
		return shardlog.ShardState{}, false
	}
	return sh.state(), true
}

func (s *shard) state() shardlog.ShardState {
	st := shardlog.ShardState{
		Shard:       shardlog.Shard{ID: s.id, Meta: append([]byte(nil), s.meta...)},
		TrimHorizon: s.trim, Next: s.next, Opened: time.Unix(0, s.opened).UTC(),
	}
	if s.tip != 0 {
		st.TipArrived = time.Unix(0, s.tip).UTC()
	}
	if s.closed != 0 {
		st.Closed = time.Unix(0, s.closed).UTC()
	}
	return st
}

// Shards implements shardlog.Log.
func (l *Log) Shards() []shardlog.ShardState {
	l.idx.RLock()
	defer l.idx.RUnlock()
	out := make([]shardlog.ShardState, 0, len(l.shards))
	for _, sh := range l.shards {
		if !sh.hidden && !sh.gone {
			out = append(out, sh.state())
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// Mark implements shardlog.Log.
func (l *Log) Mark(producer string) (shardlog.Mark, bool) {
	l.idx.RLock()
	defer l.idx.RUnlock()
	st, ok := l.marks[producer]
	if !ok {
		return shardlog.Mark{}, false
	}
	return shardlog.Mark{Producer: producer, State: append([]byte(nil), st...)}, true
}

// setMark keeps the newest mark of a producer; an empty state forgets it. The caller holds idx.
func (l *Log) setMark(m shardlog.Mark) {
	if old, ok := l.marks[m.Producer]; ok {
		l.markSize -= 3 + len(m.Producer) + len(old)
		delete(l.marks, m.Producer)
	}
	if len(m.State) > 0 {
		l.marks[m.Producer] = m.State
		l.markSize += markSize(&m)
	}
}

// Size implements shardlog.Log.
func (l *Log) Size() int64 {
	l.idx.RLock()
	defer l.idx.RUnlock()
	return l.sizeLocked()
}

func (l *Log) sizeLocked() (n int64) {
	for _, s := range l.segs {
		n += s.size
	}
	return n
}

// snapshotNow describes the log as it is durable now. The caller makes sure that no group is in flight.
func (l *Log) snapshotNow(now time.Time) snapshot {
	l.idx.RLock()
	defer l.idx.RUnlock()
	s := snapshot{created: now.UnixNano()}
	for _, sh := range l.shards {
		if !sh.hidden && !(sh.gone && now.Sub(time.Unix(0, sh.closed)) > forgetAfter) {
			s.shards = append(s.shards, sh.shardInfo)
		}
	}
	for p, st := range l.marks {
		s.marks = append(s.marks, shardlog.Mark{Producer: p, State: st})
	}
	return s
}

// Close implements shardlog.Log. It seals the newest segment; if that fails the log is still whole and the next Open does
// it. A second Close returns ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return shardlog.ErrClosed
	}
	l.closing = true
	drained := make(chan struct{})
	if l.committers == 0 {
		close(drained)
	} else {
		l.drained = drained
	}
	l.mu.Unlock()
	<-drained
	l.keep.stop()
	l.back.Wait()

	var err error
	if l.w.seg != nil && l.poisoned() == nil {
		err = l.seal(l.w.seg, l.w.lanes, l.w.off, l.w.block, l.snapshotNow(l.opts.Now()))
		l.w.lanes = [2]vfs.File{}
	}
	closeFiles(l.w.lanes)
	l.dropSpare()
	l.idx.Lock()
	l.closed = true
	waiting := l.tails
	l.tails = nil
	for _, sh := range l.shards {
		waiting = append(waiting, sh.waiters...)
		sh.waiters = nil
	}
	segs := l.segs
	l.idx.Unlock()
	for _, w := range waiting {
		w.wake()
	}
	l.wake.wait()
	l.handles.closeIdle(segs)
	return err
}

func closeFiles(lanes [2]vfs.File) {
	for _, f := range lanes {
		if f != nil {
			_ = f.Close() // everything that counts was synced before
		}
	}
}

// canceled is the error of an append or reshard whose caller stopped waiting.
func canceled(ctx context.Context) error {
	return fmt.Errorf("gave up waiting for the log; what was handed in may still be stored: %w", context.Cause(ctx))
}
