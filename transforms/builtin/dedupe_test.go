package builtin_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/builtin"
)

// fates gives a transform records in one batch, and returns a letter for each: k for kept, d for dropped, f for failed.
func fates(t testing.TB, tr stage.Transform, records ...record.Record) string {
	t.Helper()
	in := record.NewBatch()
	defer in.Release()
	for _, r := range records {
		in.Add(r)
	}
	out := new(stage.Output)
	out.Reset()
	if err := tr.Apply(context.Background(), in, out); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range out.Results {
		b.WriteByte("kkdf"[out.Results[i].Status])
	}
	return b.String()
}

func rec(shard record.ShardID, seq uint64, at time.Duration, data string) record.Record {
	return record.Record{Shard: shard, Seq: seq, Arrived: int64(at), Key: "k" + data, Data: []byte(data)}
}

func TestOnlyTheFirstRecordWithAKeyPasses(t *testing.T) {
	tr := open(t, "dedupe", "{}")
	if got := fates(t, tr, rec(0, 1, 0, "a"), rec(0, 2, 0, "b"), rec(0, 3, 0, "a"), rec(1, 1, 0, "a"), rec(1, 2, 0, "")); got != "kkddk" {
		t.Error(got)
	}
	// The same records again, as after a failure, or a part of them, as while a culprit is looked for.
	if got := fates(t, tr, rec(0, 3, 0, "a"), rec(0, 1, 0, "a")); got != "dk" {
		t.Error(got)
	}
	sub := rec(0, 1, 0, "a")
	sub.Sub = 1
	if got := fates(t, tr, sub); got != "d" {
		t.Error(got)
	}
}

func TestKeysAreForgottenAfterTheirWindow(t *testing.T) {
	tr := open(t, "dedupe", "window: 10s")
	s := time.Second
	if got := fates(t, tr, rec(0, 1, 0, "a"), rec(0, 2, 9*s, "a"), rec(0, 3, 10*s, "a"), rec(0, 4, 19*s, "a"), rec(0, 5, 21*s, "a")); got != "kdkdk" {
		t.Error(got)
	}
	// A shard that is read late: its records are compared by their own times.
	if got := fates(t, tr, rec(1, 1, 100*s, "b"), rec(2, 1, 91*s, "b"), rec(2, 2, 80*s, "b"), rec(1, 2, 101*s, "b")); got != "kdkd" {
		t.Error(got)
	}
}

func TestTheOldestKeyIsForgottenWhenThereAreTooMany(t *testing.T) {
	var log bytes.Buffer
	c := &builtin.Dedupe{By: []string{"_key"}, Window: setting.Duration(time.Hour), MaxKeys: 3}
	tr, err := c.Open(t.Context(), builtin.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if got := fates(t, tr, rec(0, 1, 0, "a"), rec(0, 2, 0, "b"), rec(0, 3, 0, "c"), rec(0, 4, 0, "a"), rec(0, 5, 0, "d"), rec(0, 6, 0, "b"), rec(0, 7, 0, "a"), rec(0, 8, 0, "d")); got != "kkkdkdkd" {
		t.Error(got)
	}
	if n := strings.Count(log.String(), "raise max_keys"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
}

func TestKeysOfSeveralParts(t *testing.T) {
	tr := open(t, "dedupe", "{ by: [ .a, .b, _attrs.origin ], missing: fail }")
	for _, c := range []struct{ data, want string }{
		{`{"a":"x","b":"y"}`, "unchanged"}, {`{"b":"y","a":"x"}`, "dropped"}, {`{"a":"xy","b":""}`, "unchanged"}, {`{"a":1,"b":2}`, "unchanged"}, {`{"a":1.0,"b":2e0}`, "dropped"},
		{`{"a":"1","b":2}`, "unchanged"}, {`{"a":{"c":1},"b":2}`, "unchanged"}, {`{"a":{"c": 1},"b":2}`, "unchanged"}, {`{"a":{"c":1},"b":2}`, "dropped"},
		{`{"a":1}`, "dedupe.no_key: .b is missing or null"}, {`{"a":null,"b":1}`, "dedupe.no_key: .a is missing or null"},
		{`{"a":1`, "dedupe.not_json: the record is not one JSON value: byte 6 does not belong there"},
	} {
		if got := once(t, tr, c.data); got != c.want {
			t.Errorf("%s: %s", c.data, got)
		}
	}
	becomes(t, "dedupe", "by: .a", `{}`, "unchanged", `{}`, "unchanged")
	becomes(t, "dedupe", "{ by: .a, missing: drop }", `{}`, "dropped")
	refused(t, "dedupe", map[string]string{"by: a": "names no part of a record", "by: [ '.a[' ]": "is not a path", "by: []": "1 to 16", "by: _attrs.": "names no part", "window: 8d": "out of range"})
}

var onceSeq uint64 = 1000

// once gives a transform one record with a position of its own.
func once(t testing.TB, tr stage.Transform, data string) string {
	t.Helper()
	onceSeq++
	in := record.NewBatch()
	defer in.Release()
	in.Add(record.Record{Seq: onceSeq, Key: "key", Data: []byte(data), Attrs: record.Attrs{{Name: "origin", Value: "test"}}})
	out := new(stage.Output)
	out.Reset()
	if err := tr.Apply(context.Background(), in, out); err != nil {
		t.Fatal(err)
	}
	res := out.Results[0]
	return outcome{Status: res.Status, Code: res.Code, Reason: res.Reason}.String()
}

// Against a model that remembers everything: with room for all keys, the results are the same.
func TestDedupeAgreesWithASimpleModel(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range testenv.Count(100, 5000) {
		window := time.Duration(1+r.IntN(20)) * time.Second
		tr := open(t, "dedupe", fmt.Sprintf("{ window: %v, max_keys: 5000 }", window))
		type seen struct{ seq, at int64 }
		model := map[string]seen{}
		var now time.Duration
		var history []record.Record
		for seq := range 2000 {
			now += time.Duration(r.IntN(100)) * time.Millisecond
			one := rec(0, uint64(seq)+1, now, fmt.Sprint(r.IntN(200)))
			if len(history) > 0 && r.IntN(10) == 0 { // a retry
				one = history[max(0, len(history)-1-r.IntN(5))]
			}
			history = append(history, one)
			old, ok := model[string(one.Data)]
			want := "d"
			switch {
			case ok && old.seq == int64(one.Seq):
				want = "k"
			case !ok || one.Arrived-old.at >= int64(window):
				want, model[string(one.Data)] = "k", seen{int64(one.Seq), one.Arrived}
			}
			if got := fates(t, tr, one); got != want {
				t.Fatalf("seed %d: window %v, record %d (%s at %v) is %s, want %s; the first was %v", seed, window, one.Seq, one.Data, now, got, want, old)
			}
		}
	}
}

func TestOneOfEqualRecordsPassesWhateverTheWorkers(t *testing.T) {
	tr := open(t, "dedupe", "{}")
	var passed [50]int
	var mu sync.Mutex
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range passed {
				if fates(t, tr, rec(record.ShardID(worker), uint64(i)+1, 0, fmt.Sprint(i))) == "k" {
					mu.Lock()
					passed[i]++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	for i, n := range passed {
		if n != 1 {
			t.Errorf("key %d passed %d times", i, n)
		}
	}
}

func BenchmarkDedupe(b *testing.B) {
	b.Run("data", func(b *testing.B) { measure(b, open(b, "dedupe", "{}"), logLine) })
	b.Run("path", func(b *testing.B) { measure(b, open(b, "dedupe", "by: .user.id"), logLine) })
}
