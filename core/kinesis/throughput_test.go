package kinesis

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/record"
)

// refusedRead says what a read of a shard beyond its limit gets.
const refusedRead = "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012."

func TestAShardIsReadFiveTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Limits: true})
		s.create("s", 2)
		it, other := s.iterator("s", "0", "LATEST"), s.iterator("s", "1", "LATEST")
		for range 5 {
			s.get(it)
		}
		s.refused("GetRecords", doc{"ShardIterator": it}, codeThroughput, refusedRead)
		s.refused("GetRecords", doc{"ShardIterator": it, "DryRun": true}, codeDryRun, errDryRun.Message)
		s.get(other) // has a limit of its own
		for range 10 {
			time.Sleep(200 * time.Millisecond)
			s.get(it)
			s.refused("GetRecords", doc{"ShardIterator": it}, codeThroughput, refusedRead)
		}
		time.Sleep(time.Hour)
		for range 5 { // a pause is worth one second, not an hour
			it = s.iterator("s", "0", "LATEST")
			s.get(it)
		}
		s.refused("GetRecords", doc{"ShardIterator": it}, codeThroughput, refusedRead)
		s.refused("GetShardIterator", doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"}, codeThroughput, refusedRead)
	})
}

func TestALargeAnswerIsPaidForBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Limits: true})
		s.create("s", 1)
		for range 13 {
			must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": make([]byte, 1<<20-1)})
			time.Sleep(time.Second)
		}
		it := s.iterator("s", "0", "TRIM_HORIZON")
		one := doc{"ShardIterator": it, "Limit": 1}
		for range 3 { // 2 MiB/s, and a second's worth more after a pause
			must[GetRecordsOutput](s, "GetRecords", one)
		}
		s.refused("GetRecords", one, codeThroughput, refusedRead)
		time.Sleep(500 * time.Millisecond)
		must[GetRecordsOutput](s, "GetRecords", one)
		time.Sleep(10 * time.Second)
		it = s.iterator("s", "0", "TRIM_HORIZON")
		if n := len(s.get(it).Records); n != 10 {
			t.Fatalf("%d records of 1 MiB in one answer", n)
		}
		for range 5 {
			s.refused("GetRecords", doc{"ShardIterator": it}, codeThroughput, refusedRead)
			time.Sleep(time.Second)
		}
		s.get(it)
	})
}

func TestLimitsOfManyShardsAreForgotten(t *testing.T) {
	l := readLimits{of: map[record.ShardID]*readLimit{}}
	now := time.Now()
	for i := range 100_000 {
		now = now.Add(10 * time.Millisecond)
		if !l.read(record.ShardID(i), now) {
			t.Fatalf("the first read of shard %d is refused", i)
		}
		l.took(record.ShardID(i), now, 1<<20)
	}
	if len(l.of) > 1000 { // 100 have been read within a second
		t.Errorf("%d limits are kept", len(l.of))
	}
}
