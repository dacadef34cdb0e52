package kinesis

import (
	"time"

	"github.com/segmentio/asm/base64"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// getRecordsAnswer writes itself as a [GetRecordsOutput], once: then the batch is released.
type getRecordsAnswer struct {
	batch *record.Batch
	// number is that of any record of the shard: all that they have in common.
	number   stream.SequenceNumber
	children []ChildShard
	behind   time.Duration
	next     string // empty at the end of the shard
}

// SizeWire is about how many bytes AppendWire appends; there are more only for keys with many escapes.
func (a *getRecordsAnswer) SizeWire(f wire.Format) int {
	size := 1024 + 512*len(a.children)
	for i := range a.batch.Records {
		data := len(a.batch.Records[i].Data)
		if f == wire.JSON {
			data = base64.StdEncoding.EncodedLen(data)
		}
		size += data + len(a.batch.Records[i].Key) + recordSize
	}
	return size
}

// AppendWire implements wire.Appender.
func (a *getRecordsAnswer) AppendWire(f wire.Format, dst []byte) []byte {
	dst = growBy(dst, a.SizeWire(f))
	if f == wire.CBOR {
		members := uint64(2)
		if len(a.children) > 0 {
			members++
		}
		if a.next != "" {
			members++
		}
		dst = wire.AppendHead(dst, cborMap>>5, members)
	}
	dst = appendMember(f, dst, '{', "Records")
	dst = appendRecords(f, dst, a.number, a.batch.Records)
	if len(a.children) > 0 {
		dst = appendChildShards(f, appendMember(f, dst, ',', "ChildShards"), a.children)
	}
	dst = wire.AppendInt(f, appendMember(f, dst, ',', "MillisBehindLatest"), a.behind.Milliseconds())
	if a.next != "" {
		dst = wire.AppendText(f, appendMember(f, dst, ',', "NextShardIterator"), a.next)
	}
	a.batch.Release()
	a.batch = nil
	return appendEnd(f, dst, '}')
}

// recordSize is what an answer has for each record beside its key and data, in bytes, with room to spare.
const recordSize = 192

// growBy makes room for n bytes; unlike slices.Grow it does not add to what is asked for.
func growBy(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}

// appendRecords appends the records of one shard as a list of [Record]. number is that of any of them.
func appendRecords(f wire.Format, dst []byte, number stream.SequenceNumber, records []record.Record) []byte {
	if f == wire.CBOR {
		dst = wire.AppendHead(dst, cborArray>>5, uint64(len(records)))
	} else {
		dst = append(dst, '[')
	}
	for i := range records {
		r := &records[i]
		if f == wire.CBOR {
			members := uint64(3)
			if r.Key != "" {
				members++
			}
			dst = wire.AppendHead(dst, cborMap>>5, members)
		} else if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendBlob(f, appendMember(f, dst, '{', "Data"), r.Data)
		number.Position, number.Second = r.Seq, r.Arrived/int64(time.Second)
		dst = appendSequenceNumber(f, appendMember(f, dst, ',', "SequenceNumber"), &number)
		dst = appendMember(f, dst, ',', "ApproximateArrivalTimestamp")
		if arrived := wire.At(r.ArrivedAt()); f == wire.CBOR {
			dst = arrived.AppendCBOR(dst)
		} else {
			dst = arrived.AppendJSON(dst)
		}
		if r.Key != "" { // records that were spread over the shards have none
			dst = wire.AppendText(f, appendMember(f, dst, ',', "PartitionKey"), r.Key)
		}
		dst = appendEnd(f, dst, '}')
	}
	return appendEnd(f, dst, ']')
}

// appendChildShards appends what is read at most once a shard.
func appendChildShards(f wire.Format, dst []byte, children []ChildShard) []byte {
	if f == wire.CBOR {
		dst = wire.AppendHead(dst, cborArray>>5, uint64(len(children)))
	} else {
		dst = append(dst, '[')
	}
	for i := range children {
		if f == wire.JSON && i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.Append(f, dst, &children[i])
	}
	return appendEnd(f, dst, ']')
}
