package kinesis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// putAll puts records of 10 bytes with these keys, all of which must be stored.
func (s *server) putAll(name string, keys ...string) []PutRecordsResultEntry {
	s.t.Helper()
	var records []doc
	for _, key := range keys {
		records = append(records, doc{"Data": []byte("data of " + key), "PartitionKey": key})
	}
	out := must[PutRecordsOutput](s, "PutRecords", doc{"StreamName": name, "Records": records})
	if *out.FailedRecordCount != 0 || len(out.Records) != len(keys) {
		s.t.Fatalf("put of %d records: %+v", len(keys), out)
	}
	return out.Records
}

// mustKnow returns a stream as the API knows it.
func (s *server) mustKnow(name string) *known {
	s.t.Helper()
	k, err := s.known(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func TestPutsGoWhereTheirKeysBelong(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 3)
	const last = "340282366920938463463374607431768211455"
	for _, c := range []struct{ key, explicit, shard string }{
		{"a", "", "shardId-000000000000"}, // the MD5 of a begins with 0c
		{"a", "0", "shardId-000000000000"},
		{"a", "226854911280625642308916404954512140969", "shardId-000000000001"},
		{"a", "226854911280625642308916404954512140970", "shardId-000000000002"},
		{"a", last, "shardId-000000000002"},
	} {
		in := doc{"StreamName": "s", "PartitionKey": c.key, "Data": []byte{}}
		entry := doc{"PartitionKey": c.key, "Data": []byte("d")}
		if c.explicit != "" {
			in["ExplicitHashKey"], entry["ExplicitHashKey"] = c.explicit, c.explicit
		}
		one := must[PutRecordOutput](s, "PutRecord", in)
		all := must[PutRecordsOutput](s, "PutRecords", doc{"StreamARN": s.streamARN("s"), "Records": []doc{entry, entry}})
		if one.ShardId != c.shard || all.Records[0].ShardId != c.shard || *all.FailedRecordCount != 0 {
			t.Errorf("explicit hash key %q: shards %s and %s, want %s", c.explicit, one.ShardId, all.Records[0].ShardId, c.shard)
		}
		if one.EncryptionType != "" || all.EncryptionType != "" {
			t.Error("an EncryptionType for a stream that is not encrypted")
		}
		numbers := []string{one.SequenceNumber, all.Records[0].SequenceNumber, all.Records[1].SequenceNumber}
		if len(numbers[0]) != 56 || numbers[0] >= numbers[1] || numbers[1] >= numbers[2] {
			t.Errorf("sequence numbers %v do not ascend", numbers)
		}
	}
	tooLarge := "340282366920938463463374607431768211456"
	text := "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was " + tooLarge
	s.refused("PutRecord", doc{"StreamName": "s", "PartitionKey": "a", "Data": []byte{}, "ExplicitHashKey": tooLarge}, codeInvalidArgument, text)
	s.refused("PutRecords", doc{"StreamName": "s", "Records": []doc{{"PartitionKey": "a", "Data": []byte{}, "ExplicitHashKey": tooLarge}}}, codeInvalidArgument, text)
}

func TestPutsNameAllTheirViolations(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	const hashPattern = `satisfy regular expression pattern: 0|([1-9]\d{0,38})`
	name, key := strings.Repeat("n", 129), strings.Repeat("ü", 257)
	say := func(value, path, constraint string) string {
		return fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", value, path, constraint)
	}
	for _, c := range []struct {
		operation string
		in        doc
		want      []string
	}{
		{"PutRecord", doc{"StreamName": "s"}, []string{say("null", "data", "not be null")}},
		{"PutRecord", doc{"StreamName": "", "PartitionKey": "", "Data": []byte{}, "ExplicitHashKey": "", "SequenceNumberForOrdering": ""}, []string{
			say("''", "sequenceNumberForOrdering", `satisfy regular expression pattern: 0|([1-9]\d{0,128})`),
			say("''", "partitionKey", "have length greater than or equal to 1"),
			say("''", "explicitHashKey", hashPattern),
			say("''", "streamName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
			say("''", "streamName", "have length greater than or equal to 1"),
		}},
		{"PutRecord", doc{"StreamName": name, "PartitionKey": key, "ExplicitHashKey": "01", "Data": make([]byte, 10<<20+1)}, []string{
			say("'"+key+"'", "partitionKey", "have length less than or equal to 256"),
			say("'01'", "explicitHashKey", hashPattern),
			say("'java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]'", "data", "have length less than or equal to 10485760"),
			say("'"+name+"'", "streamName", "have length less than or equal to 128"),
		}},
		{"PutRecords", doc{}, []string{say("null", "records", "not be null")}},
		{"PutRecords", doc{"Records": []doc{}, "StreamName": "/"}, []string{
			say("'[]'", "records", "have length greater than or equal to 1"),
			say("'/'", "streamName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
		}},
		{"PutRecords", doc{"Records": make([]doc, 501), "StreamName": "s"}, []string{say("'[501 records]'", "records", "have length less than or equal to 500")}},
		{"PutRecords", doc{"StreamName": "s", "Records": []doc{
			{"PartitionKey": "k", "Data": []byte{}}, {}, {"PartitionKey": "", "ExplicitHashKey": "x", "Data": []byte{}}, {"PartitionKey": key, "Data": []byte("d")},
		}}, []string{
			say("null", "records.2.member.data", "not be null"),
			say("''", "records.3.member.partitionKey", "have length greater than or equal to 1"),
			say("'x'", "records.3.member.explicitHashKey", hashPattern),
			say("'"+key+"'", "records.4.member.partitionKey", "have length less than or equal to 256"),
		}},
		// That a partition key is needed, and how large a record may be, is the stream's to say.
		{"PutRecord", doc{"StreamName": "s", "Data": []byte("d")}, []string{say("null", "partitionKey", "not be null")}},
		{"PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": make([]byte, 1<<20+1)}, []string{
			say("'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]'", "data", "have length less than or equal to 1048576"),
		}},
		{"PutRecords", doc{"StreamName": "s", "Records": []doc{{"Data": []byte("d")}, {"PartitionKey": "k", "Data": make([]byte, 1<<20+1)}, {"Data": []byte("d")}}}, []string{
			say("null", "records.1.member.partitionKey", "not be null"),
			say("'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]'", "records.2.member.data", "have length less than or equal to 1048576"),
			say("null", "records.3.member.partitionKey", "not be null"),
		}},
	} {
		plural := ""
		if len(c.want) > 1 {
			plural = "s"
		}
		s.refused(c.operation, c.in, codeValidation, fmt.Sprintf("%d validation error%s detected: %s", len(c.want), plural, strings.Join(c.want, "; ")))
	}
	exact := strings.Repeat("ü", 256) // 256 characters are 512 bytes
	must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": exact, "Data": []byte{}})
}

func TestPutsAreRefusedBySize(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 2)
	data := make([]byte, 1<<20-1)
	must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": data})
	s.refused("PutRecord", doc{"StreamName": "s", "PartitionKey": "ke", "Data": data}, codeInvalidArgument,
		"Record of 1048577 bytes, partition key included, exceeds the limit of 1048576 bytes of stream s under account 123456789012.")
	err := s.mustKnow("s").Update(context.Background(), func(c *stream.Config) error {
		c.MaxRecordSize = 3 << 20
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	three := make([]byte, 3<<20-1)
	must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": three})
	records := []doc{{"PartitionKey": "k", "Data": three}, {"PartitionKey": "k", "Data": three}, {"PartitionKey": "k", "Data": three}, {"PartitionKey": "k", "Data": data}}
	must[PutRecordsOutput](s, "PutRecords", doc{"StreamName": "s", "Records": records})
	records = append(records, doc{"PartitionKey": "k", "Data": []byte{}})
	s.refused("PutRecords", doc{"StreamName": "s", "Records": records}, codeInvalidArgument, "Records size exceeds 10 MB limit")
}

func TestPutsToStreamsThatAreNotThere(t *testing.T) {
	s := newServer(t, Config{})
	for _, operation := range []string{"PutRecord", "PutRecords"} {
		in := doc{"PartitionKey": "k", "Data": []byte{}, "Records": []doc{{"PartitionKey": "k", "Data": []byte{}}}}
		s.refused(operation, in, codeInvalidArgument, "Either StreamName or StreamARN should be provided.")
		in["StreamName"] = "none"
		s.refused(operation, in, codeResourceNotFound, "Stream none under account 123456789012 not found.")
		delete(in, "StreamName")
		in["StreamARN"] = "arn:aws:kinesis:us-east-1:999999999999:stream/none"
		s.refused(operation, in, codeResourceNotFound, "Stream none under account 999999999999 not found.")
	}
}

func TestDryRunsOfPutsStoreNothing(t *testing.T) {
	s := newServer(t, Config{Limits: true})
	s.create("s", 1)
	for range 1001 { // more than the shard takes: they do not count
		s.refused("PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "Data": []byte{}, "DryRun": true, "StreamId": "ignored"}, codeDryRun,
			"The request would have succeeded, but the DryRun parameter was set.")
	}
	s.refused("PutRecords", doc{"StreamName": "s", "Records": []doc{{"PartitionKey": "k", "Data": []byte{}}}, "DryRun": true}, codeDryRun,
		"The request would have succeeded, but the DryRun parameter was set.")
	s.refused("PutRecord", doc{"StreamName": "none", "PartitionKey": "k", "Data": []byte{}, "DryRun": true}, codeResourceNotFound,
		"Stream none under account 123456789012 not found.")
	if st, _ := s.mustKnow("s").Log().State(0); st.Next != 1 {
		t.Errorf("a dry run has stored %d records", st.Next-1)
	}
}

func TestAutomaticDistributionNeedsNoKeys(t *testing.T) {
	s := newServer(t, Config{})
	must[any](s, "CreateStream", doc{"StreamName": "s", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
	k := s.mustKnow("s")
	if err := k.update(context.Background(), func(m *meta) error { m.AutoDistribution = true; return nil }); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for range 10 {
		one := must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "Data": []byte("d"), "PartitionKey": "ignored"})
		all := must[PutRecordsOutput](s, "PutRecords", doc{"StreamName": "s", "Records": []doc{{"Data": []byte("a")}, {"Data": []byte("b"), "ExplicitHashKey": "0", "PartitionKey": "k"}, {"Data": []byte("c")}}})
		for _, shard := range []string{one.ShardId, all.Records[0].ShardId, all.Records[1].ShardId, all.Records[2].ShardId} {
			count[shard]++
		}
	}
	for shard, n := range count {
		if n != 10 || len(count) != 4 {
			t.Fatalf("%s got %d of 40 records: %v", shard, n, count)
		}
	}
	got := must[map[string]any](s, "GetRecords", doc{"ShardIterator": s.iterator("s", "0", "TRIM_HORIZON")})
	for _, r := range got["Records"].([]any) {
		if _, ok := r.(map[string]any)["PartitionKey"]; ok {
			t.Fatalf("a partition key that does not matter is returned: %v", r)
		}
	}
	err := k.Update(t.Context(), func(c *stream.Config) error { // as a pipeline's file may
		c.Mode = stream.Provisioned
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.refused("PutRecord", doc{"StreamName": "s", "Data": []byte("d")}, codeValidation,
		"1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null")
}

func TestSequenceNumbersForOrdering(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Now: clock.now})
	s.create("s", 2)
	before := s.putAll("s", "a", "b", "a", "b")
	put := func(n string) string {
		return must[PutRecordOutput](s, "PutRecord", doc{"StreamName": "s", "PartitionKey": "a", "Data": []byte{}, "SequenceNumberForOrdering": n}).SequenceNumber
	}
	last := before[2].SequenceNumber
	for range 5 {
		next := put(last)
		if next <= last {
			t.Fatalf("%s after %s", next, last)
		}
		last = next
	}
	put(before[1].SequenceNumber)                                   // of another shard
	put("49590338271490256608559692538361571095921575989136588898") // of another stream, years ago
	n, err := stream.ParseSequenceNumber(last)
	if err != nil {
		t.Fatal(err)
	}
	future, unborn, end := n, n, n
	future.Shard, future.Second = 9, clock.now().Unix()+2
	unborn.Position += 10
	end.Position = stream.EndPosition
	for _, bad := range []string{"0", "5", "1" + last, future.String(), unborn.String(), end.String()} {
		s.refused("PutRecord", doc{"StreamName": "s", "PartitionKey": "a", "Data": []byte{}, "SequenceNumberForOrdering": bad}, codeInvalidArgument,
			"ExclusiveMinimumSequenceNumber "+bad+" used in PutRecord on stream s under account 123456789012 is invalid.")
	}
}

func TestShardsRefuseWhatIsBeyondTheirLimit(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Now: clock.now, Limits: true})
	s.create("s", 2)
	refused := PutRecordsResultEntry{ErrorCode: codeThroughput,
		ErrorMessage: "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012."}
	put := func(n int, size int) (stored int) {
		t.Helper()
		var records []doc
		for range n {
			records = append(records, doc{"PartitionKey": "k", "ExplicitHashKey": "0", "Data": make([]byte, size)})
		}
		// Between those of a shard that refuses, the records of another one are stored.
		elsewhere := n / 2
		records = slices.Insert(records, elsewhere, doc{"PartitionKey": "k", "ExplicitHashKey": "340282366920938463463374607431768211455", "Data": []byte{}})
		out := must[PutRecordsOutput](s, "PutRecords", doc{"StreamName": "s", "Records": records})
		failed := 0
		for i, r := range out.Records {
			switch {
			case i == elsewhere && r.ShardId != "shardId-000000000001", i != elsewhere && r.ShardId != "shardId-000000000000" && r != refused:
				t.Fatalf("record %d: %+v", i, r)
			case r.ErrorCode != "":
				failed++
			}
		}
		if int(*out.FailedRecordCount) != failed {
			t.Fatalf("FailedRecordCount is %d, but %d records have errors", *out.FailedRecordCount, failed)
		}
		return n - failed
	}
	if got := put(12, 100<<10-1); got != 10 { // 10 of 100 KiB, keys included, and 24 KiB are left
		t.Errorf("%d records of 100 KiB at once, want 10", got)
	}
	s.refused("PutRecord", doc{"StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": "1", "Data": make([]byte, 50<<10)}, codeThroughput, refused.ErrorMessage)
	clock.advance(time.Second)
	if got := put(250, 1) + put(250, 1) + put(250, 1) + put(240, 1); got != 990 {
		t.Errorf("%d small records at once, want 990", got)
	}
	if got := put(20, 1); got != 10 {
		t.Errorf("%d more small records, want 10", got)
	}
	clock.advance(100 * time.Millisecond)
	if got := put(250, 0); got != 100 {
		t.Errorf("%d small records in the next 100 ms, want 100", got)
	}
}

func TestNothingIsLimitedWhenLimitsAreOff(t *testing.T) {
	s := newServer(t, Config{Now: newClock().now})
	s.create("s", 1)
	err := s.mustKnow("s").Update(context.Background(), func(c *stream.Config) error { // as a pipeline's file may have it
		c.WriteLimit = stream.KinesisWriteLimit
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		out := must[PutRecordsOutput](s, "PutRecords", doc{"StreamName": "s", "Records": []doc{{"PartitionKey": "k", "Data": make([]byte, 1<<20-1)}, {"PartitionKey": "k", "Data": make([]byte, 1<<20-1)}}})
		if *out.FailedRecordCount != 0 {
			t.Fatal(out)
		}
	}
	for range 12 {
		must[GetRecordsOutput](s, "GetRecords", doc{"ShardIterator": s.iterator("s", "0", "TRIM_HORIZON")})
	}
}

func TestRecordsGoInAndOutInActiveAndUpdatingStreamsOnly(t *testing.T) {
	bubble(t, Config{Transition: time.Minute}, func(t *testing.T, s *server) {
		notFound, noShard := "Stream s under account 123456789012 not found.", "Shard shardId-000000000000 in stream s under account 123456789012 does not exist"
		put := doc{"StreamName": "s", "Records": []doc{{"PartitionKey": "k", "Data": []byte{}}}, "PartitionKey": "k", "Data": []byte{}}
		latest := doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"}
		refused := func() {
			t.Helper()
			s.refused("PutRecord", put, codeResourceNotFound, notFound)
			s.refused("PutRecords", put, codeResourceNotFound, notFound)
			s.refused("GetShardIterator", latest, codeResourceNotFound, noShard)
		}
		s.create("s", 1)
		refused()
		time.Sleep(2 * time.Minute)
		must[any](s, "UpdateStreamMode", doc{"StreamARN": s.streamARN("s"), "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
		if got := s.status("s"); got != "UPDATING" {
			t.Fatalf("the stream is %s", got)
		}
		it := s.iterator("s", "0", "LATEST")
		s.putAll("s", "a")
		if got := s.get(it); len(got.Records) != 1 {
			t.Errorf("%d records", len(got.Records))
		}
		time.Sleep(2 * time.Minute)
		must[any](s, "DeleteStream", doc{"StreamName": "s"})
		refused()
		s.refused("GetRecords", doc{"ShardIterator": it}, codeResourceNotFound, noShard)
		time.Sleep(2 * time.Minute)
	})
}

// What a put needs beside its body and the log's block is used again.
func TestAPutAllocatesForItsRequestAndNotForItsRecords(t *testing.T) {
	s := newServer(t, Config{})
	s.create("bench", 64)
	k := s.mustKnow("bench")
	for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
		body := benchBody(f)
		memory, dst := make([]byte, len(body)), make([]byte, 0, 1<<17)
		allocs := testing.AllocsPerRun(50, func() {
			copy(memory, body)
			var in PutRecordsInput
			if err := in.DecodeWire(f, memory); err != nil {
				t.Fatal(err)
			}
			if err := k.fill(in.memory, in.Records, memberPath); err != nil {
				t.Fatal(err)
			}
			in.memory.results = slices.Grow(in.memory.results, len(in.Records))[:len(in.Records)]
			wire.Append(f, dst, &putRecordsAnswer{memory: in.memory, refusal: k.refusal})
		})
		if allocs > 20+0.05*500 {
			t.Errorf("a put of 500 records takes %g allocations", allocs)
		}
	}
}

// BenchmarkPutRecords answers PutRecords of 500 records of 1 KiB over a file system in memory.
func BenchmarkPutRecords(b *testing.B) {
	for f, name := range map[wire.Format]string{wire.JSON: "json", wire.CBOR: "cbor"} {
		b.Run(name, func(b *testing.B) {
			s := newServer(b, Config{})
			s.create("bench", 64)
			body := benchBody(f)
			memory, dst := make([]byte, len(body)), make([]byte, 0, 1<<17)
			put := s.ops["PutRecords"]
			b.SetBytes(500 * 1024)
			b.ReportAllocs()
			for b.Loop() {
				copy(memory, body)
				out, err := put(context.Background(), &wire.Request{Operation: "PutRecords", Format: f, Body: memory})
				if err != nil {
					b.Fatal(err)
				}
				dst = wire.Append(f, dst[:0], out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(500*b.N), "ns/record")
		})
	}
}
