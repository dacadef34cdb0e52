package disk

import (
	"context"
	"sync"
	"time"
)

// keeper does a log's housekeeping from one timer: the promise of an idle log, rolling by age, expiry.
type keeper struct {
	mu      sync.Mutex
	timer   *time.Timer
	due     time.Time
	stopped bool
	last    time.Time // of the newest publish whose promise is not written
	work    sync.WaitGroup
}

// published notes that there is something to promise.
func (k *keeper) published(l *Log) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = time.Now()
	k.armLocked(l, promiseAfter)
}

// nudge runs the housekeeping soon.
func (k *keeper) nudge(l *Log) { k.arm(l, 0) }

func (k *keeper) arm(l *Log, in time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armLocked(l, in)
}

// armLocked makes sure that the housekeeping runs no later than in from now.
func (k *keeper) armLocked(l *Log, in time.Duration) {
	if k.stopped || l.readOnly {
		return
	}
	due := time.Now().Add(in)
	if k.timer == nil {
		k.due = due
		k.timer = time.AfterFunc(in, func() { k.run(l) })
		return
	}
	if k.due.IsZero() || due.Before(k.due) {
		k.due = due
		k.timer.Reset(in)
	}
}

func (k *keeper) run(l *Log) {
	k.mu.Lock()
	if k.stopped {
		k.mu.Unlock()
		return
	}
	k.work.Add(1)
	k.due = time.Time{}
	last := k.last
	k.mu.Unlock()
	defer k.work.Done()

	if !last.IsZero() {
		if idle := time.Since(last); idle < promiseAfter {
			k.arm(l, promiseAfter-idle)
		} else {
			refused := l.promise() != nil && l.poisoned() == nil // for want of open files, say
			k.mu.Lock()
			switch {
			case refused:
				k.armLocked(l, promiseAfter)
			case k.last.Equal(last):
				k.last = time.Time{}
			}
			k.mu.Unlock()
		}
	}
	if next := l.housekeep(); next > 0 {
		k.arm(l, next)
	}
}

func (k *keeper) stop() {
	k.mu.Lock()
	k.stopped = true
	if k.timer != nil {
		k.timer.Stop()
	}
	k.mu.Unlock()
	k.work.Wait()
}

// promise writes down that everything so far is synced. Its error is for nobody: the next append reports it.
func (l *Log) promise() error {
	return l.submit(context.Background(), l.newGroup(groupPromise, 0))
}

// housekeep rolls and expires what is due, and returns when to look again; 0 is never.
func (l *Log) housekeep() time.Duration {
	r := l.retention()
	if r.Age <= 0 && r.Hold <= 0 || l.poisoned() != nil {
		return 0
	}
	if !l.clockSane() {
		l.logger.Warn("expiry pauses: wall clock and monotonic clock disagree by more than an hour", "dir", l.dir)
		return clockTolerance
	}
	next := l.rollIfOld(r.Age)
	if s, ok := l.expirable(r.Hold > 0 && l.Size() > r.Hold); ok {
		l.idx.RLock()
		pause := expirePause - time.Since(l.expired)
		l.idx.RUnlock()
		if pause > 0 {
			return pause
		}
		if l.expire(s) != nil {
			return time.Minute
		}
		return expirePause
	}
	return next
}

// rollAge is the longest time that a segment spans.
func rollAge(age time.Duration) time.Duration {
	return min(maxRollAge, max(age/rollsPerAge, time.Millisecond))
}

// rollIfOld seals the active segment when it is old, and begins a new one when nothing else keeps the newest records from
// expiring. It returns when to look again.
func (l *Log) rollIfOld(age time.Duration) time.Duration {
	if age <= 0 {
		return maxRollAge
	}
	l.idx.RLock()
	now := l.opts.Now()
	active := l.active
	var first int64
	if active != nil {
		first = active.first
	}
	alone := active == nil && len(l.segs) == 1
	l.idx.RUnlock()
	switch {
	case active != nil && first == 0:
		// Nothing in it but the log's state: it stays as it is.
	case active != nil:
		if open := now.Sub(time.Unix(0, first)); open < rollAge(age) {
			return min(rollAge(age)-open, maxRollAge)
		}
		_ = l.submit(context.Background(), l.newGroup(groupRoll, 0))
	case alone:
		l.idx.RLock()
		s := l.segs[0]
		l.idx.RUnlock()
		if last := l.newestIn(s); last != 0 && now.Sub(time.Unix(0, last)) > age {
			_ = l.submit(context.Background(), l.newGroup(groupFresh, 0))
		}
	}
	return rollAge(age)
}
