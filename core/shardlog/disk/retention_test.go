package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

func appendSize(t *testing.T, l *Log, shard record.ShardID, size int) error {
	t.Helper()
	_, err := l.Append(t.Context(), []shardlog.Run{{Shard: shard, Entries: []shardlog.Entry{{Data: make([]byte, size)}}}}, nil)
	return err
}

func openWith(t *testing.T, fs vfs.FS, o Options, shards int) *Log {
	t.Helper()
	if o.Reserve == 0 {
		o.Reserve = -1
	}
	o.FirstSegment, o.SegmentSize = minSegment, minSegment
	l, err := Open(fs, "/log", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var open []shardlog.Shard
	for i := range shards {
		open = append(open, shardlog.Shard{ID: record.ShardID(i)})
	}
	if len(l.Shards()) == 0 {
		if err := l.Reshard(t.Context(), nil, open); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestQuietStreamsExpireByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openWith(t, vfs.NewMem(), Options{Retention: shardlog.Retention{Age: 24 * time.Hour}}, 2)
		if err := appendSize(t, l, 0, 10); err != nil {
			t.Fatal(err)
		}
		sc, err := l.Scan(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer sc.Close()
		_ = l.Reshard(t.Context(), []record.ShardID{1}, nil)
		time.Sleep(23 * time.Hour)
		if st, _ := l.State(0); st.TrimHorizon != 1 {
			t.Fatalf("expired too early: %+v", st)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		st, ok := l.State(0)
		if !ok || st.TrimHorizon != 2 || st.Next != 2 {
			t.Fatalf("not expired: %+v", st)
		}
		if _, ok := l.State(1); ok {
			t.Error("a closed shard outlives its retention")
		}
		// The scan held the file of what it had not read yet, so it still gets it.
		b := record.NewBatch()
		defer b.Release()
		if err := sc.Next(t.Context(), shardlog.ReadLimit{}, b); err != nil || b.Len() != 1 {
			t.Errorf("%d records, %v", b.Len(), err)
		}
		late, err := l.Scan(shardlog.Positions{0: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		if ex := late.Expired(); fmt.Sprint(ex) != fmt.Sprint([]shardlog.Range{{Shard: 0, From: 1, To: 2}}) {
			t.Errorf("expired %v", ex)
		}
		if _, err := l.Read(t.Context(), 0, 1, shardlog.ReadLimit{}, b); !errors.Is(err, shardlog.ErrTrimmed) {
			t.Errorf("read of what expired: %v", err)
		}
		_ = l.Close()
	})
}

func TestExpiryPausesWhileTheClocksDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jump atomic.Int64
		l := openWith(t, vfs.NewMem(), Options{
			Retention: shardlog.Retention{Age: 24 * time.Hour}, Now: func() time.Time { return time.Now().Add(time.Duration(jump.Load())) },
		}, 1)
		for range 20 {
			if err := appendSize(t, l, 0, 20_000); err != nil {
				t.Fatal(err)
			}
		}
		jump.Store(int64(1000 * time.Hour)) // somebody sets the clock to next month
		time.Sleep(3 * time.Hour)
		if st, _ := l.State(0); st.TrimHorizon != 1 {
			t.Fatalf("a wrong clock expired records: %+v", st)
		}
		jump.Store(0)
		time.Sleep(30 * time.Hour)
		if st, _ := l.State(0); st.TrimHorizon != 21 {
			t.Fatalf("expiry does not go on when the clock is right again: %+v", st)
		}
		_ = l.Close()
	})
}

func TestHoldKeepsWhatAPinNeeds(t *testing.T) {
	l := openWith(t, vfs.NewMem(), Options{Retention: shardlog.Retention{Hold: 6 * minSegment}}, 1)
	l.Pin("sink", shardlog.Positions{0: 1})
	var err error
	n := 0
	for ; n < 100; n++ {
		if err = appendSize(t, l, 0, 20_000); err != nil {
			break
		}
	}
	if !errors.Is(err, shardlog.ErrFull) || !errors.Is(l.Err(), shardlog.ErrFull) {
		t.Fatalf("after %d appends: %v, %v", n, err, l.Err())
	}
	if st, _ := l.State(0); st.TrimHorizon != 1 || st.Next != uint64(n+1) {
		t.Fatalf("%+v after %d appends", st, n)
	}
	if l.Size() > 6*minSegment {
		t.Errorf("size %d is over the hold", l.Size())
	}
	l.Pin("sink", shardlog.Positions{0: uint64(n)})
	deadline := time.Now().Add(time.Minute)
	for err = appendSize(t, l, 0, 20_000); err != nil && time.Now().Before(deadline); err = appendSize(t, l, 0, 20_000) {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("writes do not resume after the pin moved: %v", err)
	}
	if st, _ := l.State(0); st.TrimHorizon == 1 || st.TrimHorizon > uint64(n) {
		t.Errorf("%+v with a pin at %d", st, n)
	}
}

func TestAScanCountsWhatExpiredBeforeIt(t *testing.T) {
	l := openWith(t, vfs.NewMem(), Options{}, 2)
	sc, err := l.Scan(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	const n = 40
	for i := range n {
		if err := appendSize(t, l, record.ShardID(i%2), 20_000); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if s, ok := l.expirable(true); !ok {
			t.Fatal("nothing to expire")
		} else if err := l.expire(s); err != nil {
			t.Fatal(err)
		}
	}
	got, b := 0, record.NewBatch()
	defer b.Release()
	for {
		b.Reset()
		if err := sc.Next(t.Context(), shardlog.ReadLimit{Records: 3}, b); err != nil {
			t.Fatal(err)
		}
		if b.Len() == 0 {
			break
		}
		got += b.Len()
	}
	missed := 0
	for _, r := range sc.Expired() {
		missed += int(r.To - r.From)
	}
	if missed == 0 || got+missed != n {
		t.Errorf("%d read and %d expired of %d", got, missed, n)
	}
}

func TestWritesAreRefusedBeforeTheDiskIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		mem := vfs.NewMem()
		mem.SetCapacity(20 * minSegment)
		l := openWith(t, mem, Options{Reserve: 4 * minSegment, Logger: slog.New(slog.NewTextHandler(&logged, nil))}, 1)
		var err error
		n := 0
		for ; n < 1000 && err == nil; n++ {
			err = appendSize(t, l, 0, 20_000)
		}
		if !errors.Is(err, shardlog.ErrFull) {
			t.Fatalf("after %d appends: %v", n, err)
		}
		for _, want := range []string{"MiB free of 1.25; 0.31 are needed, 0.25 of them as a reserve", "(free at least 0.0"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in the error: %v", want, err)
			}
		}
		if u, _ := mem.Usage("/log"); u.Free < 4*minSegment {
			t.Errorf("%d bytes free, the reserve is %d", u.Free, 4*minSegment)
		}
		b := record.NewBatch()
		defer b.Release()
		if _, err := l.Read(t.Context(), 0, 1, shardlog.ReadLimit{}, b); err != nil {
			t.Errorf("reads do not go on: %v", err)
		}
		stays := func(size int) {
			t.Helper()
			for range 10 {
				time.Sleep(usageEvery)
				if err := appendSize(t, l, 0, size); !errors.Is(err, shardlog.ErrFull) {
					t.Fatalf("on a disk that is still full: %v", err)
				}
			}
		}
		lines := func(want int) {
			t.Helper()
			if got := strings.Count(logged.String(), "\n"); got != want {
				t.Errorf("%d lines are logged about one full disk, not %d:\n%s", got, want, &logged)
			}
			logged.Reset()
		}
		stays(20_000)
		lines(1)
		mem.SetCapacity(40 * minSegment)
		time.Sleep(usageEvery)
		if err := appendSize(t, l, 0, 10); err != nil {
			t.Errorf("writes do not resume after space has returned: %v", err)
		}
		lines(1)
		// Room for a small segment is none for what was refused.
		time.Sleep(time.Minute)
		if err := appendSize(t, l, 0, 40*minSegment); !errors.Is(err, shardlog.ErrFull) {
			t.Fatalf("more than the disk has: %v", err)
		}
		stays(40 * minSegment)
		stays(10)
		lines(1)
		time.Sleep(fault.ComplaintInterval)
		stays(10)
		lines(1)
		mem.SetCapacity(100 * minSegment)
		time.Sleep(usageEvery)
		if err := appendSize(t, l, 0, 40*minSegment); err != nil {
			t.Error(err)
		}
		lines(1)
		_ = l.Close()
	})
}

func TestIdleLogsAreSmall(t *testing.T) {
	n := testenv.Count(100, 1000)
	fs, dir := vfs.OS(), t.TempDir()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	var logs []*Log
	var size int64
	for i := range n {
		l, err := Open(fs, fmt.Sprint(dir, "/", i), Options{Reserve: -1, Retention: shardlog.Retention{Age: 24 * time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.Reshard(context.Background(), nil, []shardlog.Shard{{ID: 0}, {ID: 1}, {ID: 2}, {ID: 3}}); err != nil {
			t.Fatal(err)
		}
		if err := appendSize(t, l, 0, 1000); err != nil {
			t.Fatal(err)
		}
		logs, size = append(logs, l), size+l.Size()
	}
	time.Sleep(20 * time.Millisecond)
	runtime.GC()
	runtime.ReadMemStats(&after)
	mem := int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("%d idle logs: %d KiB of disk and %d KiB of heap each", n, size/int64(n)>>10, mem/int64(n)>>10)
	if mem > 200<<10*int64(n) || size > 2<<20*int64(n) {
		t.Errorf("%d idle logs take %d bytes of memory, %d of disk", n, mem, size)
	}
	if extra := runtime.NumGoroutine() - goroutines; extra > n/10 { // some have just begun or are ending
		t.Errorf("%d idle logs have %d goroutines", n, extra)
	}
	runtime.KeepAlive(logs)
}
