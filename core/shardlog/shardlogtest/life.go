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

func testConcurrent(t *testing.T, e Engine) {
	const writers, rounds = 8, 60
	l := start(t, e, 4)
	ctx := t.Context()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				if _, err := l.Append(ctx, []shardlog.Run{run(record.ShardID(w%4), fmt.Sprint(w, ".", i))}, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for s := range 4 {
		wg.Go(func() { // one tail per shard
			next := uint64(1)
			last := map[string]int{}
			for next <= writers/4*rounds {
				if err := l.Wait(ctx, record.ShardID(s), next); err != nil {
					t.Error(err)
					return
				}
				b := record.NewBatch()
				n, err := l.Read(ctx, record.ShardID(s), next, shardlog.ReadLimit{Records: 5}, b)
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range b.Records {
					var w string
					var i int
					if _, err := fmt.Sscanf(string(r.Data), "%1s.%d", &w, &i); err != nil || last[w] != i {
						t.Errorf("%q: writer %s is at %d, %v", r.Data, w, last[w], err)
					}
					last[w] = i + 1
				}
				next = n
				b.Release()
			}
		})
	}
	wg.Wait()
}

func testClosedLog(t *testing.T, e Engine) {
	l := start(t, e, 1)
	appendRuns(t, l, run(0, "a"))
	waiting := make(chan error)
	go func() { waiting <- l.Wait(context.Background(), 0, 2) }()
	sc, err := l.Scan(nil)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, shardlog.ErrClosed) {
		t.Errorf("wait: %v", err)
	}
	b := record.NewBatch()
	defer b.Release()
	if err := sc.Next(t.Context(), shardlog.ReadLimit{}, b); !errors.Is(err, shardlog.ErrClosed) {
		t.Errorf("scan: %v", err)
	}
	_ = sc.Close()
	if _, err := l.Append(t.Context(), []shardlog.Run{run(0, "b")}, nil); !errors.Is(err, shardlog.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := l.Read(t.Context(), 0, 1, shardlog.ReadLimit{}, b); !errors.Is(err, shardlog.ErrClosed) {
		t.Errorf("read: %v", err)
	}
}

func testCanceled(t *testing.T, e Engine) {
	l := start(t, e, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Wait(ctx, 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: %v", err)
	}
	// An append may win against the context; either way the log goes on.
	if _, err := l.Append(ctx, []shardlog.Run{run(0, "a")}, nil); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	res := appendRuns(t, l, run(0, "b"))
	if got := readAll(t, l, 0, res[0].First); len(got) != 1 || got[0] != "b" {
		t.Errorf("got %q", got)
	}
}

func testMemory(t *testing.T, e Engine) {
	l := start(t, e, 1)
	data := []byte("abc")
	m := shardlog.Mark{Producer: "p", State: []byte("abc")}
	if _, err := l.Append(t.Context(), []shardlog.Run{{Entries: []shardlog.Entry{{Key: "k-abc", Data: data}}}}, &m); err != nil {
		t.Fatal(err)
	}
	copy(data, "xyz")
	copy(m.State, "xyz")
	want(t, readAll(t, l, 0, 1), "abc")
	if got, _ := l.Mark("p"); string(got.State) != "abc" {
		t.Fatalf("mark %q", got.State)
	}
}
