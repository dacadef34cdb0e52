package deliverytest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/stage"
)

const shards = 4

func openShards(log *disk.Log) error {
	opening := make([]shardlog.Shard, shards)
	for i := range opening {
		opening[i].ID = record.ShardID(i)
	}
	return log.Reshard(context.Background(), nil, opening)
}

// item is the payload of an input, and of an output.
type item struct {
	ID      int    `json:"id"`
	Part    string `json:"part"`
	Pad     string `json:"pad,omitempty"`
	Sub     int    `json:"sub"`
	Version int    `json:"v"`
	Nonce   int64  `json:"nonce"` // what a stateful transform counts
}

// input remembers which records were acked.
type input struct {
	big   bool // records that make objects of several parts
	acked []int
	next  int
}

func newInput(seed uint64) *input { return &input{big: seed%8 == 7} }

// produce appends n records, some together, until it fails.
func (in *input) produce(ctx context.Context, log *disk.Log, rng *rand.Rand, n int) {
	for n > 0 && ctx.Err() == nil {
		count := min(n, 1+rng.IntN(30))
		n -= count
		runs := make([]shardlog.Run, shards)
		var ids []int
		for range count {
			id := in.next
			in.next++
			ids = append(ids, id)
			shard := rng.IntN(shards)
			runs[shard].Shard = record.ShardID(shard)
			runs[shard].Entries = append(runs[shard].Entries, shardlog.Entry{Key: fmt.Sprint(id), Data: in.payload(id, rng)})
		}
		var full []shardlog.Run
		for _, r := range runs {
			if len(r.Entries) > 0 {
				full = append(full, r)
			}
		}
		results, err := log.Append(ctx, full, nil)
		if err != nil {
			return
		}
		for _, r := range results {
			if r.Err != nil {
				return
			}
		}
		in.acked = append(in.acked, ids...)
	}
}

// payload is skewed: one partition gets half of the records, forty others are quiet.
func (in *input) payload(id int, rng *rand.Rand) []byte {
	part, pad := "hot", rng.IntN(200)
	switch {
	case rng.IntN(2) == 0:
	case rng.IntN(4) == 0:
		part = "q" + strconv.Itoa(rng.IntN(40))
	default:
		part = "warm" + strconv.Itoa(rng.IntN(3))
	}
	if rng.IntN(20) == 0 {
		pad = rng.IntN(40 << 10)
	}
	if in.big && part == "hot" {
		pad = 64 << 10
	}
	b := make([]byte, pad)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[rng.IntN(64)]
	}
	p, err := json.Marshal(item{ID: id, Part: part, Pad: string(b)})
	if err != nil {
		panic(err)
	}
	return p
}

// transform is a module of one version: what it does to a record depends on the version, and it keeps state.
type transform struct {
	version int
	calls   atomic.Int64
}

// Fates of a record under a version.
const (
	fateOne = iota
	fateDropped
	fateFailed
	fateMany
	fateAstray // many outputs, and the last of them has no group: it is dead
)

// fate says what a version of the transform does to a record, and how many outputs it makes of it.
func fate(id, version int) (what, outputs int) {
	switch (id*7 + version) % 17 {
	case 3:
		return fateDropped, 0
	case 5:
		return fateFailed, 0
	case 8, 9, 10:
		return fateMany, 2 + (id+version)%3
	case 11:
		return fateAstray, 3
	}
	return fateOne, 1
}

// Apply does what fate says.
func (t *transform) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	for i := range in.Records {
		var it item
		if err := json.Unmarshal(in.Records[i].Data, &it); err != nil {
			return err
		}
		what, n := fate(it.ID, t.version)
		res := stage.Result{First: len(out.Outs), N: n}
		switch what {
		case fateDropped:
			res.Status = stage.Dropped
		case fateFailed:
			res.Status, res.Class, res.Code, res.Reason = stage.Failed, fault.Permanent, "test.failed", "it is its fate"
		}
		for sub := range n {
			o := it
			o.Sub, o.Version, o.Nonce = sub, t.version, t.calls.Add(1)
			part := o.Part
			if sub > 0 && (it.ID+sub)%3 > 0 { // else it stays with its sibling
				part = fmt.Sprintf("split%d", (it.ID+sub)%5)
			} else if t.version%3 == 0 {
				part += "-new"
			}
			data, err := json.Marshal(o)
			if err != nil {
				return err
			}
			made := stage.Out{Parent: i, Key: in.Records[i].Key, Data: out.Arena.Bytes(data)}
			if what != fateAstray || sub < n-1 {
				made.Partition = record.Attrs{{Name: "p", Value: part}}
			}
			out.Outs = append(out.Outs, made)
		}
		out.Results = append(out.Results, res)
	}
	return nil
}

// Close does nothing.
func (t *transform) Close(context.Context) error { return nil }
