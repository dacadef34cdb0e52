package kinesis

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

func TestGetAnswersAreWrittenAsTheirShapes(t *testing.T) {
	number := stream.SequenceNumber{Created: 1_790_000_000, Shard: 17}
	children := []ChildShard{
		{ShardId: "shardId-000000000018", ParentShards: []string{"shardId-000000000017"}, HashKeyRange: &HashKeyRange{StartingHashKey: "0", EndingHashKey: "9"}},
		{ShardId: "shardId-000000000019", ParentShards: []string{"shardId-000000000017", "a"}, HashKeyRange: &HashKeyRange{}},
	}
	var records []record.Record
	for i, key := range []string{"k", "", "ünï😀", "\"\\/\n\x00\x1f<>&", "\xff", string(bytes.Repeat([]byte("x"), 300))} {
		for _, size := range []int{0, 1, 2, 3, 27, 28, 29, 30, 31, 32, 33, 500} {
			data := bytes.Repeat([]byte{0xfb, 0xff, 0xbe, byte(size), byte(i)}, size)
			records = append(records, record.Record{Shard: 17, Seq: uint64(len(records)) + 1, Arrived: 1_790_000_000_000_000_000 + int64(len(records))*123_456_789, Key: key, Data: data[:size]})
		}
	}
	for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
		for _, n := range []int{0, 1, 30, len(records)} {
			for _, end := range []bool{false, true} {
				want := GetRecordsOutput{MillisBehindLatest: new(int64(1500)), NextShardIterator: "next"}
				answer := &getRecordsAnswer{batch: record.NewBatch(), number: number, behind: 1500 * time.Millisecond, next: "next"}
				if end {
					want.ChildShards, want.NextShardIterator = children, ""
					answer.children, answer.next = children, ""
				}
				for _, r := range records[:n] {
					answer.batch.Add(r)
					number.Position, number.Second = r.Seq, r.Arrived/1e9
					want.Records = append(want.Records, Record{Data: r.Data, SequenceNumber: number.String(), PartitionKey: r.Key,
						ApproximateArrivalTimestamp: new(wire.At(r.ArrivedAt()))})
				}
				size := answer.SizeWire(f)
				got := wire.Append(f, []byte("before"), answer)
				if want := wire.Append(f, []byte("before"), &want); !bytes.Equal(got, want) {
					t.Fatalf("%d records, end %v\ngot  %.2000q\nwant %.2000q", n, end, got, want)
				}
				if len(got) > size {
					t.Errorf("%d records are %d bytes, SizeWire said %d", n, len(got), size)
				}
			}
		}
	}
}

// BenchmarkEncodeGetRecords writes an answer with 1,000 records of 1 KiB.
func BenchmarkEncodeGetRecords(b *testing.B) {
	for f, name := range map[wire.Format]string{wire.JSON: "json", wire.CBOR: "cbor"} {
		b.Run(name, func(b *testing.B) {
			batch := record.NewBatch()
			for i := range 1000 {
				batch.Add(record.Record{Seq: uint64(i), Arrived: 1_790_000_000_123_456_789, Key: fmt.Sprint("partition-key-", i), Data: make([]byte, 1024)})
			}
			dst := make([]byte, 0, 2<<20)
			b.SetBytes(1000 * 1024)
			b.ReportAllocs()
			for b.Loop() {
				dst = appendRecords(f, dst[:0], stream.SequenceNumber{Created: 1_790_000_000}, batch.Records)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(1000*b.N), "ns/record")
			batch.Release()
		})
	}
}
