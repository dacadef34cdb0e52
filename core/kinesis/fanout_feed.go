package kinesis

import (
	"context"
	"encoding/base64"
	"sync"
	"time"
	"weak"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

const (
	// eventBytes is how many bytes of keys and data an event holds, but for a single larger record: enough to make what an
	// event costs small, and few enough that a slow client holds little.
	eventBytes   = 128 << 10
	eventRecords = 10_000
	// sharedFor is how long an event may be given to further subscriptions: MillisBehindLatest in it gets old.
	sharedFor = time.Second
)

// event is a SubscribeToShardEvent as it goes over the wire. It does not change once ready is closed.
type event struct {
	from   uint64 // position it begins at
	format wire.Format
	made   time.Time
	ready  chan struct{}

	err     error
	payload []byte // nil: there was nothing to read
	records int
	size    int           // bytes of keys and data
	behind  time.Duration // age of the last record; 0 at the tip
	next    stream.Position
	last    bool // the shard ends with it
}

// feed reads one shard for all its subscriptions. Those that are at the same position, as all are that have caught up,
// share the read and the encoded event. The newest event is held weakly: it is there while somebody still sends it.
type feed struct {
	stream  *stream.Stream
	readers int // guarded by fanout.mu

	mu     sync.Mutex
	newest weak.Pointer[event]
}

// event returns what there is at a position; it does not wait for more.
func (f *feed) event(at stream.Position, format wire.Format, now time.Time) *event {
	var empty, shared *event
	for {
		f.mu.Lock()
		shared = f.newest.Value()
		if shared == nil || shared == empty || shared.from != at.Seq || shared.format != format || now.Sub(shared.made) >= sharedFor {
			break
		}
		f.mu.Unlock()
		<-shared.ready
		if shared.err == nil && shared.payload != nil {
			return shared
		}
		empty = shared // it was made before there was anything; another reader may have a newer one by now
	}
	e := &event{from: at.Seq, format: format, made: now, ready: make(chan struct{})}
	if shared == nil || shared.from <= e.from { // those in front are more
		f.newest = weak.Make(e)
	}
	f.mu.Unlock()
	defer close(e.ready)
	e.err = f.fill(e, at)
	return e
}

// fill reads and encodes an event.
func (f *feed) fill(e *event, at stream.Position) error {
	batch := record.NewBatch()
	defer batch.Release()
	// Others may wait for this event, so it does not depend on the connection that happened to come first.
	res, err := f.stream.Read(context.Background(), at, shardlog.ReadLimit{Records: eventRecords, Bytes: eventBytes}, batch)
	if err != nil {
		return err
	}
	e.next, e.last, e.records, e.size, e.behind = res.Next, res.End, batch.Len(), batch.Size(), res.Behind
	if batch.Len() == 0 && !res.End {
		return nil
	}
	e.payload, err = appendEvent(e.format, nil, f.stream, batch.Records, &res, e.made)
	return err
}

// appendEvent appends a [SubscribeToShardEvent] with the outcome of a read.
//
// The number to continue from is the last record's with a later second: it moves on with time, and it is after that
// record and before the next one. The last event of a shard has the children in place of it: by its absence the Kinesis
// Client Library (FanOutRecordsPublisher) and Flink tell that the shard has ended.
func appendEvent(f wire.Format, dst []byte, s *stream.Stream, records []record.Record, res *stream.ReadResult, now time.Time) ([]byte, error) {
	tip := record.Record{Shard: res.Next.Shard, Seq: res.Next.Seq - 1, Arrived: now.UnixNano()}
	if n := len(records); n > 0 {
		tip.Arrived = max(tip.Arrived, records[n-1].Arrived)
	}
	tip.Arrived += int64(time.Second)
	var number stream.SequenceNumber
	if !res.End || len(records) > 0 { // the number of an expired shard is not known any more
		var err error
		if number, err = s.SequenceNumber(&tip); err != nil {
			return nil, err
		}
	}
	size := 512 * (1 + len(res.Children))
	for i := range records {
		size += base64.StdEncoding.EncodedLen(len(records[i].Data)) + len(records[i].Key) + recordSize
	}
	dst = growBy(dst, size)
	if f == wire.CBOR {
		dst = wire.AppendHead(dst, cborMap>>5, 3)
	}
	dst = appendRecords(f, appendMember(f, dst, '{', "Records"), number, records)
	dst = wire.AppendInt(f, appendMember(f, dst, ',', "MillisBehindLatest"), res.Behind.Milliseconds())
	if res.End {
		dst = appendChildShards(f, appendMember(f, dst, ',', "ChildShards"), childShapes(res.Children))
	} else {
		dst = appendSequenceNumber(f, appendMember(f, dst, ',', "ContinuationSequenceNumber"), &number)
	}
	return appendEnd(f, dst, '}'), nil
}
