package kinesis

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

// get reads once.
func (s *server) get(iterator string) GetRecordsOutput {
	s.t.Helper()
	return must[GetRecordsOutput](s, "GetRecords", doc{"ShardIterator": iterator})
}

// keys are the partition keys of records.
func keys(records []Record) (keys []string) {
	for _, r := range records {
		keys = append(keys, r.PartitionKey)
	}
	return keys
}

func TestReadersGetWhatWasPut(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Now: clock.now})
	s.create("s", 1)
	latest := s.iterator("s", "shardId-000000000000", "LATEST")
	put := s.putAll("s", "a", "b", "ü\"\n")
	clock.advance(1500 * time.Millisecond)
	put = append(put, s.putAll("s", "c")...)
	got := s.get(s.iterator("s", "shardId-000000000000", "TRIM_HORIZON"))
	if len(got.Records) != 4 || *got.MillisBehindLatest != 0 || got.ChildShards != nil {
		t.Fatalf("%+v", got)
	}
	for i, r := range got.Records {
		if r.SequenceNumber != put[i].SequenceNumber || string(r.Data) != "data of "+r.PartitionKey || r.EncryptionType != "" {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if got := fmt.Sprint(keys(got.Records)); got != "[a b ü\"\n c]" {
		t.Error(got)
	}
	if d := got.Records[3].ApproximateArrivalTimestamp.Sub(got.Records[0].ApproximateArrivalTimestamp.Time); d != 1500*time.Millisecond {
		t.Errorf("the last record arrived %v after the first", d)
	}
	// LATEST is from when it was made, not from when it is used, and a limit leaves some behind.
	few := must[GetRecordsOutput](s, "GetRecords", doc{"ShardIterator": latest, "Limit": 3, "StreamARN": s.streamARN("s")})
	if fmt.Sprint(keys(few.Records)) != "[a b ü\"\n]" || *few.MillisBehindLatest != 1500 {
		t.Errorf("%v, %d ms behind", keys(few.Records), *few.MillisBehindLatest)
	}
	seen := map[string]bool{latest: true}
	for next := few.NextShardIterator; len(seen) < 5; next = got.NextShardIterator {
		if got = s.get(next); len(got.Records) != 0 && len(seen) > 1 || seen[got.NextShardIterator] {
			t.Fatalf("%+v", got)
		}
		seen[got.NextShardIterator] = true
	}
}

func TestAnAnswerHasTenMiBAtMost(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	for range 6 {
		for range 2 {
			must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": make([]byte, 1<<20-1)})
		}
	}
	got := s.get(s.iterator("s", "0", "TRIM_HORIZON"))
	rest := s.get(got.NextShardIterator)
	if len(got.Records) != 10 || len(rest.Records) != 2 {
		t.Errorf("%d records of 1 MiB in the first answer and %d in the second, want 10 and 2", len(got.Records), len(rest.Records))
	}
	must[any](s, "UpdateMaxRecordSize", doc{"StreamARN": s.streamARN("s"), "MaxRecordSizeInKiB": 10 << 10})
	for _, size := range []int{100 << 10, 10<<20 - 1, 1} { // one that is as large as an answer may be comes alone
		must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": make([]byte, size)})
	}
	it := rest.NextShardIterator
	for _, want := range []int{100 << 10, 10<<20 - 1, 1} {
		if got = s.get(it); len(got.Records) != 1 || len(got.Records[0].Data) != want {
			t.Fatalf("%d records, want one of %d bytes", len(got.Records), want)
		}
		it = got.NextShardIterator
	}
}

// A large answer needs memory; without it, readers get less at a time, but they get on.
func TestReadersGetLessWhenMemoryIsShort(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	for range 4 {
		for range 3 {
			must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": make([]byte, 100<<10)})
		}
		must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "large", "Data": make([]byte, 1<<20-5)})
	}
	k := s.mustKnow("s")
	at, err := k.Iterator(context.Background(), 0, stream.StartingPosition{})
	if err != nil {
		t.Fatal(err)
	}
	read := func(memory int64) (counts []int) {
		for at, done := at, 0; done < 16; done += counts[len(counts)-1] {
			batch := record.NewBatch()
			res, err := k.read(context.Background(), at, nil, func(_ context.Context, n int64) error {
				if n > memory {
					return errors.New("no memory")
				}
				return nil
			}, batch)
			if err != nil || batch.Len() == 0 {
				t.Fatal(err)
			}
			counts, at = append(counts, batch.Len()), res.Next
			batch.Release()
		}
		return counts
	}
	if got := fmt.Sprint(read(1 << 30)); got != "[16]" {
		t.Errorf("with memory: %s", got)
	}
	if got := fmt.Sprint(read(0)); got != "[2 1 1 2 1 1 2 1 1 2 1 1]" {
		t.Errorf("without memory: %s", got)
	}
}

func TestGetRecordsIsRefused(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Now: clock.now})
	s.create("s", 2)
	s.create("other", 1)
	s.putAll("s", "a")
	it := s.iterator("s", "0", "TRIM_HORIZON")
	damaged := []byte(it)
	damaged[40] ^= 1
	long := strings.Repeat("a", 513)
	const invalid = "Invalid ShardIterator."
	raw, err := base64.StdEncoding.DecodeString(it)
	if err != nil || len(raw)%16 != 8 || !bytes.Equal(raw[:8], []byte{0, 0, 0, 0, 0, 0, 0, 1}) {
		t.Errorf("an iterator looks like % x, unlike the service's", raw)
	}
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{}, codeValidation, "1 validation error detected: Value null at 'shardIterator' failed to satisfy constraint: Member must not be null"},
		{doc{"ShardIterator": "", "Limit": 0}, codeValidation, "2 validation errors detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
			"Value '' at 'shardIterator' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{doc{"ShardIterator": long, "Limit": 100000}, codeValidation, "2 validation errors detected: Value '100000' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000; " +
			"Value '" + long + "' at 'shardIterator' failed to satisfy constraint: Member must have length less than or equal to 512"},
		{doc{"ShardIterator": "abc"}, codeInvalidArgument, invalid},
		{doc{"ShardIterator": string(damaged)}, codeInvalidArgument, invalid},
		{doc{"ShardIterator": s.tokens.seal(tokenShards, make([]byte, 40))}, codeInvalidArgument, invalid},
		{doc{"ShardIterator": it, "StreamARN": s.streamARN("other")}, codeInvalidArgument, "The ShardIterator does not belong to the stream with StreamARN " + s.streamARN("other") + "."},
		{doc{"ShardIterator": it, "DryRun": true}, codeDryRun, "The request would have succeeded, but the DryRun parameter was set."},
	} {
		s.refused("GetRecords", c.in, c.code, c.message)
	}
	clock.advance(5 * time.Minute)
	next := s.get(it).NextShardIterator // five minutes are good still
	clock.advance(time.Second)
	s.refused("GetRecords", doc{"ShardIterator": it}, codeExpiredIterator, "Iterator expired. The iterator was created at time Sun Nov 22 00:00:00 UTC 2026 while "+
		"right now it is Sun Nov 22 00:05:01 UTC 2026 which is further in the future than the tolerated delay of 300000 milliseconds.")
	s.restart()
	s.get(next) // iterators outlive the process
	must[any](s, "DeleteStream", doc{"StreamName": "s"})
	gone := "Shard shardId-000000000000 in stream s under account 123456789012 does not exist"
	s.refused("GetRecords", doc{"ShardIterator": next}, codeResourceNotFound, gone)
	s.create("s", 1)
	s.refused("GetRecords", doc{"ShardIterator": next}, codeResourceNotFound, gone)
}

func TestReadersOfRecordsThatHaveExpiredGoOnWithTheOldestThereAre(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.create("s", 1)
		old := s.putAll("s", "old")
		data := make([]byte, 300<<10)
		for range 48 { // segments go as a whole, one after the other
			must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": data})
			time.Sleep(time.Hour)
		}
		after := doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": old[0].SequenceNumber}
		it := must[GetShardIteratorOutput](s, "GetShardIterator", after).ShardIterator
		if got := s.get(it).Records; len(got) < 24 || len(got) > 30 || got[0].PartitionKey != "k" {
			t.Errorf("%d records of one an hour, after 48 hours with a retention of 24", len(got))
		}
	})
}

// Records are put while shards split and merge; readers that start at the first shards and go on with the children get
// each acked record once, those of a key in order, and a child is offered by both of its parents.
func TestReadersFollowChildShards(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := newServer(t, Config{})
	s.create("s", 2)
	k := s.mustKnow("s")
	acked := map[string][]string{} // by key, the data
	rounds := testenv.Count(60, 400)
	for round := range rounds {
		var records []doc
		for i := range 1 + rng.IntN(20) {
			records = append(records, doc{"PartitionKey": fmt.Sprint("key ", rng.IntN(30)), "Data": fmt.Appendf(nil, "%d/%d", round, i)})
		}
		out := must[PutRecordsOutput](s, "PutRecords", doc{"StreamName": "s", "Records": records})
		for i, r := range out.Records {
			if r.ErrorCode != "" {
				t.Fatalf("%+v", r)
			}
			key := records[i]["PartitionKey"].(string)
			acked[key] = append(acked[key], string(records[i]["Data"].([]byte)))
		}
		if rng.IntN(5) > 0 {
			continue
		}
		if err := k.UpdateShardCount(context.Background(), 1+rng.IntN(6)); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.UpdateShardCount(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	offered := map[string]int{} // how often a shard was among the children of one that ended
	wanted := map[string]int{}
	open, done := []string{"shardId-000000000000", "shardId-000000000001"}, 0
	for ; len(open) > 0; open = open[1:] {
		done++
		it := s.iterator("s", open[0], "TRIM_HORIZON")
		for it != "" {
			answer := must[GetRecordsOutput](s, "GetRecords", doc{"ShardIterator": it, "Limit": 1 + rng.IntN(10)})
			for _, r := range answer.Records {
				got[r.PartitionKey] = append(got[r.PartitionKey], string(r.Data))
			}
			if answer.NextShardIterator == "" && len(answer.ChildShards) == 0 || answer.NextShardIterator != "" && len(answer.ChildShards) > 0 {
				t.Fatalf("%s: %+v", open[0], answer)
			}
			for _, c := range answer.ChildShards {
				wanted[c.ShardId] = len(c.ParentShards)
				if offered[c.ShardId]++; offered[c.ShardId] == len(c.ParentShards) { // all parents have been read
					open = append(open, c.ShardId)
				}
			}
			if it = answer.NextShardIterator; len(answer.Records) == 0 && it != "" && *answer.MillisBehindLatest == 0 {
				break // the end of the last shard
			}
		}
	}
	shards, err := k.Shards()
	if err != nil {
		t.Fatal(err)
	}
	if done != len(shards) {
		t.Errorf("%d of %d shards were read", done, len(shards))
	}
	for id, n := range wanted {
		if offered[id] != n {
			t.Errorf("%s was offered by %d of its %d parents", id, offered[id], n)
		}
	}
	for key, want := range acked {
		if !slices.Equal(got[key], want) {
			t.Errorf("%s: read %v, acked %v", key, got[key], want)
		}
	}
}

// BenchmarkGetRecords answers GetRecords of 1,000 records of 1 KiB over a file system in memory.
func BenchmarkGetRecords(b *testing.B) {
	for f, name := range map[wire.Format]string{wire.JSON: "json", wire.CBOR: "cbor"} {
		b.Run(name, func(b *testing.B) {
			s := newServer(b, Config{})
			s.create("bench", 1)
			for range 20 {
				if _, err := s.ops["PutRecords"](context.Background(), &wire.Request{Body: benchBody(wire.JSON)}); err != nil {
					b.Fatal(err)
				}
			}
			it := s.iterator("bench", "0", "TRIM_HORIZON")
			body := wire.Append(f, nil, &GetRecordsInput{ShardIterator: &it, Limit: new(int32(1000))})
			var dst []byte
			b.SetBytes(1000 * 1024)
			b.ReportAllocs()
			for b.Loop() {
				out, err := s.ops["GetRecords"](context.Background(), &wire.Request{Format: f, Body: body})
				if err != nil {
					b.Fatal(err)
				}
				dst = wire.Append(f, dst[:0], out)
			}
			if len(dst) < 1000*1024 {
				b.Fatalf("an answer of %d bytes", len(dst))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(1000*b.N), "ns/record")
		})
	}
}
