package capacity

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
)

const (
	// Interval is over what time a load is averaged. CloudWatch shows the same minutes.
	Interval = time.Minute
	// prefix precedes the incarnations of streams in the state store; the values are histories.
	prefix = "capacity/"
)

// Config is what a Follower needs. Streams and State are required.
type Config struct {
	Streams *stream.Streams
	State   *state.Store
	// Quota is how many open shards the on-demand streams together may have; 0: any number. The shards of provisioned
	// streams have a quota of their own.
	Quota int
	// Warm returns how many shards a stream keeps ready whatever its load; nil, or less than DefaultFloor: DefaultFloor.
	Warm   func(*stream.Stream) int
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	seams seams
}

// Follower lets the on-demand streams of a registry follow their load. Their modes may change at any time. It has one
// goroutine for all of them.
type Follower struct {
	cfg     Config
	streams map[uuid.UUID]*followed
	last    time.Time // when the loads were read before
	unsaved error     // why the histories could not be saved the last time

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// followed is a stream of the on-demand mode.
type followed struct {
	controller Controller
	seen       map[record.ShardID]stream.ShardLoad // the counts at the last step
	dirty      bool                                // the history is not saved as it is
	held       bool                                // the bounds keep it from growing, and the log says so
}

// Follow starts to follow the streams. Close ends it.
func Follow(cfg Config) *Follower {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f := &Follower{cfg: cfg, streams: map[uuid.UUID]*followed{}, last: cfg.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.done.Go(func() {
		tick := time.NewTicker(Interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.step(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return f
}

// Close ends the following, in the midst of a plan if need be: the next Follower on the same state store goes on. It must be
// called before streams and state store are closed.
func (f *Follower) Close() {
	f.cancel()
	f.done.Wait()
}

// step looks at all streams once. Histories are saved before shards change, so that the children of a split find that of
// their parent after a crash.
func (f *Follower) step(ctx context.Context) {
	now := f.cfg.Now()
	elapsed := now.Sub(f.last)
	f.last = now
	if elapsed <= 0 {
		return
	}
	all := f.open()
	room := stream.MaxShards
	if f.cfg.Quota > 0 {
		room = f.cfg.Quota
		for _, s := range all {
			if s.Config().Mode == stream.OnDemand {
				room -= s.OpenShards()
			}
		}
	}
	plans := map[*stream.Stream]Plan{}
	for _, s := range all {
		counts := s.Loads()
		if len(counts) == 0 { // provisioned
			delete(f.streams, s.Incarnation())
			continue
		}
		k := f.streams[s.Incarnation()]
		if k == nil {
			k = f.load(s)
			f.streams[s.Incarnation()] = k
		}
		p, changed := k.controller.Step(now, k.rates(counts, elapsed), f.bounds(s, room))
		k.dirty = k.dirty || changed
		room -= len(p.Splits)
		if (p.Held > 0) != k.held {
			if k.held = p.Held > 0; k.held {
				f.cfg.Logger.Warn("on-demand stream needs more shards than it may have", "stream", s.Name(), "shards", len(counts), "missing", p.Held)
			}
		}
		plans[s] = p
	}
	f.save(ctx)
	for _, s := range all {
		f.apply(ctx, s, plans[s])
	}
}

// open returns the streams that work, by name.
func (f *Follower) open() (all []*stream.Stream) {
	for _, name := range f.cfg.Streams.List() {
		if s, err := f.cfg.Streams.Get(name); err == nil {
			all = append(all, s)
		}
	}
	return all
}

func (f *Follower) bounds(s *stream.Stream, room int) Bounds {
	b := Bounds{Full: s.Config().WriteLimit, Floor: DefaultFloor, Ceiling: DefaultCeiling, Room: room}
	if f.cfg.Warm != nil {
		b.Floor = min(max(b.Floor, f.cfg.Warm(s)), stream.MaxShards)
	}
	return b
}

// rates makes loads of the counts now and at the step before. Counts of a shard that is new began at zero since then.
func (k *followed) rates(counts []stream.ShardLoad, elapsed time.Duration) []Load {
	loads := make([]Load, len(counts))
	seen := make(map[record.ShardID]stream.ShardLoad, len(counts))
	for i, n := range counts {
		before := k.seen[n.ID]
		if n.Records < before.Records || n.Bytes < before.Bytes || n.Refused < before.Refused {
			before = stream.ShardLoad{} // the mode was changed, there and back
		}
		loads[i] = Load{
			ID: n.ID, Hash: n.Hash, Parents: n.Parents, Sample: n.Sample,
			Bytes:   float64(n.Bytes-before.Bytes) / elapsed.Seconds(),
			Records: float64(n.Records-before.Records) / elapsed.Seconds(),
			Refused: n.Refused > before.Refused,
		}
		n.Sample = nil
		seen[n.ID] = n
	}
	k.seen = seen
	return loads
}

// apply carries a plan out. What fails is planned again at the next step if it is still needed.
func (f *Follower) apply(ctx context.Context, s *stream.Stream, p Plan) {
	before := s.OpenShards()
	var err error
	do := func(reshard func() error) {
		if err == nil && s.Config().Mode == stream.OnDemand {
			err = reshard()
		}
	}
	for _, split := range p.Splits {
		do(func() error { _, err := s.Split(ctx, split.Shard, split.At); return err })
	}
	for _, merge := range p.Merges {
		do(func() error { _, err := s.Merge(ctx, merge.Low, merge.High); return err })
	}
	if after := s.OpenShards(); after != before {
		f.cfg.Logger.Info("on-demand stream follows its load", "stream", s.Name(), "shards", after, "before", before, "target", p.Target)
	}
	if err != nil && ctx.Err() == nil && fault.CodeOf(err) != "stream.deleted" {
		f.cfg.Logger.Warn("on-demand stream cannot be resharded", "stream", s.Name(), "error", err)
	}
}

// load returns a stream with its stored history, if there is one.
func (f *Follower) load(s *stream.Stream) *followed {
	k := &followed{controller: Controller{seams: f.cfg.seams}}
	var stored []byte
	f.cfg.State.View(func(tx *state.Tx) { stored, _ = tx.Get(prefix + s.Incarnation().String()) })
	if stored == nil {
		return k
	}
	h, err := decodeHistory(stored)
	if err != nil {
		f.cfg.Logger.Warn("on-demand stream begins a new history: it keeps its shards for 30 days", "stream", s.Name(), "error", err)
		return k
	}
	k.controller.history = h
	return k
}

// save makes the histories that changed durable, and removes those of streams that are gone or in the other mode.
func (f *Follower) save(ctx context.Context) {
	exists := f.cfg.Streams.Incarnations()
	for id := range f.streams {
		if _, ok := exists[id]; !ok {
			delete(f.streams, id)
		}
	}
	changes := map[string][]byte{} // nil: remove
	f.cfg.State.View(func(tx *state.Tx) {
		tx.Scan(prefix, func(key string, _ []byte) bool {
			id, err := uuid.Parse(strings.TrimPrefix(key, prefix))
			name, ok := exists[id]
			if _, broken := f.cfg.Streams.Get(name); err == nil && f.streams[id] == nil && (!ok || broken == nil) {
				changes[key] = nil
			}
			return true
		})
	})
	for id, k := range f.streams {
		if k.dirty {
			changes[prefix+id.String()] = k.controller.history.encode()
		}
	}
	if len(changes) == 0 {
		return
	}
	err := f.cfg.State.Update(ctx, func(tx *state.Tx) error {
		for key, value := range changes {
			if value == nil {
				tx.Delete(key)
			} else {
				tx.Put(key, value)
			}
		}
		return nil
	})
	if err != nil {
		if f.unsaved == nil && ctx.Err() == nil {
			f.cfg.Logger.Warn("the histories of on-demand streams cannot be saved: a restart would forget their last peaks", "error", err)
		}
		f.unsaved = err
		return
	}
	f.unsaved = nil
	for _, k := range f.streams {
		k.dirty = false
	}
}
