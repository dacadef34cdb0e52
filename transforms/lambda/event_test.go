package lambda

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/arn"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/transforms/lambda/lambdatest"
)

var testEnv = Env{
	Pipeline: "birds", Stream: "sightings", Owner: arn.Owner{Account: "123456789012", Region: "eu-central-1"},
}

func TestAnEventIsWhatFirehoseSends(t *testing.T) {
	env := testEnv
	env.SequenceNumber = func(r *record.Record) string { return fmt.Sprintf("4965%052d", r.Seq) }
	var e event
	recs := []record.Record{{Shard: 7, Seq: 42, Sub: 3, Arrived: 1_700_000_000_123_999_999, Key: "a \"key\"\n\u00e9\u2028", Data: []byte("\x00data")}}
	if n := newWriter(&env).write(&e, recs, 1<<20); n != 1 {
		t.Fatal(n)
	}
	var head struct{ InvocationID string }
	if err := json.Unmarshal(e.text, &head); err != nil || uuid.Validate(head.InvocationID) != nil {
		t.Fatalf("%s: %v", e.text, err)
	}
	want := `{"invocationId":"` + head.InvocationID + `","deliveryStreamArn":"arn:aws:firehose:eu-central-1:123456789012:deliverystream/birds",` +
		`"sourceKinesisStreamArn":"arn:aws:kinesis:eu-central-1:123456789012:stream/sightings","region":"eu-central-1","records":[` +
		`{"recordId":"49650000000000000000000000000000000000000000000000000042000003","approximateArrivalTimestamp":1700000000123,"data":"AGRhdGE=",` +
		`"kinesisRecordMetadata":{"sequenceNumber":"49650000000000000000000000000000000000000000000000000042","subsequenceNumber":3,` +
		`"partitionKey":"a \"key\"\n` + "\u00e9" + `\u2028","shardId":"shardId-000000000007","approximateArrivalTimestamp":1700000000123}}]}` + "\n"
	if string(e.text) != want {
		t.Errorf("got  %s\nwant %s", e.text, want)
	}
	if bytes.Count(e.text, []byte("\n")) != 1 {
		t.Error("the event is more than one line")
	}
}

func TestEventsAreCutToTheirLimits(t *testing.T) {
	w := newWriter(&testEnv)
	size := func(n int) record.Record { return record.Record{Data: make([]byte, n)} }
	for _, c := range []struct {
		limit int
		recs  []record.Record
		want  int
	}{
		{1000, []record.Record{size(400), size(600), size(1)}, 2},
		{1000, []record.Record{size(5000), size(1)}, 1}, // alone, although it is larger
		{1000, []record.Record{size(0), size(0), size(0)}, 3},
		{1000, []record.Record{size(6 << 20)}, 0},
		{10 << 20, []record.Record{size(3 << 20), size(1400 << 10), size(1 << 20)}, 2}, // base64 makes four bytes of three
		{1000, []record.Record{{Key: strings.Repeat("k", 7<<20)}}, 0},
		{1000, []record.Record{{Seq: 1, Data: []byte("a")}, {Seq: 2, Key: strings.Repeat("k", 7<<20)}}, 1},
	} {
		var e event
		n := w.write(&e, c.recs, c.limit)
		if n != c.want {
			t.Errorf("%d records, want %d", n, c.want)
		}
		var back lambdatest.Event
		if err := json.Unmarshal(e.text, &back); err != nil || len(back.Records) != n || len(e.ends) != n {
			t.Errorf("%d records: %v", len(back.Records), err)
		}
		if n > 0 && len(e.text) > MaxPayload {
			t.Errorf("an event of %d bytes", len(e.text))
		}
		for i := range n {
			if back.Records[i].RecordID != string(e.id(i)) {
				t.Errorf("id %s is remembered as %s", back.Records[i].RecordID, e.id(i))
			}
		}
	}
}

func TestLargestRecordThatFits(t *testing.T) {
	w, fits, not := newWriter(&testEnv), 0, MaxPayload
	for not-fits > 1 {
		var e event
		mid := (fits + not) / 2
		if w.write(&e, []record.Record{{Data: make([]byte, mid)}}, 1) == 1 {
			fits = mid
			if len(e.text) > MaxPayload {
				t.Fatalf("%d bytes make an event of %d", mid, len(e.text))
			}
		} else {
			not = mid
		}
	}
	if fits < MaxPayload*3/4-1000 {
		t.Errorf("only %d bytes fit", fits)
	}
}

// Neighbours in one shard and in several, and the outputs of one record, all have ids of their own.
func TestRecordIDsAreUnique(t *testing.T) {
	w, seen := newWriter(&testEnv), map[string]record.Record{}
	var recs []record.Record
	for _, shard := range []record.ShardID{0, 1, 10, 4294967295} {
		for _, seq := range []uint64{0, 1, 9, 10, 99, 1 << 63} {
			for _, sub := range []uint32{0, 1, 10, 999_999, 1_000_000, 4294967295} {
				recs = append(recs, record.Record{Shard: shard, Seq: seq, Sub: sub})
			}
		}
	}
	var e event
	if n := w.write(&e, recs, 1<<20); n != len(recs) {
		t.Fatal(n)
	}
	for i, r := range recs {
		if other, twice := seen[string(e.id(i))]; twice {
			t.Errorf("%+v and %+v have the id %s", r, other, e.id(i))
		}
		seen[string(e.id(i))] = r
	}
}
