package kinesis

import (
	"sync"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
)

// What GetRecords and GetShardIterator give of one shard, unless limits are off: numbers of the API reference.
const (
	readsPerSecond     = 5
	iteratorsPerSecond = 5
	// readRate is in bytes of keys and data a second. A shard that was not read for a second gives a second's worth more at
	// once, but not with an answer that is larger than that: after one of 10 MiB, the most that there is, the next calls
	// are refused for 5 seconds.
	readRate = 2 << 20
)

// limited tells whether the shards of a stream have the limits of the service: those of streams that the API made, and of
// pipelines' streams if their files say so, unless limits are off altogether.
func (k *known) limited() bool {
	return k.api.cfg.Limits && k.Config().WriteLimit == stream.KinesisWriteLimit
}

// readLimits are the limits of reading of one stream's shards. They live as long as the process: who restarts the server
// may read at once.
type readLimits struct {
	mu    sync.Mutex
	of    map[record.ShardID]*readLimit
	sweep int // number of shards at which those are dropped that say nothing any more
}

// readLimit is until when what one shard gave is paid for.
type readLimit struct {
	reads     time.Time
	bytes     time.Time
	iterators time.Time
}

// idle tells whether the limit says no more than a new one.
func (l *readLimit) idle(now time.Time) bool {
	return !l.reads.After(now) && !l.iterators.After(now) && now.Sub(l.bytes) >= time.Second
}

// call takes one call off a rate a second, with a burst of as many, or refuses it.
func call(paid *time.Time, now time.Time, perSecond int) bool {
	until := now
	if paid.After(now) {
		until = *paid
	}
	until = until.Add(time.Second / time.Duration(perSecond))
	if until.After(now.Add(time.Second)) {
		return false
	}
	*paid = until
	return true
}

// shard returns the limit of a shard. mu is held.
func (l *readLimits) shard(id record.ShardID, now time.Time) *readLimit {
	if s := l.of[id]; s != nil {
		return s
	}
	if len(l.of) >= l.sweep { // each time their number has doubled
		for id, s := range l.of {
			if s.idle(now) {
				delete(l.of, id)
			}
		}
		l.sweep = 2*len(l.of) + 16
	}
	s := &readLimit{}
	l.of[id] = s
	return s
}

// iterator admits a GetShardIterator.
func (l *readLimits) iterator(id record.ShardID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return call(&l.shard(id, now).iterators, now, iteratorsPerSecond)
}

// read admits a GetRecords, for which took then pays.
func (l *readLimits) read(id record.ShardID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shard(id, now)
	return !s.bytes.After(now) && call(&s.reads, now, readsPerSecond)
}

// took pays for an answer of so many bytes of keys and data.
func (l *readLimits) took(id record.ShardID, now time.Time, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shard(id, now)
	burst := time.Second
	if bytes > readRate {
		burst = 0
	}
	from := now.Add(-burst)
	if s.bytes.After(from) {
		from = s.bytes
	}
	s.bytes = from.Add(time.Duration(bytes) * time.Second / readRate)
}
