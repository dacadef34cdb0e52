package delivery

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

func TestDeadLettersAsTheyAreWritten(t *testing.T) {
	arrived := time.Date(2026, 11, 1, 12, 30, 15, 123456789, time.UTC)
	number := func(r *record.Record) string { return fmt.Sprintf("4965%016d", r.Seq) }
	letter := deadLetter{
		pipeline: "birdstrikes", sink: "archive", stage: "csv-to-json", code: "csv.too_short", reason: `3 columns, want 12: "a,b,c" <x>`,
		moduleDigest: "sha256:5fd924625f6ab16a19cc9807c7c506ae1813490e4ba675f843d5a10e0baacdb8", at: arrived.Add(1500 * time.Millisecond),
	}
	var got []byte
	for _, r := range []record.Record{
		{Shard: 2, Seq: 17, Arrived: arrived.UnixNano(), Key: "DELTA AIR LINES", Data: []byte("a,b,c")},
		{Shard: 0, Seq: 1, Sub: 3, Arrived: arrived.UnixNano(), Key: "binary", Data: []byte{0, 0xff, '\n', 0x80}},
		{Shard: 1, Seq: 2, Arrived: arrived.UnixNano(), Key: "k\xff\xfey", Data: []byte{}},
	} {
		got = letter.append(got, &r, number)
	}
	letter.stage, letter.moduleDigest = "", "" // it was the layout or the format
	got = letter.append(got, &record.Record{Seq: 3, Arrived: arrived.UnixNano(), Key: "käse\n", Data: []byte("käse")}, number)
	if want := testdata(t, "deadletters.golden"); string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for line := range strings.Lines(string(got)) {
		if !json.Valid([]byte(line)) || !utf8.ValidString(line) || strings.Count(line, "\n") != 1 {
			t.Errorf("%q is not a line of JSON", line)
		}
	}
}

// A record that a stage failed and one that has no place are dead with what they were when they arrived.
func TestDeadInputsKeepTheirOriginalData(t *testing.T) {
	w := newWorld(t, 2)
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "to-keys", Transform: toKeys{}, Digest: "sha256:00"})
	w.cfg.Source.SequenceNumber = func(r *record.Record) string { return fmt.Sprintf("seq-%d", r.Seq) }
	w.put(0, "first", "good:20", "fail")
	w.put(1, "second", "good:20 bad:10")
	w.deliverAll()
	var got []string
	for _, line := range w.dead.lines(t) {
		var l struct {
			AttemptsMade                             int
			ErrorCode, ErrorMessage, RawData         string
			Pipeline, Sink, Stage                    string
			ShardID, SequenceNumber, PartitionKey    string
			ModuleDigest                             string
			ArrivalTimestamp, AttemptEndingTimestamp int64
		}
		d := json.NewDecoder(strings.NewReader(line))
		w.must(d.Decode(&l))
		raw, err := base64.StdEncoding.DecodeString(l.RawData)
		w.must(err)
		now := time.Now().UnixMilli()
		if l.ArrivalTimestamp > now || l.ArrivalTimestamp < now-60_000 || l.AttemptEndingTimestamp < l.ArrivalTimestamp || l.AttemptsMade != 1 {
			t.Errorf("%s", line)
		}
		got = append(got, fmt.Sprintf("%s %s %q %s/%s/%s %s %s %s %s", l.ErrorCode, l.ErrorMessage, raw, l.Pipeline, l.Sink, l.Stage,
			l.ShardID, l.SequenceNumber, l.PartitionKey, l.ModuleDigest))
	}
	want := []string{
		`test.failed told to "fail" p/s/to-keys shardId-000000000000 seq-2 first sha256:00`,
		`test.no_group no group "good:20 bad:10" p/s/ shardId-000000000001 seq-1 second `,
	}
	if missing, extra := less(want, got), less(got, want); len(missing)+len(extra) > 0 {
		t.Errorf("missing %q, too much %q", missing, extra)
	}
	for key := range w.dead.contents(t) {
		if !strings.HasPrefix(key, "processing-failed/") {
			t.Errorf("a dead letter is at %s", key)
		}
	}
	if c := w.holds(); c.Dead != 2 || c.Delivered != 1 {
		t.Errorf("%+v", c)
	}
}
