package disk

import (
	"log/slog"
	"math"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// monotonic is the time since the log was opened, which no clock setting changes.
func (l *Log) monotonic() int64 { return int64(time.Since(l.started)) }

// checkUsage looks at the room on the disk, at most every usageEvery, and sets or clears the refusal of writes.
func (l *Log) checkUsage() {
	now := l.monotonic()
	last := l.usage.Load()
	if last != 0 && now-last < int64(usageEvery) || !l.usage.CompareAndSwap(last, max(now, 1)) {
		return
	}
	if full := l.full.Load(); full != nil && full.Code == codeHoldFull {
		if l.holdRoom(l.segmentCapacity(0)) != nil {
			return
		}
		l.full.Store(nil)
	}
	// With room for less than what was refused, the next roll would refuse writes anew, and the log would change its mind once a second.
	if l.hasRoomFor(max(minSegment, l.lack.Load())) == nil && l.full.Swap(nil) != nil {
		l.lack.Store(0)
		l.complaints.Over(l.logger.With("dir", l.dir), "", "log takes writes again")
	}
}

// hasRoomFor reports whether the disk keeps its reserve if so many bytes are allocated, and refuses writes if not.
func (l *Log) hasRoomFor(bytes int64) error {
	if full := l.lackOfRoom(bytes); full != nil {
		return l.refuse(full, bytes)
	}
	return nil
}

// refuse refuses writes for want of so many bytes on the disk.
func (l *Log) refuse(full *fault.Error, bytes int64) error {
	l.full.Store(full)
	l.lack.Store(bytes)
	l.usage.Store(max(l.monotonic(), 1))
	l.complaints.Log(l.logger, slog.LevelError, "", "log refuses writes", full, slog.String("dir", l.dir))
	return full
}

// lackOfRoom is nil if the disk keeps its reserve when so many bytes are allocated.
func (l *Log) lackOfRoom(bytes int64) *fault.Error {
	if l.opts.Reserve < 0 {
		return nil
	}
	u, err := l.fs.Usage(l.dir)
	if err != nil {
		return nil // an unknown fill level is no reason to refuse; the allocation itself will tell
	}
	reserve := uint64(l.opts.Reserve)
	if reserve == 0 {
		reserve = min(maxReserve, u.Total/reserveShare)
	}
	need := reserve + uint64(bytes)
	if u.Free >= need {
		return nil
	}
	return l.fullError(codeDiskFull, "its disk has %.2f MiB free of %.2f; %.2f are needed, %.2f of them as a reserve",
		mebibytes(u.Free), mebibytes(u.Total), mebibytes(need), mebibytes(reserve)).
		WithHint("free at least %.2f MiB on the disk; writes then resume by themselves, and reads go on meanwhile",
			math.Ceil(mebibytes(need-u.Free)*100)/100)
}

func mebibytes[N int64 | uint64](n N) float64 { return float64(n) / (1 << 20) }

// fitting halves a segment's capacity until the disk keeps its reserve with it, but not below need: a disk is full when no
// segment fits, not when a large one does not.
func (l *Log) fitting(capacity, need int64) int64 {
	for least := max(need, minSegment); capacity/2 >= least && l.lackOfRoom(capacity) != nil; {
		capacity /= 2
	}
	return capacity
}
