package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/internal/killtest"
)

// work is the child. It returns only on an error.
func work(c killtest.Child) error {
	r, err := open(c.Dir)
	if err != nil {
		return err
	}
	s, err := r.Get("load")
	if fault.CodeOf(err) == "stream.not_found" {
		s, err = r.Create(context.Background(), "load", stream.Config{Shards: 3})
	}
	if err != nil {
		return err
	}
	all := []func(context.Context) error{
		func(ctx context.Context) error { return killtest.Reshard(ctx, s, 20*time.Millisecond) },
		func(ctx context.Context) error { return comeAndGo(ctx, r) },
	}
	for p := range producers {
		all = append(all, func(ctx context.Context) error { return produce(ctx, s, fmt.Sprintf("%d/%d", c.Round, p), p%2 == 1) })
	}
	for range 3 {
		all = append(all, func(ctx context.Context) error { return tail(ctx, s) })
	}
	return killtest.Together(all...)
}

// produce puts numbered records for ever, each call after the one before was acked and reported.
func produce(ctx context.Context, s *stream.Stream, name string, marked bool) error {
	for call := 0; ; call++ {
		line, err := putCall(ctx, s, name, call, marked)
		if err != nil {
			return err
		}
		killtest.Report("%s", line)
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
		killtest.Report("saw %d %d", uint32(at.Shard), at.Seq-1)
		time.Sleep(time.Millisecond)
	}
}
