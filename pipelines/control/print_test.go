package control

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/view"
)

func TestRecordsArePrintedForPeople(t *testing.T) {
	in := &view.Payload{Key: "k", Data: []byte(`{"a":1,"b":2}`)}
	tagged := &view.Payload{Key: "k", Data: []byte("x"), Attrs: record.Attrs{{Name: "n", Value: "1"}}}
	out := func(data ...string) (all []view.Payload) {
		for _, d := range data {
			all = append(all, view.Payload{Key: "k", Data: []byte(d)})
		}
		return all
	}
	moved := []view.Payload{{Key: "other\x1b[2J", Data: in.Data, Partition: record.Attrs{{Name: "to", Value: "x"}}, Attrs: record.Attrs{{Name: "n", Value: "1"}}}}
	head := "shardId-000000000002 #7.1  05:06:07.000"
	for _, test := range []struct {
		name, side string
		r          Record
		want       string
	}{
		{"what enters", In, Record{In: in}, head + `  key "k"` + "\n  {\"a\":1,\"b\":2}\n"},
		{"what enters with attributes", In, Record{In: tagged}, head + `  key "k"` + "\n  attr n=\"1\"\n  x\n"},
		{"a drop with attributes", Diff, Record{In: tagged, Fate: &Fate{Status: Dropped}}, head + `  key "k"` + "\n  dropped\n  attr n=\"1\"\n  x\n"},
		{"what leaves", Out, Record{Fate: &Fate{Status: OK, Out: out("x", "y")}}, head + "\n  output 1 of 2\n  key \"k\"\n  x\n  output 2 of 2\n  key \"k\"\n  y\n"},
		{"a change", Diff, Record{In: in, Fate: &Fate{Status: OK, Out: out(`{"a":1,"c":3}`)}}, head + `  key "k"` + "\n  - .b: 2\n  + .c: 3\n"},
		{"another key", Diff, Record{In: in, Fate: &Fate{Status: OK, Out: moved}},
			head + `  key "k"` + "\n  key \"other\\x1b[2J\"  to=\"x\"  attr n=\"1\"\n  the same data\n"},
		{"other spaces", Diff, Record{In: in, Fate: &Fate{Status: OK, Out: out(`{"b":2, "a":1}`)}}, head + `  key "k"` + "\n  the same JSON, written in another way\n"},
		{"no change", Diff, Record{In: in, Fate: &Fate{Status: Unchanged, Out: out(string(in.Data))}}, head + `  key "k"` + "\n  unchanged\n  {\"a\":1,\"b\":2}\n"},
		{"a drop", Diff, Record{In: in, Fate: &Fate{Status: Dropped}}, head + `  key "k"` + "\n  dropped\n  {\"a\":1,\"b\":2}\n"},
		{"a drop by one of the stages", Diff, Record{In: in, Fate: &Fate{Status: Dropped, DroppedBy: "s"}}, head + `  key "k"` + "\n  dropped by s\n  {\"a\":1,\"b\":2}\n"},
		{"a drop for a failure", Diff, Record{In: in, Fate: &Fate{Status: Dropped, DroppedBy: "s", Code: "c.x", Reason: "it is bad"}},
			head + `  key "k"` + "\n  dropped by s, which fails it: c.x: it is bad\n  {\"a\":1,\"b\":2}\n"},
		{"a failure", Diff, Record{In: in, Fate: &Fate{Status: Failed, FailedIn: "s", Code: "c.x", Reason: "it is bad"}},
			head + `  key "k"` + "\n  failed in s: c.x: it is bad\n  {\"a\":1,\"b\":2}\n"},
		{"a shadow that differs", Shadow, Record{In: in, Difference: stage.DiffData, Fate: &Fate{Status: OK, Out: out(`{"a":1}`)}, Shadow: &Fate{Status: OK, Out: out(`{"a":2}`)}},
			head + `  key "k"  differs in data` + "\n  in\n  {\"a\":1,\"b\":2}\n  stage\n  key \"k\"\n  {\"a\":1}\n  shadow\n  ~ .a: 1 -> 2\n"},
		{"a shadow that fails", Shadow, Record{In: in, Difference: stage.DiffError, Fate: &Fate{Status: OK, Out: out(`x`)}, Shadow: &Fate{Status: Failed, Code: "wasm.trap", Reason: "unreachable"}},
			head + `  key "k"  differs in error` + "\n  in\n  {\"a\":1,\"b\":2}\n  stage\n  key \"k\"\n  x\n  shadow\n  failed: wasm.trap: unreachable\n"},
	} {
		r := test.r
		r.Shard, r.Position, r.Sub, r.Arrived = "shardId-000000000002", 7, 1, time.Date(2026, 11, 1, 5, 6, 7, 0, time.UTC)
		var b bytes.Buffer
		p := Printer{Out: &b, Notes: &b, side: test.side}
		if err := p.Print(&Event{Event: EventRecord, Record: &r}); err != nil {
			t.Fatal(err)
		}
		if b.String() != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, b.String(), test.want)
		}
	}
}

func TestNotesAreTold(t *testing.T) {
	var b bytes.Buffer
	p := Printer{Out: &b, Notes: &b}
	for _, e := range []Event{
		{Event: EventWatching, Pipeline: "p", Stage: "s", Side: Diff, Sink: "out"}, {Event: EventStopped}, {Event: EventStarted},
		{Event: EventStopped, Message: "no disk\x1b[2J"}, {Event: EventEnded, Message: "leat was stopped"}, {Event: "of a newer leat"},
	} {
		if err := p.Print(&e); err != nil {
			t.Fatal(err)
		}
	}
	want := `-- watching p/s, side diff, on the way to out; Ctrl-C ends it
-- the pipeline has stopped; watching until it goes on
-- the pipeline goes on
-- the pipeline cannot go on; watching until it does: no disk\x1b[2J
-- leat was stopped
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

// Notes about records that are not shown come at most once a second, and nothing is left untold at the end.
func TestWhatCannotBeDecidedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := Printer{Out: &b, Notes: &b}
		for range 5 {
			if err := p.Print(&Event{Event: EventUndecided, Records: 3, Message: "no JSON\x1b"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(400 * time.Millisecond)
		}
		if err := p.Print(&Event{Event: EventSkipped, Records: 1}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the end, and Ctrl-C right behind it
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		want := `-- 3 records could not be decided: no JSON\x1b
-- 9 records could not be decided: no JSON\x1b
-- 1 record not shown
-- 3 records could not be decided: no JSON\x1b
-- 15 records in all could not be decided
`
		if b.String() != want {
			t.Errorf("got %s", b.String())
		}
	})
}
