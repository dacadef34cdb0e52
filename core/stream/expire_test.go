package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

// expirySlack is how long after its retention a record may stay: the time span of its segment and a round of expiry.
const expirySlack = 3 * time.Hour

// TestRecordsStayForTheirRetentionAndThenGo puts, splits and merges over some days and looks each hour at what is left.
func TestRecordsStayForTheirRetentionAndThenGo(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 0))
		ctx := context.Background()
		w, err := openWorld(vfs.NewMem(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		s := w.mustCreate(t, "s", Config{Shards: 2})
		arrived := map[record.ShardID][]time.Time{} // by position, from 1 on
		closed := map[record.ShardID]time.Time{}
		slow, err := s.Iterator(ctx, 0, StartingPosition{})
		if err != nil {
			t.Fatal(err)
		}
		for hour := range 5 * 24 {
			for range rng.IntN(4) {
				results := put(t, s, fmt.Sprint(rng.Int()), fmt.Sprint(rng.Int()))
				for _, r := range results {
					arrived[r.Shard] = append(arrived[r.Shard], time.Unix(0, r.Arrived))
				}
				time.Sleep(time.Duration(rng.Int64N(int64(15 * time.Minute))))
			}
			if hour%7 == 0 {
				before := s.table.Load().open
				if err := s.UpdateShardCount(ctx, 1+rng.IntN(4)); err != nil {
					t.Fatal(err)
				}
				for _, o := range before {
					if sh, err := s.Shard(o.id); err == nil && !sh.Closed.IsZero() {
						closed[o.id] = sh.Closed
					}
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait() // expiry at this very moment is over
			checkExpiry(t, s, arrived, closed)
		}
		// A reader that was away all the time is told what it missed, and led on.
		b := record.NewBatch()
		defer b.Release()
		res, err := s.Read(ctx, slow, shardlog.ReadLimit{Records: 10_000, Bytes: 10 << 20}, b)
		if err != nil || !res.End {
			t.Fatalf("a position in a shard that has expired: %+v, %v", res, err)
		}
		if _, err := s.Shard(0); fault.CodeOf(err) != "stream.no_shard" {
			t.Fatalf("the first shard is there after five days: %v", err)
		}
		if _, err := s.Iterator(ctx, 0, StartingPosition{}); fault.CodeOf(err) != "stream.no_shard" {
			t.Fatalf("an iterator of an expired shard: %v", err)
		}
		if len(s.table.Load().shards) > 40 {
			t.Errorf("%d shards are kept in memory", len(s.table.Load().shards))
		}
	})
}

func checkExpiry(t *testing.T, s *Stream, arrived map[record.ShardID][]time.Time, closed map[record.ShardID]time.Time) {
	t.Helper()
	now := time.Now()
	retention := s.Config().Retention.Age
	listed := map[record.ShardID]bool{}
	shards, err := s.Shards()
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range shards {
		listed[sh.ID] = true
	}
	for id, times := range arrived {
		if at, ok := closed[id]; ok && now.Sub(at) > retention+expirySlack && listed[id] {
			t.Fatalf("%v was closed %v ago and is still listed", id, now.Sub(at))
		}
		if !listed[id] {
			if last := times[len(times)-1]; now.Sub(last) < retention {
				t.Fatalf("%v is gone, but its last record is %v old", id, now.Sub(last))
			}
			delete(arrived, id)
			continue
		}
		data, _ := readAll(t, s, id)
		missing := len(times) - len(data)
		for i, at := range times {
			switch age := now.Sub(at); {
			case i < missing && age < retention:
				t.Fatalf("record %d of %v is gone after %v", i+1, id, age)
			case i >= missing && age > retention+expirySlack:
				t.Fatalf("record %d of %v is still there after %v", i+1, id, age)
			}
		}
	}
}

// TestReadCountsWhatExpired lets a reader fall behind in an open shard.
func TestReadCountsWhatExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w, err := openWorld(vfs.NewMem(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		s := w.mustCreate(t, "s", Config{})
		at, err := s.Iterator(ctx, 0, StartingPosition{})
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			put(t, s, "k")
			time.Sleep(2 * time.Hour)
		}
		synctest.Wait()
		b := record.NewBatch()
		defer b.Release()
		res, err := s.Read(ctx, at, shardlog.ReadLimit{Records: 100, Bytes: 1 << 20}, b)
		if err != nil || res.Expired == 0 || res.Expired+uint64(b.Len()) != 30 || b.Len() < 12 {
			t.Fatalf("%d records and %d expired of 30, %v", b.Len(), res.Expired, err)
		}
		if err := s.Wait(ctx, at); err != nil {
			t.Fatalf("waiting at an expired position: %v", err)
		}
	})
}
