package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

// childLife ends a child whose parent is gone.
const childLife = time.Minute

// work is the child. It returns only on an error, or when nobody killed it.
func work(dir, round string) error {
	r, err := open(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), childLife)
	defer cancel()
	s, err := r.Get("load")
	if fault.CodeOf(err) == "stream.not_found" {
		s, err = r.Create(ctx, "load", stream.Config{Shards: 3})
	}
	if err != nil {
		return err
	}
	failed := make(chan error)
	start := func(f func() error) {
		go func() {
			if err := f(); err != nil {
				failed <- err
			}
		}()
	}
	for p := range producers {
		start(func() error { return produce(ctx, s, fmt.Sprintf("%s/%d", round, p), p%2 == 1) })
	}
	start(func() error { return reshard(ctx, s) })
	start(func() error { return comeAndGo(ctx, r) })
	for range 3 {
		start(func() error { return tail(ctx, s) })
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("nobody killed this process")
	}
}

var stdout sync.Mutex

// report writes a line to the parent in one write.
func report(line []byte) {
	stdout.Lock()
	defer stdout.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n'))
}

// produce puts numbered records for ever, each call after the one before was acked and reported.
func produce(ctx context.Context, s *stream.Stream, name string, marked bool) error {
	for call := 0; ; call++ {
		line, err := putCall(ctx, s, name, call, marked)
		if err != nil {
			return err
		}
		report(line)
	}
}

var padding = bytes.Repeat([]byte("x"), 700)

// putCall puts the entries of one call of a producer and returns what there is to report.
func putCall(ctx context.Context, s *stream.Stream, name string, call int, marked bool) (line []byte, err error) {
	var entries []stream.Entry
	for i := range perCall {
		key, number := entryOf(call, i)
		entries = append(entries, stream.Entry{
			Key:  fmt.Sprintf("%s/%d", name, key),
			Data: fmt.Appendf(nil, "%s/%d/%d %s", name, key, number, padding),
		})
	}
	var results []stream.PutResult
	if marked {
		results, err = s.PutMarked(ctx, entries, &shardlog.Mark{Producer: name, State: fmt.Append(nil, call+1)})
	} else {
		results, err = s.Put(ctx, entries)
	}
	if err != nil {
		return nil, err
	}
	line = fmt.Appendf(nil, "put %s %d", name, call)
	for i := range results {
		if results[i].Err != nil {
			return nil, results[i].Err
		}
		line = fmt.Appendf(line, " %d:%d", uint32(results[i].Shard), results[i].Seq)
	}
	return line, nil
}

// reshard splits and merges for ever.
func reshard(ctx context.Context, s *stream.Stream) error {
	for {
		shards, err := s.Shards()
		if err != nil {
			return err
		}
		shards = slices.DeleteFunc(shards, func(sh stream.Shard) bool { return !sh.Closed.IsZero() })
		slices.SortFunc(shards, func(a, b stream.Shard) int { return a.Hash.Start.Compare(b.Hash.Start) })
		i := rand.IntN(len(shards))
		if r := shards[i].Hash; len(shards) < 6 && rand.IntN(2) == 0 && r.End.Hi-r.Start.Hi > 2 {
			_, err = s.Split(ctx, shards[i].ID, stream.HashKey{Hi: r.Start.Hi/2 + r.End.Hi/2})
		} else if i > 0 {
			_, err = s.Merge(ctx, shards[i-1].ID, shards[i].ID)
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
}

// comeAndGo creates and deletes another stream for ever.
func comeAndGo(ctx context.Context, r *registry) error {
	for {
		if _, err := r.Create(ctx, "brief", stream.Config{Shards: 2}); err != nil && fault.CodeOf(err) != "stream.exists" {
			return err
		}
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		if err := r.Delete(ctx, "brief"); err != nil {
			return err
		}
	}
}

// tail reads shards to their ends for ever, each time a random one from its start, and reports how far it got.
func tail(ctx context.Context, s *stream.Stream) error {
	b := record.NewBatch()
	for {
		shards, err := s.Shards()
		if err != nil {
			return err
		}
		at := stream.Position{Incarnation: s.Incarnation(), Shard: shards[rand.IntN(len(shards))].ID, Seq: 1}
		for {
			b.Reset()
			res, err := s.Read(ctx, at, shardlog.ReadLimit{Records: 500, Bytes: 1 << 20}, b)
			if err != nil {
				return err
			}
			for i, r := range b.Records {
				if r.Seq != at.Seq+uint64(i) {
					return fmt.Errorf("%v: read position %d, want %d", r.Shard, r.Seq, at.Seq+uint64(i))
				}
			}
			if at = res.Next; res.End || b.Len() == 0 {
				break
			}
		}
		report(fmt.Appendf(nil, "saw %d %d", uint32(at.Shard), at.Seq-1))
		time.Sleep(time.Millisecond)
	}
}
