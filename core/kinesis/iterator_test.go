package kinesis

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// iterator gets an iterator that needs no more than its type.
func (s *server) iterator(name, shard, kind string) string {
	s.t.Helper()
	return must[GetShardIteratorOutput](s, "GetShardIterator", doc{"StreamName": name, "ShardId": shard, "ShardIteratorType": kind}).ShardIterator
}

func TestIteratorTypes(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Now: clock.now})
	s.create("s", 1)
	start := s.mustKnow("s")
	shard, err := start.Shard(0)
	if err != nil {
		t.Fatal(err)
	}
	times := []time.Time{clock.now()}
	var put []PutRecordsResultEntry
	for _, key := range []string{"a", "b", "c"} {
		put = append(put, s.putAll("s", key)...)
		clock.advance(time.Minute)
		times = append(times, clock.now())
	}
	at := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	for _, c := range []struct {
		in   doc
		want string
	}{
		{doc{"ShardIteratorType": "TRIM_HORIZON"}, "[a b c]"},
		{doc{"ShardIteratorType": "LATEST"}, "[]"},
		{doc{"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": put[1].SequenceNumber}, "[b c]"},
		{doc{"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": put[1].SequenceNumber}, "[c]"},
		{doc{"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": put[2].SequenceNumber}, "[]"},
		{doc{"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": shard.Start.String()}, "[a b c]"},
		{doc{"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": shard.Start.String()}, "[a b c]"},
		{doc{"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": at(times[1])}, "[b c]"},
		{doc{"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": at(times[1].Add(time.Millisecond))}, "[c]"},
		{doc{"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1}, "[a b c]"},
		{doc{"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": at(times[3])}, "[]"},
	} {
		for _, shard := range []string{"shardId-000000000000", "0", "shard-0"} {
			c.in["StreamName"], c.in["ShardId"] = "s", shard
			it := must[GetShardIteratorOutput](s, "GetShardIterator", c.in)
			if got := fmt.Sprint(keys(s.get(it.ShardIterator).Records)); got != c.want {
				t.Errorf("%v: %s, want %s", c.in, got, c.want)
			}
		}
	}
}

func TestIteratorsAreRefused(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Now: clock.now})
	s.create("s", 2)
	s.create("other", 1)
	put, other := s.putAll("s", "a"), s.putAll("other", "a")
	n, err := stream.ParseSequenceNumber(put[0].SequenceNumber)
	if err != nil {
		t.Fatal(err)
	}
	unborn, second := n, n
	unborn.Position++
	second.Created++
	const either = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified "
	invalid := func(n, why string) string {
		return "StartingSequenceNumber " + n + " used in GetShardIterator on shard shardId-000000000000 in stream s under account 123456789012 is invalid" + why + "."
	}
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{"StreamName": "", "ShardIteratorType": "", "ShardId": "", "StartingSequenceNumber": ""}, codeValidation,
			"6 validation errors detected: Value '' at 'shardId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
				"Value '' at 'shardId' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
				"Value '' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]; " +
				`Value '' at 'startingSequenceNumber' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,128}); ` +
				"Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
				"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{doc{}, codeValidation, "2 validation errors detected: Value null at 'shardId' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'shardIteratorType' failed to satisfy constraint: Member must not be null"},
		{doc{"ShardId": "0", "ShardIteratorType": "LATEST"}, codeInvalidArgument, "Either StreamName or StreamARN should be provided."},
		{doc{"StreamName": "none", "ShardId": "0", "ShardIteratorType": "LATEST"}, codeResourceNotFound,
			"Shard shardId-000000000000 in stream none under account 123456789012 does not exist"},
		{doc{"StreamName": "s", "ShardId": "2", "ShardIteratorType": "LATEST"}, codeResourceNotFound,
			"Shard shardId-000000000002 in stream s under account 123456789012 does not exist"},
		{doc{"StreamName": "s", "ShardId": "2147483648", "ShardIteratorType": "LATEST"}, codeResourceNotFound,
			"Could not find shard 2147483648 in stream s under account 123456789012."},
		{doc{"StreamName": "s", "ShardId": "ABKLFD8", "ShardIteratorType": "LATEST"}, codeResourceNotFound,
			"Could not find shard ABKLFD8 in stream s under account 123456789012."},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_SEQUENCE_NUMBER"}, codeInvalidArgument, either + "AT_SEQUENCE_NUMBER and no StartingSequenceNumber."},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST", "StartingSequenceNumber": "5"}, codeInvalidArgument, either + "LATEST and also a StartingSequenceNumber."},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1, "StartingSequenceNumber": "5"}, codeInvalidArgument, either + "AT_TIMESTAMP and also a StartingSequenceNumber."},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_TIMESTAMP"}, codeInvalidArgument,
			"Must specify timestamp parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter."},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": float64(clock.now().Unix()) + 0.001}, codeInvalidArgument,
			fmt.Sprintf("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", clock.now().UnixMilli()+1, clock.now().UnixMilli())},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "5"}, codeInvalidArgument, invalid("5", "")},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": unborn.String()}, codeInvalidArgument, invalid(unborn.String(), "")},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": second.String()}, codeInvalidArgument,
			invalid(second.String(), " because it did not come from this stream")},
		{doc{"StreamName": "s", "ShardId": "1", "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": put[0].SequenceNumber}, codeInvalidArgument,
			"Invalid StartingSequenceNumber. It encodes shardId-000000000000, while it was used in a call to a shard with shardId-000000000001"},
		{doc{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST", "DryRun": true, "StreamId": "x"}, codeDryRun, "The request would have succeeded, but the DryRun parameter was set."},
	} {
		s.refused("GetShardIterator", c.in, c.code, c.message)
	}
	if put[0].SequenceNumber == other[0].SequenceNumber {
		t.Log("streams of the same second have the same numbers, as shards of the service may")
	}
}

// FuzzShardIterators: no string but an iterator is one.
func FuzzShardIterators(f *testing.F) {
	s := newServer(f, Config{})
	s.create("s", 1)
	it := s.iterator("s", "0", "LATEST")
	f.Add("")
	f.Add("AAAAAAAAAAE=")
	f.Add(it[:64])
	f.Add(it + "=")
	f.Add(s.tokens.seal(tokenShards, make([]byte, 60)))
	f.Add(s.tokens.seal(tokenIterator, nil))
	f.Fuzz(func(t *testing.T, token string) {
		_, err := s.getRecords(context.Background(), &GetRecordsInput{ShardIterator: &token})
		if e, ok := err.(*wire.Error); token != it && (!ok || e.Code != codeInvalidArgument) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

// FuzzStartingSequenceNumbers: any number is good for an iterator or gets one of the service's errors.
func FuzzStartingSequenceNumbers(f *testing.F) {
	s := newServer(f, Config{})
	s.create("s", 2)
	k, put := s.mustKnow("s"), s.putAll("s", "a", "b", "c")
	f.Add(put[0].SequenceNumber)
	f.Add(put[1].SequenceNumber)
	f.Add("0")
	f.Add("49590338271490256608559692538361571095921575989136588897")
	f.Add(strings.Repeat("9", 56))
	f.Fuzz(func(t *testing.T, n string) {
		in := GetShardIteratorInput{StreamName: new("s"), ShardId: new("0"), ShardIteratorType: new("AT_SEQUENCE_NUMBER"), StartingSequenceNumber: &n}
		var v violations
		if in.validate(&v); len(v) > 0 {
			return
		}
		out, err := s.getShardIterator(context.Background(), &in)
		if e, ok := err.(*wire.Error); err != nil && (!ok || e.Code != codeInvalidArgument) {
			t.Errorf("%q: %v", n, err)
		}
		if err == nil {
			got, err := s.getRecords(context.Background(), &GetRecordsInput{ShardIterator: &out.ShardIterator})
			if err != nil {
				t.Fatalf("%q: %v", n, err)
			}
			got.batch.Release()
		}
		ordering := k.checkOrdering(n)
		if e, ok := ordering.(*wire.Error); ordering != nil && (!ok || e.Code != codeInvalidArgument) {
			t.Errorf("%q for ordering: %v", n, ordering)
		}
	})
}
