// Package shardlogtest is the conformance suite that every engine of [shardlog.Log] passes.
package shardlogtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// Engine opens logs for the suite.
type Engine struct {
	// Open makes a new, empty log.
	Open func(t *testing.T) shardlog.Log
	// Reopen closes a log that Open made and opens what it left.
	Reopen func(t *testing.T, l shardlog.Log) shardlog.Log
}

// Run runs the suite. The engine's logs are closed by the suite.
func Run(t *testing.T, e Engine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Engine)
	}{
		{"appended records are read back in order", testAppendRead},
		{"a read keeps to its limits but returns at least one record", testReadLimits},
		{"attributes and empty data survive", testAttrs},
		{"a closed shard refuses its run alone and stays readable", testClosedShard},
		{"resharding is checked", testReshardErrors},
		{"marks belong to their append", testMarks},
		{"everything survives a reopen", testReopen},
		{"a scan sees all shards in order", testScan},
		{"a scan goes on where positions say", testScanFrom},
		{"waiters are woken", testWait},
		{"time is found", testSeekTime},
		{"many writers and readers agree", testConcurrent},
		{"a closed log says so", testClosedLog},
		{"a canceled context ends a call", testCanceled},
		{"an append's memory is not kept", testMemory},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, e) })
	}
}

func start(t *testing.T, e Engine, shards int) shardlog.Log {
	t.Helper()
	l := e.Open(t)
	t.Cleanup(func() { _ = l.Close() })
	open(t, l, 0, shards)
	return l
}

func open(t *testing.T, l shardlog.Log, first, n int) {
	t.Helper()
	var shards []shardlog.Shard
	for i := range n {
		shards = append(shards, shardlog.Shard{ID: record.ShardID(first + i), Meta: fmt.Appendf(nil, "meta %d", first+i)})
	}
	if err := l.Reshard(t.Context(), nil, shards); err != nil {
		t.Fatal(err)
	}
}

func entry(s string) shardlog.Entry { return shardlog.Entry{Key: "k-" + s, Data: []byte(s)} }

func run(shard record.ShardID, data ...string) shardlog.Run {
	r := shardlog.Run{Shard: shard}
	for _, s := range data {
		r.Entries = append(r.Entries, entry(s))
	}
	return r
}

func appendRuns(t *testing.T, l shardlog.Log, runs ...shardlog.Run) []shardlog.RunResult {
	t.Helper()
	res, err := l.Append(t.Context(), runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// readAll reads a shard from a position to its end and checks that positions have no gap and times do not go back.
func readAll(t *testing.T, l shardlog.Log, id record.ShardID, from uint64) []string {
	t.Helper()
	var out []string
	var last int64
	b := record.NewBatch()
	defer b.Release()
	for {
		b.Reset()
		next, err := l.Read(t.Context(), id, from, shardlog.ReadLimit{Records: 7, Bytes: 1 << 20}, b)
		if err != nil {
			t.Fatalf("read %v from %d: %v", id, from, err)
		}
		if next == from {
			return out
		}
		for _, r := range b.Records {
			if r.Seq != from || r.Shard != id || r.Arrived < last || r.Key != "k-"+string(r.Data) {
				t.Fatalf("record %+v at position %d of %v", r, from, id)
			}
			from, last = from+1, r.Arrived
			out = append(out, string(r.Data))
		}
		if next != from {
			t.Fatalf("read %v: next is %d, the records end at %d", id, next, from)
		}
	}
}

func want(t *testing.T, got []string, exp ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(exp) {
		t.Fatalf("got %q, want %q", got, exp)
	}
}

func testAppendRead(t *testing.T, e Engine) {
	l := start(t, e, 2)
	res := appendRuns(t, l, run(0, "a", "b"), run(1, "x"))
	if res[0].First != 1 || res[1].First != 1 || res[0].Err != nil || res[0].Arrived == 0 {
		t.Fatalf("results %+v", res)
	}
	res = appendRuns(t, l, run(0, "c"))
	if res[0].First != 3 {
		t.Fatalf("results %+v", res)
	}
	want(t, readAll(t, l, 0, 1), "a", "b", "c")
	want(t, readAll(t, l, 0, 2), "b", "c")
	want(t, readAll(t, l, 1, 1), "x")
	st, ok := l.State(0)
	if !ok || st.Next != 4 || st.TrimHorizon != 1 || st.TipArrived.IsZero() || !st.Closed.IsZero() || string(st.Meta) != "meta 0" {
		t.Fatalf("state %+v %v", st, ok)
	}
	b := record.NewBatch()
	defer b.Release()
	if _, err := l.Read(t.Context(), 9, 1, shardlog.ReadLimit{}, b); !errors.Is(err, shardlog.ErrNoShard) {
		t.Fatalf("read of a missing shard: %v", err)
	}
	if _, err := l.Read(t.Context(), 0, 0, shardlog.ReadLimit{}, b); !errors.Is(err, shardlog.ErrTrimmed) {
		t.Fatalf("read before the trim horizon: %v", err)
	}
	if res := appendRuns(t, l, run(9, "q"), run(1, "y")); !errors.Is(res[0].Err, shardlog.ErrNoShard) || res[1].First != 2 {
		t.Fatalf("append to a missing shard: %+v", res)
	}
}

func testReadLimits(t *testing.T, e Engine) {
	l := start(t, e, 1)
	appendRuns(t, l, run(0, "aaaa", "bbbb", "cccc"), run(0, "dddd"))
	for _, c := range []struct {
		max  shardlog.ReadLimit
		want uint64
	}{
		{shardlog.ReadLimit{Records: 1, Bytes: 1000}, 2},
		{shardlog.ReadLimit{Records: 3, Bytes: 1000}, 4},
		{shardlog.ReadLimit{Records: 10, Bytes: 1}, 2},
		{shardlog.ReadLimit{Records: 10, Bytes: 20}, 3},
		{shardlog.ReadLimit{Records: 10, Bytes: 1000}, 5},
		{shardlog.ReadLimit{}, 5},
	} {
		b := record.NewBatch()
		next, err := l.Read(t.Context(), 0, 1, c.max, b)
		if err != nil || next != c.want || uint64(b.Len()) != c.want-1 {
			t.Errorf("%+v: next %d, %d records, %v; want %d", c.max, next, b.Len(), err, c.want)
		}
		b.Release()
	}
}

func testAttrs(t *testing.T, e Engine) {
	l := start(t, e, 1)
	in := []shardlog.Entry{{}, {Key: "k", Attrs: record.Attrs{{Name: "a", Value: "1"}, {Name: "", Value: ""}}}, {Data: []byte("d")}}
	appendRuns(t, l, shardlog.Run{Shard: 0, Entries: in})
	b := record.NewBatch()
	defer b.Release()
	if _, err := l.Read(t.Context(), 0, 1, shardlog.ReadLimit{}, b); err != nil || b.Len() != len(in) {
		t.Fatal(err, b.Len())
	}
	for i, r := range b.Records {
		if r.Key != in[i].Key || string(r.Data) != string(in[i].Data) || fmt.Sprint(r.Attrs) != fmt.Sprint(in[i].Attrs) {
			t.Errorf("record %d: %+v, want %+v", i, r, in[i])
		}
	}
}

func testClosedShard(t *testing.T, e Engine) {
	l := start(t, e, 2)
	appendRuns(t, l, run(0, "a"), run(1, "x"))
	if err := l.Reshard(t.Context(), []record.ShardID{0}, []shardlog.Shard{{ID: 2}, {ID: 3}}); err != nil {
		t.Fatal(err)
	}
	res := appendRuns(t, l, run(0, "b"), run(1, "y"), run(2, "z"))
	if !errors.Is(res[0].Err, shardlog.ErrShardClosed) || res[1].First != 2 || res[2].First != 1 {
		t.Fatalf("results %+v", res)
	}
	want(t, readAll(t, l, 0, 1), "a")
	want(t, readAll(t, l, 1, 1), "x", "y")
	st, ok := l.State(0)
	if !ok || st.Closed.IsZero() || st.Next != 2 {
		t.Fatalf("state %+v %v", st, ok)
	}
	child, _ := l.State(2)
	if child.Opened.Before(st.Opened) || len(l.Shards()) != 4 {
		t.Fatalf("child %+v, %d shards", child, len(l.Shards()))
	}
	// An append that has only refused runs stores no mark.
	res, err := l.Append(t.Context(), []shardlog.Run{run(0, "c")}, &shardlog.Mark{Producer: "p", State: []byte("s")})
	if err != nil || !errors.Is(res[0].Err, shardlog.ErrShardClosed) {
		t.Fatal(res, err)
	}
	if _, ok := l.Mark("p"); ok {
		t.Fatal("a mark was stored without its records")
	}
}

func testReshardErrors(t *testing.T, e Engine) {
	l := start(t, e, 1)
	if err := l.Reshard(t.Context(), []record.ShardID{7}, nil); !errors.Is(err, shardlog.ErrNoShard) {
		t.Errorf("close of a missing shard: %v", err)
	}
	if err := l.Reshard(t.Context(), nil, []shardlog.Shard{{ID: 0}}); err == nil {
		t.Error("a shard was opened twice")
	}
	if err := l.Reshard(t.Context(), nil, []shardlog.Shard{{ID: 5, Meta: make([]byte, shardlog.MaxShardMeta+1)}}); err == nil {
		t.Error("a description that is too long was taken")
	}
	// A reshard that fails changes nothing, not even the shards it could have changed.
	if err := l.Reshard(t.Context(), []record.ShardID{0}, []shardlog.Shard{{ID: 0}}); err == nil {
		t.Error("a shard was closed and opened in one step")
	}
	if res := appendRuns(t, l, run(0, "a")); res[0].Err != nil {
		t.Errorf("after failed reshards: %+v", res)
	}
	if err := l.Reshard(t.Context(), []record.ShardID{0}, nil); err != nil {
		t.Error(err)
	}
	if err := l.Reshard(t.Context(), []record.ShardID{0}, nil); !errors.Is(err, shardlog.ErrShardClosed) {
		t.Errorf("second close: %v", err)
	}
}

func testMarks(t *testing.T, e Engine) {
	l := start(t, e, 1)
	put := func(producer, state string, runs ...shardlog.Run) {
		t.Helper()
		if _, err := l.Append(t.Context(), runs, &shardlog.Mark{Producer: producer, State: []byte(state)}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(producer, state string) {
		t.Helper()
		if m, ok := l.Mark(producer); !ok || string(m.State) != state || m.Producer != producer {
			t.Fatalf("mark of %s: %+v %v, want %q", producer, m, ok, state)
		}
	}
	put("p", "1", run(0, "a"))
	put("q", "1", run(0, "b"))
	put("p", "2", run(0, "c"))
	put("r", "alone")
	check("p", "2")
	check("q", "1")
	check("r", "alone")
	l = e.Reopen(t, l)
	t.Cleanup(func() { _ = l.Close() })
	check("p", "2")
	check("q", "1")
	check("r", "alone")
	put("q", "")
	if _, ok := l.Mark("q"); ok {
		t.Fatal("a mark with an empty state stays")
	}
	if _, err := l.Append(t.Context(), nil, &shardlog.Mark{Producer: "p", State: make([]byte, shardlog.MaxMarkState+1)}); err == nil {
		t.Fatal("a state that is too large was taken")
	}
}

func testReopen(t *testing.T, e Engine) {
	l := start(t, e, 3)
	var exp []string
	for i := range 50 {
		s := fmt.Sprint("r", i)
		exp = append(exp, s)
		appendRuns(t, l, run(1, s))
		if i%17 == 0 {
			l = e.Reopen(t, l)
		}
	}
	if err := l.Reshard(t.Context(), []record.ShardID{1}, []shardlog.Shard{{ID: 3, Meta: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	before := l.Shards()
	l = e.Reopen(t, l)
	t.Cleanup(func() { _ = l.Close() })
	if after := l.Shards(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Fatalf("shards after a reopen:\n%+v\nbefore:\n%+v", after, before)
	}
	want(t, readAll(t, l, 1, 1), exp...)
	if res := appendRuns(t, l, run(1, "late"), run(3, "first")); !errors.Is(res[0].Err, shardlog.ErrShardClosed) || res[1].First != 1 {
		t.Fatalf("results %+v", res)
	}
}
