package stream

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// reshardAtRandom splits, merges and rescales a stream until stop is closed.
func reshardAtRandom(t failer, s *Stream, rng *rand.Rand, stop <-chan struct{}) (steps int) {
	ctx := context.Background()
	for {
		select {
		case <-stop:
			return steps
		default:
		}
		shards, err := s.Shards()
		if err != nil {
			t.Errorf("shards: %v", err)
			return steps
		}
		shards = slices.DeleteFunc(shards, func(sh Shard) bool { return !sh.Closed.IsZero() })
		slices.SortFunc(shards, func(a, b Shard) int { return a.Hash.Start.Compare(b.Hash.Start) })
		i := rng.IntN(len(shards))
		switch {
		case rng.IntN(5) == 0:
			err = s.UpdateShardCount(ctx, 1+rng.IntN(6))
		case len(shards) < 8 && rng.IntN(2) == 0:
			r := shards[i].Hash
			_, err = s.Split(ctx, shards[i].ID, HashKey{r.Start.Hi/2 + r.End.Hi/2, rng.Uint64()})
			if fault.CodeOf(err) == "stream.invalid_hash_key" {
				err = nil // the range became too narrow
			}
		case i > 0:
			_, err = s.Merge(ctx, shards[i-1].ID, shards[i].ID)
		}
		if err != nil {
			t.Errorf("reshard: %v", err)
			return steps
		}
		steps++
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
	}
}

// putCall puts "key/call" for each key of a producer; a marked call stores how many calls there were.
func putCall(s *Stream, producer, call, keys int, marked bool) error {
	var entries []Entry
	for k := range keys {
		key := fmt.Sprintf("p%d-k%d", producer, k)
		entries = append(entries, Entry{Key: key, Data: fmt.Appendf(nil, "%s/%d", key, call)})
	}
	var results []PutResult
	var err error
	if marked {
		mark := &shardlog.Mark{Producer: fmt.Sprint("p", producer), State: fmt.Append(nil, call+1)}
		results, err = s.PutMarked(context.Background(), entries, mark)
	} else {
		results, err = s.Put(context.Background(), entries)
	}
	for i := range results {
		err = cmp.Or(err, results[i].Err)
	}
	return err
}

// byKey reads all shards, parents before children, and returns the numbers of the records "key/number" by key.
func byKey(t failer, s *Stream) map[string][]string {
	t.Helper()
	shards, err := s.Shards()
	if err != nil {
		t.Fatalf("%v", err)
	}
	// A child's index is greater than its parents'.
	got := map[string][]string{}
	for _, sh := range shards {
		data, _ := readAll(t, s, sh.ID)
		for _, d := range data {
			key, number, _ := strings.Cut(d, "/")
			got[key] = append(got[key], number)
		}
	}
	return got
}

// TestPutsDuringReshardsLoseNothingAndKeepTheirOrder also covers marked puts, which may not be torn apart by a reshard.
func TestPutsDuringReshardsLoseNothingAndKeepTheirOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	checkPutsDuringReshards(t, seams{}, seed)
}

func checkPutsDuringReshards(t failer, seams seams, seed uint64) {
	w := mustOpen(t, vfs.NewMem(), newClock(), seams)
	defer w.close()
	s := w.mustCreate(t, "s", Config{Shards: 3})
	stop := make(chan struct{})
	var resharding sync.WaitGroup
	var steps int
	resharding.Go(func() { steps = reshardAtRandom(t, s, rand.New(rand.NewPCG(seed, 0)), stop) })

	const producers, perCall = 6, 8
	calls := testenv.Count(100, 1000)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for c := range calls {
				if err := putCall(s, p, c, perCall, p%2 == 1); err != nil {
					t.Errorf("put: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	resharding.Wait()
	if steps == 0 {
		t.Errorf("there was no reshard")
	}
	got := byKey(t, s)
	if len(got) != producers*perCall {
		t.Fatalf("%d keys, want %d", len(got), producers*perCall)
	}
	for key, numbers := range got {
		if len(numbers) != calls {
			t.Fatalf("%s has %d records, want %d", key, len(numbers), calls)
		}
		for i, n := range numbers {
			if n != fmt.Sprint(i) {
				t.Fatalf("record %d of %s is %s", i, key, n)
			}
		}
	}
	for p := 1; p < producers; p += 2 {
		if m, ok := s.Mark(fmt.Sprint("p", p)); !ok || string(m.State) != fmt.Sprint(calls) {
			t.Errorf("mark of producer %d is %q, %v", p, m.State, ok)
		}
	}
}

// TestReadersFollowTheLineage starts at the first shards and goes where the ends of shards lead.
func TestReadersFollowTheLineage(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w, _ := newWorld(t)
	s := w.mustCreate(t, "s", Config{Shards: 2})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	total := int64(testenv.Count(1000, 10_000))
	var read atomic.Int64
	var seen sync.Map
	var readers sync.WaitGroup
	var follow func(shard record.ShardID)
	follow = func(shard record.ShardID) {
		b := record.NewBatch()
		defer b.Release()
		at, err := s.Iterator(ctx, shard, StartingPosition{Type: TrimHorizon})
		for err == nil {
			b.Reset()
			var res ReadResult
			if res, err = s.Read(ctx, at, shardlog.ReadLimit{Records: 100, Bytes: 1 << 20}, b); err != nil {
				break
			}
			for _, r := range b.Records {
				if _, twice := seen.LoadOrStore(string(r.Data), true); twice {
					t.Errorf("record %s was read twice", r.Data)
				}
			}
			if read.Add(int64(b.Len())) == total {
				cancel()
			}
			if res.End {
				for _, c := range res.Children {
					if c.Parents[0] == shard { // a merged shard is read by one of its parents' readers
						readers.Go(func() { follow(c.ID) })
					}
				}
				return
			}
			if at = res.Next; b.Len() == 0 {
				err = s.Wait(ctx, at)
			}
		}
		if ctx.Err() == nil {
			t.Errorf("%v: %v", shard, err)
		}
	}
	for id := range record.ShardID(2) {
		readers.Go(func() { follow(id) })
	}
	stop := make(chan struct{})
	var resharding sync.WaitGroup
	resharding.Go(func() { reshardAtRandom(t, s, rand.New(rand.NewPCG(seed, 0)), stop) })
	for i := range total {
		if _, err := s.Put(context.Background(), []Entry{{Key: fmt.Sprint("k", i%50), Data: fmt.Append(nil, i)}}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	resharding.Wait()
	readers.Wait()
	if read.Load() != total {
		t.Fatalf("%d of %d records were read", read.Load(), total)
	}
}

func TestDeletionEndsPutsReadersAndWaiters(t *testing.T) {
	w, _ := newWorld(t)
	s := w.mustCreate(t, "s", Config{})
	put(t, s, "a")
	ctx := context.Background()
	waited := make(chan error, 1)
	go func() { waited <- s.Wait(ctx, Position{s.Incarnation(), 0, 2}) }()
	putting := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Put(ctx, []Entry{{Key: "k", Data: []byte("x")}}); err != nil {
				putting <- err
				return
			}
		}
	}()
	<-waited // the first of these puts
	go func() { waited <- s.Wait(ctx, Position{s.Incarnation(), 0, 1 << 40}) }()
	if err := w.Delete(ctx, "s"); err != nil {
		t.Fatal(err)
	}
	for _, done := range []chan error{waited, putting} {
		wantCode(t, <-done, fault.Permanent, "stream.deleted")
	}
	_, err := s.Split(ctx, 0, HashKey{Hi: 1})
	wantCode(t, err, fault.Permanent, "stream.deleted")
	wantCode(t, s.UpdateShardCount(ctx, 2), fault.Permanent, "stream.deleted")
	wantCode(t, s.SetRetention(ctx, shardlog.Retention{Age: 48 * time.Hour}), fault.Permanent, "stream.deleted")
	again := w.mustCreate(t, "s", Config{})
	if data, _ := readAll(t, again, 0); len(data) != 0 {
		t.Fatalf("the new stream begins with %q", data)
	}
}
