package builtin

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// RateLimit lets so many records or bytes through a second.
type RateLimit struct {
	setting.Node
	RecordsPerSecond int              `yaml:"records_per_second" default:"0" range:"0..10000000" doc:"Records a second; 0 for no limit."`
	BytesPerSecond   setting.Bytes    `yaml:"bytes_per_second" default:"0B" range:"0B..10GiB" doc:"Bytes of data a second; 0B for no limit."`
	Burst            setting.Duration `yaml:"burst" default:"1s" range:"1ms..1h" doc:"What may pass at once after a pause: the records and bytes of this long."`
	Excess           string           `yaml:"excess" default:"wait" enum:"wait|drop|fail" doc:"What becomes of records beyond the limit: wait holds them, and all that come after them, back; drop and fail end them."`
	By               []string         `yaml:"by" items:"0..16" doc:"A limit for each key by itself: paths such as .user.id, _key, _attrs.name, _data or _shard; of several, all together. Default: one limit for all."`
	MaxKeys          int              `yaml:"max_keys" default:"10000" range:"1..10000000" doc:"How many keys within their burst are remembered; each takes about 80 bytes. Beyond it some are forgotten, and begin anew."`
	Missing          string           `yaml:"missing" default:"keep" enum:"keep|drop|fail" doc:"What becomes of a record that lacks a part of the key; keep lets it through without a limit."`
}

// PerSink implements PerSink.
func (c *RateLimit) PerSink() {}

// Open implements Config.
func (c *RateLimit) Open(_ context.Context, env Env) (stage.Transform, error) {
	if c.RecordsPerSecond == 0 && c.BytesPerSecond == 0 {
		return nil, invalid(&c.Node, "records_per_second", "rate_limit.no_limit", "rate_limit needs records_per_second, bytes_per_second or both")
	}
	l := &rateLimit{excess: c.Excess, missing: c.Missing, buckets: &buckets{
		burst: int64(c.Burst), records: int64(c.RecordsPerSecond), bytes: int64(c.BytesPerSecond),
		most: c.MaxKeys, log: env.Logger, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, free: map[[2]uint64]bucket{},
	}}
	if len(c.By) > 0 {
		by, err := selectorAt(&c.Node, "by", "rate_limit.bad_key", c.By)
		if err != nil {
			return nil, err
		}
		l.by = by
	}
	return eachWith(func() *selected { return new(selected) }, l.apply), nil
}

type rateLimit struct {
	excess, missing string
	by              *selector // nil: one limit for all
	buckets         *buckets
}

func (l *rateLimit) apply(s *selected, r *record.Record, w *writer) {
	var key []byte
	if l.by != nil {
		var missing string
		var fail failure
		key, missing, fail = s.of(l.by, r)
		switch {
		case fail.code != "":
			w.fail("rate_limit"+fail.code, "%s", fail.reason)
			return
		case missing != "":
			w.missing(l.missing, "rate_limit.no_key", missing)
			return
		}
	}
	if l.excess == "wait" {
		if err := sleep(w.ctx, l.buckets.reserve(key, len(r.Data), time.Now().UnixNano())); err != nil {
			w.abort(err)
			return
		}
		w.keep()
		return
	}
	switch {
	case l.buckets.take(key, len(r.Data), r.Arrived):
		w.keep()
	case l.excess == "drop":
		w.drop()
	default:
		w.fail("rate_limit.exceeded", "the record is beyond the limit")
	}
}

// sleep waits for a time, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// buckets are leaky buckets, one for each key. Keys are remembered by a hash of 128 bits.
type buckets struct {
	burst, records, bytes int64 // ns, and what passes a second; 0 is no limit
	most                  int
	log                   *slog.Logger
	seeds                 [2]maphash.Seed

	mu     sync.Mutex
	free   map[[2]uint64]bucket
	warned bool
}

// bucket holds the times, in ns, at which all that has passed will have leaked out.
type bucket struct{ records, bytes int64 }

// take reports whether a record of size bytes may pass at a time, and counts it if it may. One that is larger than a burst passes once
// the bucket is empty, and those after it wait for it.
func (b *buckets) take(key []byte, size int, now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	hash := b.hash(key)
	k, wait := b.free[hash].pour(b, size, now)
	if wait > 0 {
		return false
	}
	b.put(hash, k, now)
	return true
}

// reserve counts a record and returns how long it has to wait.
func (b *buckets) reserve(key []byte, size int, now int64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	hash := b.hash(key)
	k, wait := b.free[hash].pour(b, size, now)
	b.put(hash, k, now)
	return time.Duration(wait)
}

// pour returns the bucket with a record, and how long it is, in ns, until there is room for it.
func (k bucket) pour(b *buckets, size int, now int64) (_ bucket, wait int64) {
	one := func(until, takes int64) int64 {
		until = max(until, now)
		wait = max(wait, until+min(takes, b.burst)-now-b.burst)
		return until + takes
	}
	if b.records > 0 {
		k.records = one(k.records, int64(time.Second)/b.records)
	}
	if b.bytes > 0 {
		k.bytes = one(k.bytes, int64(float64(size)/float64(b.bytes)*float64(time.Second)))
	}
	return k, wait
}

func (b *buckets) hash(key []byte) [2]uint64 {
	if key == nil {
		return [2]uint64{}
	}
	return [2]uint64{maphash.Bytes(b.seeds[0], key), maphash.Bytes(b.seeds[1], key)}
}

// put remembers a bucket. Empty ones need not be, and if that does not make room, some that are not are forgotten.
func (b *buckets) put(hash [2]uint64, k bucket, now int64) {
	if _, known := b.free[hash]; !known && len(b.free) >= b.most {
		for h, old := range b.free {
			if old.records <= now && old.bytes <= now {
				delete(b.free, h)
			}
		}
		for h := range b.free {
			if len(b.free) <= b.most-b.most/8-1 {
				break
			}
			if delete(b.free, h); !b.warned {
				b.warned = true
				b.log.Warn("rate_limit forgets keys, which begin anew; raise max_keys", "max_keys", b.most)
			}
		}
	}
	b.free[hash] = k
}

// Doc implements Config.
func (c *RateLimit) Doc() Doc {
	return Doc{
		Summary: "Lets so many records or bytes through a second.",
		Text: "With `excess: wait` what is beyond the limit stays in the stream until it may pass: nothing is lost, and the sink is never given more than it can take. The limit is that of the clock, for each sink by itself. " +
			"With `drop` and `fail` the limit is on what arrived in the stream in a second, so that a backlog is treated as it would have been live; records that are read again after a failure count again.\n\n" + selectorText,
		Codes: []Code{
			{"rate_limit.exceeded", "With `excess: fail`: the record is beyond the limit."},
			{"rate_limit.not_json", "The record is not one JSON value, and the key has a path."},
			{"rate_limit.no_key", "With `missing: fail`: the record lacks a part of the key."},
		},
		Examples: []Example{
			{
				Title: "Two records of each user a second", Config: `{ records_per_second: 2, by: .user, excess: drop }`,
				Input:  []string{`{"user":1,"n":1}`, `{"user":1,"n":2}`, `{"user":1,"n":3}`, `{"user":2,"n":1}`},
				Output: []string{`{"user":1,"n":1}`, `{"user":1,"n":2}`, `{"user":2,"n":1}`}, Dropped: 1,
			},
			{Title: "No faster than a sink can take it", Config: `{ records_per_second: 1000, bytes_per_second: 1MiB }`, Input: []string{"one", "two"}, Output: []string{"one", "two"}},
		},
	}
}
