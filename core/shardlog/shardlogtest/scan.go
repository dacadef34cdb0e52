package shardlogtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// scanAll drains a scan and checks each shard's order. next is where each shard goes on.
func scanAll(t *testing.T, sc shardlog.Scanner, limit shardlog.ReadLimit, next map[record.ShardID]uint64) map[record.ShardID][]string {
	t.Helper()
	out := map[record.ShardID][]string{}
	b := record.NewBatch()
	defer b.Release()
	for {
		b.Reset()
		if err := sc.Next(t.Context(), limit, b); err != nil {
			t.Fatal(err)
		}
		if b.Len() == 0 {
			return out
		}
		for _, r := range b.Records {
			if want := max(next[r.Shard], 1); r.Seq != want {
				t.Fatalf("scan of %v: position %d, want %d", r.Shard, r.Seq, want)
			}
			next[r.Shard] = r.Seq + 1
			out[r.Shard] = append(out[r.Shard], string(r.Data))
		}
	}
}

func testScan(t *testing.T, e Engine) {
	l := start(t, e, 3)
	for i := range 40 {
		appendRuns(t, l, run(record.ShardID(i%3), fmt.Sprint(i), fmt.Sprint(i, "b")))
	}
	for _, max := range []shardlog.ReadLimit{{}, {Records: 1, Bytes: 1 << 20}, {Records: 3, Bytes: 10}, {Records: 1000, Bytes: 5}} {
		sc, err := l.Scan(nil)
		if err != nil {
			t.Fatal(err)
		}
		next := map[record.ShardID]uint64{}
		out := scanAll(t, sc, max, next)
		if len(out[0]) != 28 || len(out[1]) != 26 || len(out[2]) != 26 || out[1][0] != "1" || out[1][1] != fmt.Sprint(1, "b") {
			t.Fatalf("%+v: %v", max, out)
		}
		if err := sc.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func testScanFrom(t *testing.T, e Engine) {
	l := start(t, e, 2)
	for i := range 20 {
		appendRuns(t, l, run(0, fmt.Sprint("a", i)), run(1, fmt.Sprint("b", i)))
	}
	from := shardlog.Positions{0: 21, 1: 11}
	sc, err := l.Scan(from)
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	next := map[record.ShardID]uint64{0: 21, 1: 11}
	out := scanAll(t, sc, shardlog.ReadLimit{Records: 4, Bytes: 1 << 20}, next)
	if len(out[0]) != 0 || len(out[1]) != 10 || out[1][0] != "b10" {
		t.Fatalf("%v", out)
	}
	// A shard that opens later is read from its start.
	if err := l.Reshard(t.Context(), []record.ShardID{0}, []shardlog.Shard{{ID: 5}}); err != nil {
		t.Fatal(err)
	}
	appendRuns(t, l, run(5, "new"))
	out = scanAll(t, sc, shardlog.ReadLimit{}, next)
	want(t, out[5], "new")
	if ex := sc.Expired(); len(ex) != 0 {
		t.Fatalf("expired %v", ex)
	}
	// A scan from the end sees only what comes.
	tail, err := l.Scan(shardlog.Positions{0: 21, 1: 21, 5: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	next = map[record.ShardID]uint64{5: 2}
	if out := scanAll(t, tail, shardlog.ReadLimit{}, next); len(out) != 0 {
		t.Fatalf("%v", out)
	}
	appendRuns(t, l, run(5, "newer"))
	want(t, scanAll(t, tail, shardlog.ReadLimit{}, next)[5], "newer")
}

func testWait(t *testing.T, e Engine) {
	l := start(t, e, 2)
	appendRuns(t, l, run(0, "a"))
	if err := l.Wait(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := l.Wait(ctx, 0, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("wait for what does not come: %v", err)
	}
	sc, err := l.Scan(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	scanAll(t, sc, shardlog.ReadLimit{}, map[record.ShardID]uint64{})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := l.Wait(t.Context(), 0, 2); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := l.Wait(t.Context(), 1, 1); err != nil { // ends because the shard closes
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		if err := sc.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(5 * time.Millisecond)
	appendRuns(t, l, run(0, "b"))
	if err := l.Reshard(t.Context(), []record.ShardID{1}, nil); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func testSeekTime(t *testing.T, e Engine) {
	l := start(t, e, 2)
	var at []int64
	for i := range 30 {
		at = append(at, appendRuns(t, l, run(0, fmt.Sprint(i), fmt.Sprint(i, "b")))[0].Arrived)
		if i%10 == 9 {
			l = e.Reopen(t, l)
		}
		time.Sleep(time.Millisecond)
	}
	t.Cleanup(func() { _ = l.Close() })
	seek := func(nanos int64, exp uint64) {
		t.Helper()
		if got, err := l.SeekTime(t.Context(), 0, time.Unix(0, nanos)); err != nil || got != exp {
			t.Errorf("seek %d: %d, %v; want %d", nanos, got, err, exp)
		}
	}
	for i, n := range at {
		seek(n, uint64(2*i+1))
		seek(n+1, uint64(2*i+3))
	}
	seek(0, 1)
	if got, err := l.SeekTime(t.Context(), 1, time.Now()); err != nil || got != 1 {
		t.Errorf("seek in an empty shard: %d, %v", got, err)
	}
}
