package disk

import (
	"log/slog"
	"time"

	"github.com/leatstream/leat/core/shardlog"
)

// Limits and their reasons.
const (
	// defaultFirstSegment and defaultSegmentSize: segments start small, so that a thousand idle streams stay small, and
	// double up to a size at which the cost of rolling no longer shows.
	defaultFirstSegment = 1 << 20
	defaultSegmentSize  = 64 << 20
	// minSegment keeps a small hold from making a file of every block.
	minSegment = 64 << 10
	// maxAppend bounds one append, in encoded bytes. A caller with more sends it in parts.
	maxAppend = 64 << 20
	// maxRun is where an append's records of one shard are cut into several stored runs, in bytes: a reader that wants one
	// record reads and checks the run around it.
	maxRun = 512 << 10
	// maxProducers and maxMarkBytes bound the marks, which every segment's snapshot repeats.
	maxProducers = 10_000
	maxMarkBytes = 16 << 20
	// defaultReadRecords and defaultReadBytes are what a ReadLimit of zero means; they are those of GetRecords.
	defaultReadRecords = 10_000
	defaultReadBytes   = 10 << 20
	// maxRollAge: a segment with records is sealed after this time at the latest, so that quiet streams expire.
	maxRollAge = time.Hour
	// rollsPerAge: a segment spans at most this part of the retention.
	rollsPerAge = 24
	// promiseAfter is how long a log is idle before it writes down that all of it is synced.
	promiseAfter = time.Second
	// expirePause separates two unlinks: a burst of them raises producers' p99 (63 ms were measured).
	expirePause = 200 * time.Millisecond
	// usageEvery is how often the room on the disk is asked for while appends come in; it bounds how long after space
	// returns writes resume.
	usageEvery = time.Second
	// maxReserve and reserveShare: writes are refused when the smaller of the two is all that is left on the disk.
	maxReserve   = 1 << 30
	reserveShare = 20
	// clockTolerance is how far wall and monotonic clock may drift apart before expiry pauses.
	clockTolerance = time.Hour
	// forgetAfter is how long a log remembers where a closed shard ended after all of it has expired, so that a reader that
	// was away can count what it missed.
	forgetAfter = 30 * 24 * time.Hour
)

// Options configures a log. The zero value is ready to use.
type Options struct {
	// FirstSegment and SegmentSize are the sizes of the first and of the largest segments, in bytes; 0: 1 MiB and 64 MiB.
	FirstSegment, SegmentSize int64
	// Retention is the first retention; SetRetention replaces it.
	Retention shardlog.Retention
	// Reserve is how many bytes stay free on the disk; 0: the smaller of 1 GiB and 5 %; negative: none.
	Reserve int64
	// Epoch is the owner epoch written into every block. It does not matter to this engine.
	Epoch uint64
	// Logger receives what an operator should know: recovery, damage, pauses, refusals. nil: nothing is logged.
	Logger *slog.Logger
	// Now is the wall clock; nil: time.Now. Timers use the real clock.
	Now func() time.Time

	seams seams
}

// seams are defects on purpose, for the tests that show that the tests find them.
type seams struct {
	noSync          bool // acks what was never synced
	ackBeforeSync   bool // acks before the sync
	noDirSync       bool // new segments' names are not synced
	skipRunCRC      bool // reads and recovery believe every run
	trustIndex      bool // reads believe footers and what they point to
	retrySync       bool // a failed sync is tried again, and believed
	noPromise       bool // no block carries a promise
	onePublishOrder bool // groups are published as their syncs end
	keepTail        bool // recovery does not write an unpromised tail again
}

func (o *Options) setDefaults() {
	if o.FirstSegment <= 0 {
		o.FirstSegment = defaultFirstSegment
	}
	if o.SegmentSize <= 0 {
		o.SegmentSize = defaultSegmentSize
	}
	o.SegmentSize = max(o.SegmentSize, minSegment)
	o.FirstSegment = min(max(o.FirstSegment, minSegment), o.SegmentSize)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
