package kinesis

import (
	"context"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

// lineage checks that all that the API tells of a stream's shards fits together, and fits what it has told before.
type lineage struct {
	*server
	seen map[string]Shard // as last told, also those that have expired since
}

// TestShardsTellOneLineage splits, merges, puts and lets time pass, and compares what ListShards with all its filters,
// DescribeStream and the children at the end of shards tell.
func TestShardsTellOneLineage(t *testing.T) {
	for range testenv.Count(1, 10) { // of 100 series each
		checkLineage(t)
	}
}

func checkLineage(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var failed any // rapid wants to see it where it called
		synctest.Test(t, func(t *testing.T) {
			s := &server{t: t, fs: vfs.NewMem(), cfg: Config{Account: "123456789012"}}
			s.start()
			defer s.stop()
			defer func() { failed = recover() }()
			l := &lineage{server: s, seen: map[string]Shard{}}
			s.create("s", rapid.IntRange(1, 5).Draw(r, "shards"))
			r.Repeat(map[string]func(*rapid.T){
				"":       l.check,
				"split":  l.split,
				"merge":  l.merge,
				"update": l.update,
				"put":    l.put,
				"wait":   func(r *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 20).Draw(r, "hours")) * time.Hour) },
			})
		})
		if failed != nil {
			panic(failed)
		}
	})
}

func (l *lineage) open() []Shard {
	return must[ListShardsOutput](l.server, "ListShards", filtered("AT_LATEST")).Shards
}

func (l *lineage) split(r *rapid.T) {
	sh := rapid.SampledFrom(l.open()).Draw(r, "shard")
	from, to := number(sh.HashKeyRange.StartingHashKey), number(sh.HashKeyRange.EndingHashKey)
	width := new(big.Int).Sub(to, from)
	if width.Cmp(big.NewInt(1000)) < 0 {
		r.Skip("too narrow")
	}
	part := big.NewInt(rapid.Int64Range(2, 999).Draw(r, "thousandth"))
	at := part.Add(part.Div(part.Mul(part, width), big.NewInt(1000)), from)
	must[any](l.server, "SplitShard", doc{"StreamName": "s", "ShardToSplit": sh.ShardId, "NewStartingHashKey": at.String()})
}

func (l *lineage) merge(r *rapid.T) {
	open := byRange(l.open())
	if len(open) < 2 {
		r.Skip("one shard")
	}
	i := rapid.IntRange(1, len(open)-1).Draw(r, "pair")
	must[any](l.server, "MergeShards", doc{"StreamName": "s", "ShardToMerge": open[i-1].ShardId, "AdjacentShardToMerge": open[i].ShardId})
}

func (l *lineage) update(r *rapid.T) {
	n := len(l.open())
	count := rapid.IntRange((n+1)/2, max((n+1)/2, min(2*n, 8))).Draw(r, "count")
	if err := l.call("UpdateShardCount", target("s", count), nil); err != nil {
		r.Skip("too often") // ten times a day
	}
	synctest.Wait()
}

func (l *lineage) put(r *rapid.T) {
	k, err := l.known("s")
	if err != nil {
		r.Fatal(err)
	}
	if _, err := k.Put(context.Background(), []stream.Entry{{Key: rapid.StringN(1, 5, -1).Draw(r, "key"), Data: []byte("x")}}); err != nil {
		r.Fatal(err)
	}
}

func (l *lineage) check(r *rapid.T) {
	synctest.Wait()
	shards := must[ListShardsOutput](l.server, "ListShards", doc{"StreamName": "s"}).Shards
	var described []Shard
	for in := (doc{"StreamName": "s"}); ; {
		d := must[DescribeStreamOutput](l.server, "DescribeStream", in).StreamDescription
		described = append(described, d.Shards...)
		if !d.HasMoreShards {
			break
		}
		in["ExclusiveStartShardId"] = d.Shards[len(d.Shards)-1].ShardId
	}
	if !reflect.DeepEqual(shards, described) {
		r.Fatalf("ListShards tells\n%+v\nand DescribeStream\n%+v", shards, described)
	}
	listed := map[string]Shard{}
	for _, sh := range shards {
		if before, ok := l.seen[sh.ShardId]; ok {
			if before.SequenceNumberRange.EndingSequenceNumber == "" {
				before.SequenceNumberRange = sh.SequenceNumberRange
			}
			if !reflect.DeepEqual(before, sh) {
				r.Fatalf("%s was %+v and is %+v", sh.ShardId, before, sh)
			}
		} else if n := len(l.seen); n > 0 && sh.ShardId < fmt.Sprintf("shardId-%012d", n) {
			r.Fatalf("%s appears after %d others", sh.ShardId, n)
		}
		l.seen[sh.ShardId], listed[sh.ShardId] = sh, sh
	}
	children := map[string][]ChildShard{}
	for _, sh := range shards {
		var parents []string
		for _, parent := range []string{sh.ParentShardId, sh.AdjacentParentShardId} {
			if parent != "" {
				parents = append(parents, parent)
			}
		}
		there := 0
		for _, id := range parents {
			parent, ok := l.seen[id]
			if !ok || parent.SequenceNumberRange.EndingSequenceNumber >= sh.SequenceNumberRange.StartingSequenceNumber {
				r.Fatalf("%s of %+v begins before the end of its parent %+v", sh.ShardId, sh, parent)
			}
			if _, ok := listed[id]; ok {
				there++
				children[id] = append(children[id], ChildShard{ShardId: sh.ShardId, HashKeyRange: sh.HashKeyRange, ParentShards: parents})
			}
		}
		if there != 0 && there != len(parents) {
			r.Fatalf("of the parents %v of %s only %d are listed", parents, sh.ShardId, there)
		}
	}
	for range 5 { // reading all of them every time takes long
		sh := rapid.SampledFrom(shards).Draw(r, "read")
		if got := l.childrenOf(r, sh); !reflect.DeepEqual(got, children[sh.ShardId]) {
			r.Fatalf("at the end of %s are the children\n%+v\nbut ListShards tells\n%+v", sh.ShardId, got, children[sh.ShardId])
		}
	}
	covers(r, "AT_LATEST", l.open())
	covers(r, "AT_TRIM_HORIZON", must[ListShardsOutput](l.server, "ListShards", filtered("AT_TRIM_HORIZON")).Shards)
	at := time.Now().Add(-time.Duration(rapid.IntRange(0, 60*60).Draw(r, "minutes ago")) * time.Minute)
	covers(r, "AT_TIMESTAMP "+at.String(), must[ListShardsOutput](l.server, "ListShards", filtered("AT_TIMESTAMP", "Timestamp", wire.At(at))).Shards)
}

// childrenOf reads a shard to its end and returns what a client then gets as its children; nothing of an open shard.
func (l *lineage) childrenOf(r *rapid.T, sh Shard) []ChildShard {
	k, err := l.known("s")
	if err != nil {
		r.Fatal(err)
	}
	id, err := record.ParseShardID(sh.ShardId)
	if err != nil {
		r.Fatal(err)
	}
	at, err := k.Iterator(context.Background(), id, stream.StartingPosition{Type: stream.Latest})
	if err != nil {
		r.Fatal(err)
	}
	batch := record.NewBatch()
	defer batch.Release()
	res, err := k.Read(context.Background(), at, shardlog.ReadLimit{}, batch)
	if err != nil || res.End != (sh.SequenceNumberRange.EndingSequenceNumber != "") {
		r.Fatalf("%s ends: %v, %v, but it is %+v", sh.ShardId, res.End, err, sh)
	}
	if !res.End {
		return nil
	}
	return childShapes(res.Children)
}

// covers checks that shards divide the hash space.
func covers(r *rapid.T, filter string, shards []Shard) {
	next := big.NewInt(0)
	for _, sh := range byRange(shards) {
		if number(sh.HashKeyRange.StartingHashKey).Cmp(next) != 0 {
			r.Fatalf("%s: no shard begins at %v: %+v", filter, next, shards)
		}
		next = number(sh.HashKeyRange.EndingHashKey)
		next.Add(next, big.NewInt(1))
	}
	if next.BitLen() != 129 {
		r.Fatalf("%s: the shards end at %v: %+v", filter, next, shards)
	}
}

func byRange(shards []Shard) []Shard {
	slices.SortFunc(shards, func(a, b Shard) int {
		return number(a.HashKeyRange.StartingHashKey).Cmp(number(b.HashKeyRange.StartingHashKey))
	})
	return shards
}

func number(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic(s + " is no number")
	}
	return n
}
