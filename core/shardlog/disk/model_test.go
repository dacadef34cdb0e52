package disk

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

// modelShard is what the model knows of a shard.
type modelShard struct {
	data    []string
	arrived []int64
	closed  bool
}

// TestLogFollowsItsModel drives a log with random operations, one at a time, and compares every answer.
func TestLogFollowsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		mem := vfs.NewMem()
		open := func() *Log {
			l, err := Open(mem, "/log", simOptions(seams{}))
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		l := open()
		defer func() { _ = l.Close() }()
		shards := map[record.ShardID]*modelShard{}
		marks := map[string]string{}
		counter := 0
		var sc shardlog.Scanner
		scanned := map[record.ShardID]int{}
		pick := func(t *rapid.T) record.ShardID {
			return record.ShardID(rapid.IntRange(0, len(shards)).Draw(t, "shard")) // one of them does not exist
		}
		restart := func() {
			if sc != nil {
				_ = sc.Close()
				sc = nil
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open()
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var runs []shardlog.Run
				for range rapid.IntRange(1, 3).Draw(t, "runs") {
					r := shardlog.Run{Shard: pick(t)}
					for range rapid.IntRange(0, 3).Draw(t, "records") {
						counter++
						data := fmt.Appendf(make([]byte, rapid.IntRange(0, 9000).Draw(t, "size")), "%d", counter)
						r.Entries = append(r.Entries, shardlog.Entry{Data: data})
					}
					runs = append(runs, r)
				}
				producer, state := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "producer"), rapid.StringN(0, 20, 40).Draw(t, "state")
				res, err := l.Append(ctx, runs, &shardlog.Mark{Producer: producer, State: []byte(state)})
				if err != nil {
					t.Fatal(err)
				}
				stored := false
				for i, r := range runs {
					sh := shards[r.Shard]
					switch {
					case sh == nil:
						if !errors.Is(res[i].Err, shardlog.ErrNoShard) {
							t.Fatalf("run %d: %v", i, res[i].Err)
						}
						continue
					case sh.closed:
						if !errors.Is(res[i].Err, shardlog.ErrShardClosed) {
							t.Fatalf("run %d: %v", i, res[i].Err)
						}
						continue
					}
					if res[i].Err != nil || res[i].First != uint64(len(sh.data))+1 {
						t.Fatalf("run %d: %+v, want position %d", i, res[i], len(sh.data)+1)
					}
					stored = true
					for _, e := range r.Entries {
						sh.data = append(sh.data, string(e.Data))
						sh.arrived = append(sh.arrived, res[i].Arrived)
					}
				}
				if stored {
					if marks[producer] = state; state == "" {
						delete(marks, producer)
					}
				}
			},
			"reshard": func(t *rapid.T) {
				var closing []record.ShardID
				id := pick(t)
				closes := rapid.Bool().Draw(t, "closes")
				if closes {
					closing = append(closing, id)
				}
				child := record.ShardID(len(shards))
				err := l.Reshard(ctx, closing, []shardlog.Shard{{ID: child, Meta: []byte("m")}})
				if bad := closes && (shards[id] == nil || shards[id].closed); bad != (err != nil) {
					t.Fatalf("close %v: %v", id, err)
				}
				if err == nil {
					shards[child] = &modelShard{}
					if closes {
						shards[id].closed = true
					}
				}
			},
			"seek": func(t *rapid.T) {
				id := pick(t)
				sh := shards[id]
				if sh == nil || len(sh.arrived) == 0 {
					return
				}
				at := sh.arrived[rapid.IntRange(0, len(sh.arrived)-1).Draw(t, "record")] + int64(rapid.IntRange(-1, 1).Draw(t, "shift"))
				want := uint64(1)
				for int(want) <= len(sh.arrived) && sh.arrived[want-1] < at {
					want++
				}
				if got, err := l.SeekTime(ctx, id, time.Unix(0, at)); err != nil || got != want {
					t.Fatalf("seek in %v: %d, %v, want %d", id, got, err, want)
				}
			},
			"roll":    func(*rapid.T) { _ = l.submit(ctx, l.newGroup(groupRoll, 0)) },
			"promise": func(*rapid.T) { l.promise() },
			"restart": func(*rapid.T) { restart() },
			"power failure": func(t *rapid.T) {
				// Everything was acked, so nothing may be missing.
				crashed := mem.Crash(rngOf(rapid.Uint64().Draw(t, "seed")), rapid.IntRange(0, 100).Draw(t, "percent"))
				restart()
				_ = l.Close()
				mem = crashed
				l = open()
			},
			"read": func(t *rapid.T) {
				id := pick(t)
				sh := shards[id]
				if sh == nil {
					return
				}
				from := uint64(rapid.IntRange(1, len(sh.data)+1).Draw(t, "from"))
				limit := shardlog.ReadLimit{Records: rapid.IntRange(1, 20).Draw(t, "records"), Bytes: rapid.IntRange(1, 50_000).Draw(t, "bytes")}
				b := record.NewBatch()
				defer b.Release()
				next, err := l.Read(ctx, id, from, limit, b)
				n, bytes := 0, 0
				for i := int(from) - 1; i < len(sh.data) && n < limit.Records && (n == 0 || bytes+len(sh.data[i]) <= limit.Bytes); i++ {
					n, bytes = n+1, bytes+len(sh.data[i])
				}
				if err != nil || next != from+uint64(n) || b.Len() != n {
					t.Fatalf("read %v from %d, %+v: next %d, %d records, %v; want %d records", id, from, limit, next, b.Len(), err, n)
				}
				for i, r := range b.Records {
					if string(r.Data) != sh.data[int(from)-1+i] {
						t.Fatalf("%v at %d has other data", id, r.Seq)
					}
				}
			},
			"scan": func(t *rapid.T) {
				if sc == nil {
					from := shardlog.Positions{}
					for id := range shards {
						from[id] = uint64(scanned[id]) + 1
					}
					var err error
					if sc, err = l.Scan(from); err != nil {
						t.Fatal(err)
					}
				}
				b := record.NewBatch()
				defer b.Release()
				if err := sc.Next(ctx, shardlog.ReadLimit{Records: rapid.IntRange(1, 30).Draw(t, "records")}, b); err != nil {
					t.Fatal(err)
				}
				for _, r := range b.Records {
					if r.Seq != uint64(scanned[r.Shard])+1 || string(r.Data) != shards[r.Shard].data[r.Seq-1] {
						t.Fatalf("scan: %v at %d, want %d", r.Shard, r.Seq, scanned[r.Shard]+1)
					}
					scanned[r.Shard]++
				}
				if left := fmt.Sprint(unread(shards, scanned)); b.Len() == 0 && left != "0" {
					t.Fatalf("the scan ends with %s records unread", left)
				}
			},
			"": func(t *rapid.T) {
				for id, sh := range shards {
					if st, ok := l.State(id); !ok || st.Next != uint64(len(sh.data))+1 || st.Closed.IsZero() == sh.closed {
						t.Fatalf("%v: %+v %v, want %d records, closed %v", id, st, ok, len(sh.data), sh.closed)
					}
				}
				for _, p := range []string{"a", "b"} {
					if m, ok := l.Mark(p); string(m.State) != marks[p] || ok != (marks[p] != "") {
						t.Fatalf("mark of %s is %q, want %q", p, m.State, marks[p])
					}
				}
			},
		})
		if sc != nil {
			_ = sc.Close()
		}
	})
}

func unread(shards map[record.ShardID]*modelShard, scanned map[record.ShardID]int) (n int) {
	for id, sh := range shards {
		n += len(sh.data) - scanned[id]
	}
	return n
}
