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

// Dedupe drops records whose key another record has had before.
type Dedupe struct {
	setting.Node
	By      []string         `yaml:"by" default:"_data" items:"1..16" doc:"What makes the key: paths such as .id, _key, _attrs.name, _data or _shard; of several, all together."`
	Window  setting.Duration `yaml:"window" default:"10m" range:"1s..7d" doc:"How long a key is remembered, by the times at which records arrived in the stream."`
	MaxKeys int              `yaml:"max_keys" default:"100000" range:"1..10000000" doc:"How many keys are remembered; each takes about 120 bytes. Beyond it the oldest is forgotten before its time."`
	Missing string           `yaml:"missing" default:"keep" enum:"keep|drop|fail" doc:"What becomes of a record that lacks a part of the key."`
}

// PerSink implements PerSink.
func (c *Dedupe) PerSink() {}

// Open implements Config.
func (c *Dedupe) Open(_ context.Context, env Env) (stage.Transform, error) {
	by, err := selectorAt(&c.Node, "by", "dedupe.bad_key", c.By)
	if err != nil {
		return nil, err
	}
	d := &dedupe{by: by, missing: c.Missing, seen: newSeenKeys(c.Window.Std(), c.MaxKeys, env.Logger)}
	return eachWith(func() *selected { return new(selected) }, d.apply), nil
}

type dedupe struct {
	by      *selector
	missing string
	seen    *seenKeys
}

func (d *dedupe) apply(s *selected, r *record.Record, w *writer) {
	key, missing, fail := s.of(d.by, r)
	switch {
	case fail.code != "":
		w.fail("dedupe"+fail.code, "%s", fail.reason)
	case missing != "":
		w.missing(d.missing, "dedupe.no_key", missing)
	case d.seen.first(key, r):
		w.keep()
	default:
		w.drop()
	}
}

// missing does what a setting says about a record that lacks a part.
func (w *writer) missing(what, code, part string) {
	switch what {
	case "keep":
		w.keep()
	case "drop":
		w.drop()
	default:
		w.fail(code, "%s is missing or null", part)
	}
}

// readLate is how much later than others, in ns between arrivals, records may be read, or read again, and still be compared with those of
// their own time.
const readLate = int64(time.Minute)

// seenKeys remembers which record was the first with a key. Keys are remembered by a hash of 128 bits.
type seenKeys struct {
	window int64 // ns
	most   int
	log    *slog.Logger
	seeds  [2]maphash.Seed

	mu     sync.Mutex
	index  map[[2]uint64]int // in ring
	ring   []seenKey         // n of them are in use, from head on, oldest first; it grows up to most
	head   int
	n      int
	newest int64 // latest arrival seen
	warned bool
}

type seenKey struct {
	hash    [2]uint64
	seq     uint64
	arrived int64
	shard   record.ShardID
	sub     uint32
}

func newSeenKeys(window time.Duration, most int, log *slog.Logger) *seenKeys {
	return &seenKeys{
		window: int64(window), most: most, log: log, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		index: map[[2]uint64]int{},
	}
}

// first reports whether r is the first record with the key within the window. It is also if it is seen again: the chain looks
// for records that break a stage by giving it parts of a batch again, and a delivery that fails reads its records once more.
func (k *seenKeys) first(key []byte, r *record.Record) bool {
	now := seenKey{
		hash: [2]uint64{maphash.Bytes(k.seeds[0], key), maphash.Bytes(k.seeds[1], key)},
		seq:  r.Seq, arrived: r.Arrived, shard: r.Shard, sub: r.Sub,
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.newest = max(k.newest, r.Arrived)
	if i, ok := k.index[now.hash]; ok {
		old := &k.ring[i]
		if old.shard == now.shard && old.seq == now.seq && old.sub == now.sub {
			return true
		}
		if apart := now.arrived - old.arrived; apart < k.window && -apart < k.window {
			return false
		}
		if now.arrived > old.arrived { // else an old record is read late
			*old = now
		}
		return true
	}
	k.add(now)
	return true
}

func (k *seenKeys) add(now seenKey) {
	for k.n > 0 && k.newest-k.ring[k.head].arrived >= k.window+readLate {
		k.forget()
	}
	switch {
	case k.n < len(k.ring):
	case k.n < k.most:
		k.grow()
	default:
		if !k.warned && k.newest-k.ring[k.head].arrived < k.window {
			k.warned = true
			k.log.Warn("dedupe forgets keys before their window ends, and lets through what it should drop; raise max_keys",
				"max_keys", k.most, "window", time.Duration(k.window))
		}
		k.forget()
	}
	at := (k.head + k.n) % len(k.ring)
	k.ring[at] = now
	k.index[now.hash] = at
	k.n++
}

// forget removes the oldest key.
func (k *seenKeys) forget() {
	delete(k.index, k.ring[k.head].hash)
	k.head = (k.head + 1) % len(k.ring)
	k.n--
}

func (k *seenKeys) grow() {
	const first = 1 << 10
	ring := make([]seenKey, min(max(first, 2*len(k.ring)), k.most))
	for i := range k.n {
		ring[i] = k.ring[(k.head+i)%len(k.ring)]
		k.index[ring[i].hash] = i
	}
	k.ring, k.head = ring, 0
}

// Doc implements Config.
func (c *Dedupe) Doc() Doc {
	return Doc{
		Summary: "Drops records whose key another record has had before, within a window of time.",
		Text: selectorText + "\n\nWhat is remembered is in memory, for each sink by itself. After a restart of the process, or another version of the pipeline, nothing is remembered: a duplicate of a record from before passes. " +
			"A record is never dropped because of itself: one that is read again after a failure passes again. The window is measured between arrivals in the stream, so that a backlog is treated as it would have been live. " +
			"Where several workers transform batches at the same time, any one of equal records may be the first.",
		Codes: []Code{
			{"dedupe.not_json", "The record is not one JSON value, and the key has a path."},
			{"dedupe.no_key", "With `missing: fail`: the record lacks a part of the key."},
		},
		Examples: []Example{
			{Title: "By the data", Config: `{}`, Input: []string{"a", "b", "a"}, Output: []string{"a", "b"}, Dropped: 1},
			{
				Title: "By two fields", Config: `{ by: [ .user, .event ], window: 1h, missing: fail }`,
				Input:  []string{`{"user":1,"event":"in"}`, `{"user":1,"event":"out"}`, `{"event":"in","user":1.0}`, `{"user":1}`},
				Output: []string{`{"user":1,"event":"in"}`, `{"user":1,"event":"out"}`}, Dropped: 1, Failed: []string{"dedupe.no_key"},
			},
		},
	}
}
