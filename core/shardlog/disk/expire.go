package disk

import (
	"errors"
	"io/fs"
	"maps"
	"time"

	"github.com/leatstream/leat/core/shardlog"
)

// SetRetention implements shardlog.Log.
func (l *Log) SetRetention(r shardlog.Retention) {
	l.idx.Lock()
	l.retain = r
	l.idx.Unlock()
	l.keep.nudge(l)
}

func (l *Log) retention() shardlog.Retention {
	l.idx.RLock()
	defer l.idx.RUnlock()
	return l.retain
}

// Pin implements shardlog.Log.
func (l *Log) Pin(owner string, needs shardlog.Positions) {
	l.idx.Lock()
	if needs == nil {
		delete(l.pins, owner)
	} else {
		l.pins[owner] = maps.Clone(needs)
	}
	hold := l.retain.Hold > 0
	l.idx.Unlock()
	if hold {
		if f := l.full.Load(); f != nil && f.Code == codeHoldFull {
			l.usage.Store(0)
		}
		l.keep.nudge(l)
	}
}

// clockSane says whether wall and monotonic clock agree on how long the log has been open.
func (l *Log) clockSane() bool {
	drift := l.opts.Now().Sub(l.wall).Round(0) - time.Since(l.started)
	return drift.Abs() <= clockTolerance
}

// expirable returns the oldest segment if it may go now. With force, for want of room, its age does not matter.
func (l *Log) expirable(force bool) (*segment, bool) {
	l.idx.RLock()
	if len(l.segs) < 2 {
		l.idx.RUnlock()
		return nil, false
	}
	s, after := l.segs[0], l.segs[1]
	r, synced := l.retain, after.synced
	l.idx.RUnlock()
	if !synced {
		return nil, false // the state of the log is durable in s only
	}
	if r.Hold > 0 && l.needed(after) {
		return nil, false
	}
	if force {
		return s, true
	}
	if r.Age <= 0 {
		return nil, false
	}
	last := l.newestIn(s)
	return s, l.opts.Now().Sub(time.Unix(0, last)) > r.Age
}

// newestIn is the time of a segment's newest block; for a segment without records, of the one after it or of now.
func (l *Log) newestIn(s *segment) int64 {
	l.idx.RLock()
	last, known := s.last, s.last != 0 || s.runs != nil
	l.idx.RUnlock()
	if known {
		return last
	}
	f, err := l.handles.acquire(l.fs, s)
	if err != nil {
		return l.opts.Now().UnixNano()
	}
	defer l.handles.release(s)
	t, err := l.loadTrailer(s, f)
	if err != nil {
		if isIO(err) || l.rebuild(s, f, err) != nil {
			return l.opts.Now().UnixNano()
		}
		return l.newestIn(s)
	}
	return t.last
}

// needed says whether a pin needs a record before the segment after.
func (l *Log) needed(after *segment) bool {
	base, err := l.baseOf(after)
	if err != nil {
		return true
	}
	l.idx.RLock()
	defer l.idx.RUnlock()
	for _, needs := range l.pins {
		for id, sh := range l.shards {
			if !sh.gone && max(needs[id], sh.trim) < base.of(id) {
				return true
			}
		}
	}
	return false
}

// expire removes the oldest segment. While an earlier one cannot be removed, none is.
func (l *Log) expire(s *segment) error {
	l.expiring.Lock()
	defer l.expiring.Unlock()
	if l.stuck != nil {
		return l.stuck
	}
	if err := l.unlink(); err != nil {
		return err
	}
	l.idx.RLock()
	if len(l.segs) < 2 || l.segs[0] != s {
		l.idx.RUnlock()
		return nil
	}
	after := l.segs[1]
	l.idx.RUnlock()
	base, err := l.baseOf(after)
	if err != nil {
		return err
	}
	l.idx.Lock()
	if l.closed || len(l.segs) < 2 || l.segs[0] != s {
		l.idx.Unlock()
		return nil
	}
	l.segs = append([]*segment(nil), l.segs[1:]...)
	l.expired = time.Now()
	for id, sh := range l.shards {
		if sh.hidden {
			continue
		}
		trim := base.of(id)
		if trim > sh.trim {
			sh.trim = trim
			for sc := range l.scans {
				sc.trimmed(s.id, id, trim)
			}
		}
		if sh.closed != 0 && sh.closedIn <= s.id {
			sh.gone, sh.waiters = true, nil
			l.metaSize -= len(sh.meta)
			sh.meta = nil
		}
	}
	l.leaving = append(l.leaving, s)
	l.idx.Unlock()
	l.cache.forget(s)
	l.handles.drop(s)
	return l.unlink()
}

// unlink removes the files of expired segments, strictly from the old end and each durably before the next: a crash must
// not find a gap. Callers hold expiring.
func (l *Log) unlink() error {
	for len(l.leaving) > 0 {
		s := l.leaving[0]
		l.idx.RLock()
		hurt := s.hurt
		l.idx.RUnlock()
		var err error
		if hurt {
			err = l.fs.Rename(s.path, s.path+damagedSuffix)
		} else {
			err = l.fs.Remove(s.path)
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			if err = l.fs.SyncDir(l.dir); err == nil {
				l.leaving = l.leaving[1:]
				continue
			}
			// Whether the name is gone is unknown, and a later sync that succeeds would not tell.
			if !isNoFiles(err) { // without a file the sync was not tried
				l.stuck = err
			}
		}
		l.logger.Error("cannot remove an expired segment", "path", s.path, "err", err)
		return err
	}
	return nil
}

// holdRoom makes room for bytes below the hold of the retention by expiring what no pin needs, and refuses if it cannot.
func (l *Log) holdRoom(bytes int64) error {
	hold := l.retention().Hold
	if hold <= 0 {
		return nil
	}
	for l.Size()+bytes > hold {
		s, ok := l.expirable(true)
		if !ok {
			l.idx.RLock()
			alone := len(l.segs) <= 1
			l.idx.RUnlock()
			if alone && !l.pinned() {
				return nil // one block larger than the hold still has to go somewhere
			}
			full := l.fullError(codeHoldFull, "%d bytes are held for readers that have not got to them, the hold is %d", l.Size(), hold).
				WithHint("wait until deliveries catch up, or raise the hold of the retention")
			l.full.Store(full)
			return full
		}
		if err := l.expire(s); err != nil {
			return l.fullError(codeHoldFull, "cannot expire a segment to stay below the hold: %v", err)
		}
	}
	return nil
}

// pinned says whether a pin needs anything at all.
func (l *Log) pinned() bool {
	l.idx.RLock()
	defer l.idx.RUnlock()
	for _, needs := range l.pins {
		for id, sh := range l.shards {
			if max(needs[id], sh.trim) < sh.next {
				return true
			}
		}
	}
	return false
}
