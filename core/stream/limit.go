package stream

import (
	"sync"
	"time"
)

// burst is how much of its write limit a shard may use at once after a pause, in time: a shard that was quiet for this
// long takes this much more than its rate.
const burst = time.Second

// WriteLimit is how much one shard takes. A zero field is no limit.
type WriteLimit struct {
	BytesPerSecond   int `json:"bytes_per_second,omitempty"`
	RecordsPerSecond int `json:"records_per_second,omitempty"`
}

// KinesisWriteLimit is the limit of a shard in the Kinesis service.
var KinesisWriteLimit = WriteLimit{BytesPerSecond: 1 << 20, RecordsPerSecond: 1000}

// bucket limits the writes of one shard. It keeps, for bytes and for records, until when what was taken is paid for at
// the limit's rate. A write is admitted if it is paid for within the burst from now; one that is larger than a whole
// burst (large records) is admitted when the bucket is full and leaves a debt.
type bucket struct {
	limit              WriteLimit
	refusal            error
	perByte, perRecord time.Duration // cost at the rate; 0 is no limit. Bytes are counted in units of costUnit.

	mu             sync.Mutex
	bytes, records time.Duration // paid until, on the clock of take's now
}

// costUnit is how many bytes perByte pays for: at high rates a single byte costs less than a nanosecond.
const costUnit = 1 << 10

// newBucket returns a full bucket. refusal is the error of what it refuses.
func newBucket(l WriteLimit, refusal error) *bucket {
	b := &bucket{limit: l, refusal: refusal}
	if l.BytesPerSecond > 0 {
		b.perByte = time.Duration(costUnit * int64(time.Second) / int64(l.BytesPerSecond))
	}
	if l.RecordsPerSecond > 0 {
		b.perRecord = time.Second / time.Duration(l.RecordsPerSecond)
	}
	return b
}

// take admits a record of size bytes at now, a reading of a monotonic clock, or refuses it and takes nothing.
func (b *bucket) take(now time.Duration, size int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	forBytes := b.cost(size)
	bytes, records := max(b.bytes, now), max(b.records, now)
	if bytes+min(forBytes, burst) > now+burst || records+b.perRecord > now+burst {
		return false
	}
	b.bytes, b.records = bytes+forBytes, records+b.perRecord
	return true
}

// cost is how long so many bytes take to be paid for: at a byte a second, the largest record's would overflow in one product.
func (b *bucket) cost(size int) time.Duration {
	whole, rest := time.Duration(size/costUnit), time.Duration(size%costUnit)
	return whole*b.perByte + rest*b.perByte/costUnit
}

// refund gives back what take took for a record that was not stored.
func (b *bucket) refund(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= b.cost(size)
	b.records -= b.perRecord
}
