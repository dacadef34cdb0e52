package disk

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

// tail is what a log's newest segment, or one that was not sealed, turned out to hold.
type tail struct {
	walked
	state     snapshot // at the end of the segment
	capacity  int64
	nonce     uint64
	prevEnd   uint64 // of the segment before it
	promised  int64  // all before it is known to have been synced
	nextBlock uint64
	sealed    bool
	footer    trailer
	hurt      *Damage // of the footer; records are whole
	shards    map[record.ShardID]*shardInfo
	marks     map[string][]byte
}

// errUnused says that a segment file never held anything that was acked.
var errUnused = errors.New("segment was never used")

// readTail reads a segment of which nothing is known but that the log may end in it. known is where its blocks end if the
// segment after it says so, else 0. It changes nothing. Damage below what was synced is a *Damage.
func readTail(f io.ReaderAt, id uint64, path string, size int64, known uint64, o *Options) (*tail, error) {
	damage := func(off int64, region Region, err error) error {
		return &Damage{Path: path, Segment: id, Offset: off, Region: region, Detail: err.Error()}
	}
	t := &tail{walked: walked{runs: runIndex{}}, shards: map[record.ShardID]*shardInfo{}, marks: map[string][]byte{}}
	footer, footerErr := readTrailer(f, id, size)
	if isIO(footerErr) {
		return nil, footerErr
	}
	snap, h, bad, err := readSnapshot(f, id)
	if err != nil {
		return nil, err
	}
	r := blockReader{f: f, segment: id, end: size, noCRC: o.seams.skipRunCRC, buf: getBuffer(readWindow)}
	defer func() { putBuffer(r.buf) }() // a start opens many logs
	if bad != nil {
		promised, err := r.promisedBeyond(0)
		if err != nil {
			return nil, err
		}
		if footerErr == nil || promised > 0 || known > 0 {
			return nil, damage(bad.off, bad.region, bad.err)
		}
		return nil, errUnused
	}
	t.capacity, t.nonce, t.prevEnd, t.nextBlock, r.nonce = int64(snap.capacity), h.nonce, snap.prevEnd, h.id+1, h.nonce
	if footerErr == nil {
		if body, err := readIndex(f, &footer); isIO(err) {
			return nil, err
		} else if err != nil {
			footerErr = err
		} else if state, err := footer.stateOf(body); err != nil {
			footerErr = err
		} else {
			t.state, t.sealed, t.footer = *state, true, footer
			t.end, t.first, t.last, t.promised = int64(footer.index), footer.first, footer.last, int64(footer.index)
			head := make([]byte, headerSize)
			if err := readFull(f, head, t.end); err != nil {
				return nil, err
			}
			ih, _ := parseHeader(head)
			t.nextBlock = ih.id + 1
			return t, nil
		}
	}
	for i := range snap.shards {
		t.shards[snap.shards[i].id] = &snap.shards[i]
	}
	for _, m := range snap.marks {
		t.marks[m.Producer] = m.State
	}
	t.end = int64(h.length)
	// A file is cut only after its footer was synced, so in a cut file everything was.
	cut := size != t.capacity
	for {
		h, bad, err := r.next(t.end)
		if err != nil {
			return nil, err
		}
		if bad != nil {
			promised, err := r.promisedBeyond(t.end)
			if err != nil {
				return nil, err
			}
			if cut || promised > t.end || known > uint64(t.end) {
				return nil, damage(bad.off, bad.region, bad.err)
			}
			break
		}
		if h.kind == kindIndex {
			// An index is written before the sync that makes true what it promises, and here that sync may have failed.
			t.nextBlock = max(t.nextBlock, h.id)
			if cut {
				t.hurt = &Damage{Path: path, Segment: id, Offset: size - trailerSize, Region: RegionFooter, Detail: footerErr.Error()}
			}
			break
		}
		t.promised = max(t.promised, int64(h.promised))
		if err := t.apply(&h, &r.table); err != nil {
			return nil, damage(t.end, RegionTable, err)
		}
		t.end += int64(h.length)
	}
	if known > uint64(t.end) {
		return nil, damage(t.end, RegionHeader, fmt.Errorf("blocks end here; the next segment says that they end at %d", known))
	}
	for _, sh := range t.shards {
		t.state.shards = append(t.state.shards, *sh)
	}
	for p, st := range t.marks {
		t.state.marks = append(t.state.marks, shardlog.Mark{Producer: p, State: st})
	}
	return t, nil
}

// apply brings the state forward by one block, which begins at t.end.
func (t *tail) apply(h *blockHeader, table *blockTable) error {
	t.nextBlock = h.id + 1
	if h.kind == kindRecords {
		if t.first == 0 {
			t.first = h.time
		}
		t.last = max(t.last, h.time)
	}
	for i := range table.runs {
		e := &table.runs[i]
		if e.count == 0 {
			continue
		}
		sh := t.shards[e.shard]
		if sh == nil || sh.closed != 0 || sh.next != e.first || e.arrived < sh.tip {
			return fmt.Errorf("run of %v from position %d does not follow what is before it", e.shard, e.first)
		}
		sh.next, sh.tip = e.first+uint64(e.count), e.arrived
		t.runs.add(e, t.end)
	}
	for _, m := range table.marks {
		if delete(t.marks, m.Producer); len(m.State) > 0 {
			t.marks[m.Producer] = m.State
		}
	}
	for _, op := range table.ops {
		sh := t.shards[op.id]
		switch {
		case op.open && sh == nil:
			t.shards[op.id] = &shardInfo{id: op.id, next: 1, opened: op.at, meta: op.meta}
		case !op.open && sh != nil && sh.closed == 0:
			sh.closed, sh.closedIn = op.at, h.segment
		default:
			return fmt.Errorf("operation on %v does not fit its state", op.id)
		}
	}
	return nil
}

// sealTail gives an unsealed segment its footer. What no promise covers is written again first: if an earlier process saw
// a sync fail, the kernel may call these pages clean that never reached the disk.
func sealTail(fs vfs.FS, s *segment, t *tail, o *Options) error {
	f, err := fs.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := getBuffer(int(min(readWindow, t.end-t.promised)))
	defer putBuffer(buf)
	for off := t.promised; off < t.end && !o.seams.keepTail; {
		p := buf[:min(int64(len(buf)), t.end-off)]
		if err := readFull(f, p, off); err != nil {
			return err
		}
		if _, err := f.WriteAt(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	// The index promises all before it, so that has to be durable before the index is written.
	if err := f.Sync(); err != nil {
		return err
	}
	t.footer, err = writeFooter(f, s.id, t.nonce, t.nextBlock, t.end, t.runs, t.first, t.last, t.state)
	if err != nil {
		return err
	}
	t.nextBlock++
	t.sealed = true
	return nil
}

// segmentFiles lists the segments of a directory, oldest first, with their sizes.
func segmentFiles(fs vfs.FS, dir string) ([]*segment, error) {
	list, err := fs.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	var segs []*segment
	for _, e := range list {
		id, ok := parseSegmentName(e.Name())
		if !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := fs.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		segs = append(segs, &segment{id: id, path: path, size: info.Size(), synced: true})
	}
	for i := 1; i < len(segs); i++ {
		if segs[i].id != segs[i-1].id+1 {
			missing := segs[i-1].id + 1
			return nil, (&Damage{
				Path: filepath.Join(dir, segmentName(missing)), Segment: missing, Region: RegionFile, Detail: "the segment's file is missing",
			}).fault()
		}
	}
	return segs, nil
}

// faulty turns a *Damage into the error that users see, and adds what was being done to any other.
func faulty(doing string, err error) error {
	var d *Damage
	if errors.As(err, &d) {
		return d.fault()
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Open opens the log in dir and makes it, without shards, if there is none. It cuts a torn tail and seals what an earlier
// process left unsealed; it writes nothing else. If acked data of the newest segment is damaged it fails with
// shardlog.ErrCorrupt; damage further back shows when it is read, and in Damages.
func Open(fs vfs.FS, dir string, opts Options) (*Log, error) {
	l := newLog(fs, dir, opts)
	if err := fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := l.load(); err != nil {
		l.handles.closeIdle(l.segs)
		return nil, err
	}
	if opts.Retention.Age > 0 && len(l.segs) > 0 {
		l.keep.nudge(l)
	}
	return l, nil
}

func newLog(fs vfs.FS, dir string, opts Options) *Log {
	opts.setDefaults()
	l := &Log{
		fs: fs, dir: dir, opts: opts, logger: opts.Logger, started: time.Now(), wall: opts.Now(),
		shards: map[record.ShardID]*shard{}, marks: map[string][]byte{}, scans: map[*scanner]struct{}{},
		pins: map[string]shardlog.Positions{}, retain: opts.Retention,
	}
	l.w.nextSeg, l.w.block = 1, 1
	return l
}

// load reads what is in the directory, and brings it in order unless the log is only read.
func (l *Log) load() error {
	segs, err := segmentFiles(l.fs, l.dir)
	if err != nil {
		return err
	}
	l.segs = segs
	t, err := l.recoverNewest()
	if err != nil || t == nil {
		return err
	}
	if err := l.recoverUnsealed(t); err != nil {
		return err
	}
	newest := l.segs[len(l.segs)-1]
	l.w.nextSeg, l.w.block, l.w.prevSeg, l.w.prevEnd = newest.id+1, t.nextBlock, newest.id, uint64(t.end)
	base, err := l.baseOf(l.segs[0])
	if err != nil {
		return err
	}
	for _, info := range t.state.shards {
		sh := &shard{shardInfo: info, trim: base.of(info.id), assigned: info.next, assignedTip: info.tip, closing: info.closed != 0}
		sh.gone = info.closed != 0 && info.closedIn < l.segs[0].id
		l.addShard(sh)
	}
	for _, m := range t.state.marks {
		l.setMark(m)
	}
	return nil
}

// recoverNewest finds the newest segment that was used, reads it, and seals it if need be. It returns nil for a new log.
func (l *Log) recoverNewest() (*tail, error) {
	for len(l.segs) > 0 {
		s := l.segs[len(l.segs)-1]
		t, err := l.readTailOf(s, 0)
		if errors.Is(err, errUnused) {
			if l.readOnly {
				l.segs = l.segs[:len(l.segs)-1]
				continue
			}
			l.handles.drop(s)
			if err := removeFile(l.fs, s.path); err != nil {
				return nil, fmt.Errorf("open log: remove a segment that was never used: %w", err)
			}
			l.segs = l.segs[:len(l.segs)-1]
			continue
		}
		if err != nil {
			return nil, faulty("open log", err)
		}
		return t, l.settle(s, t)
	}
	return nil, nil
}

// recoverUnsealed seals the segment before the newest if a crash hit while it was being sealed.
func (l *Log) recoverUnsealed(newest *tail) error {
	if len(l.segs) < 2 {
		return nil
	}
	for _, older := range l.segs[:len(l.segs)-2] {
		older.sealed = true // a segment is sealed before the one after the next begins
	}
	s := l.segs[len(l.segs)-2]
	f, err := l.handles.acquire(l.fs, s)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	_, err = readTrailer(f, s.id, s.size)
	l.handles.release(s)
	if err == nil {
		s.sealed = true
		return nil
	}
	if isIO(err) {
		return fmt.Errorf("open log: %w", err)
	}
	t, err := l.readTailOf(s, newest.prevEnd)
	var d *Damage
	if errors.As(err, &d) {
		// The state of the log is known from the newest segment. What can be found in this one stays readable.
		s.sealed = true
		_ = l.report(s, d.Offset, d.Region, errors.New(d.Detail))
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	return l.settle(s, t)
}

func (l *Log) readTailOf(s *segment, known uint64) (*tail, error) {
	f, err := l.handles.acquire(l.fs, s)
	if err != nil {
		return nil, err
	}
	defer l.handles.release(s)
	return readTail(f, s.id, s.path, s.size, known, &l.opts)
}

// settle seals a recovered segment and lets s know what is in it.
func (l *Log) settle(s *segment, t *tail) error {
	s.nonce, s.end, s.first, s.last = t.nonce, t.end, t.first, t.last
	if t.hurt != nil {
		_ = l.report(s, t.hurt.Offset, t.hurt.Region, errors.New(t.hurt.Detail))
		s.runs = t.runs
		return nil
	}
	if !t.sealed && l.readOnly {
		s.runs = t.runs
		return nil
	}
	if !t.sealed {
		l.logger.Info("log recovered", "dir", l.dir, "segment", s.id, "end", t.end)
		switch err := sealTail(l.fs, s, t, &l.opts); {
		case isNoSpace(err):
			s.runs = t.runs // readable, and sealed when it is opened the next time
			return nil
		case err != nil:
			return fmt.Errorf("open log: seal segment %s: %w", s.path, err)
		}
		s.size = int64(t.footer.index) + int64(t.footer.length) + trailerSize
	}
	s.sealed, s.footer = true, t.footer
	return nil
}
