package stream

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// Stream is one stream. All methods are safe for concurrent use. After its deletion they fail with the code
// stream.deleted, also if a new stream has the same name by then.
type Stream struct {
	name        string
	incarnation uuid.UUID
	created     time.Time
	log         shardlog.Log
	metrics     *observe.StreamMetrics
	owner       *Streams
	deleted     atomic.Bool
	closed      atomic.Bool

	config atomic.Pointer[Config]
	table  atomic.Pointer[table]
	turn   atomic.Uint64 // entries that were spread over the shards

	// reshard is held for writing while shards or the configuration change, and for reading by puts that must not see
	// a shard close under way.
	reshard sync.RWMutex
}

// Shard describes a shard with its place in the hash space and in the lineage.
type Shard struct {
	ID   record.ShardID
	Hash HashRange
	// Parents are the shards this one continues: none for the first shards of a stream, one after a split, after a
	// merge the parent and the adjacent parent, which is the one with the higher range. They may have expired.
	Parents []record.ShardID
	// Start sorts before all records of the shard. End sorts after them; it is meaningful only once the shard is closed.
	Start, End SequenceNumber
	// Opened and Closed are the server's clock at the reshard; Closed is zero while the shard takes records.
	Opened, Closed time.Time
	// TrimHorizon is the position of the oldest record that can be read, Next the one that the next record will get.
	TrimHorizon, Next uint64
}

// Name is the stream's name.
func (s *Stream) Name() string { return s.name }

// Incarnation identifies this stream and no other one that has or had the same name.
func (s *Stream) Incarnation() uuid.UUID { return s.incarnation }

// Created is when the stream was created.
func (s *Stream) Created() time.Time { return s.created }

// Config returns the current configuration.
func (s *Stream) Config() Config { return *s.config.Load() }

// Deleted tells whether the stream has been deleted. Its log is closed then.
func (s *Stream) Deleted() bool { return s.deleted.Load() }

// Log is the log below the stream, for scans, pins and positions. Shards are opened and closed only through the stream.
func (s *Stream) Log() shardlog.Log { return s.log }

// Mark returns the newest mark of a producer, as its PutMarked stored it.
func (s *Stream) Mark(producer string) (shardlog.Mark, bool) { return s.log.Mark(producer) }

// Shards describes the open shards and those closed ones that still have records, by id.
func (s *Stream) Shards() ([]Shard, error) {
	if err := s.check("list shards"); err != nil {
		return nil, err
	}
	states := s.log.Shards()
	shards := make([]Shard, 0, len(states))
	for i := range states {
		sh, err := describe(&states[i])
		if err != nil {
			return nil, s.explain(err, "list shards")
		}
		shards = append(shards, sh)
	}
	return shards, nil
}

// Shard describes one shard; it fails with the code stream.no_shard if there is none or it has expired.
func (s *Stream) Shard(id record.ShardID) (Shard, error) {
	if err := s.check("describe a shard"); err != nil {
		return Shard{}, err
	}
	st, ok := s.log.State(id)
	if !ok {
		return Shard{}, s.errNoShard(id)
	}
	sh, err := describe(&st)
	return sh, s.explain(err, "describe a shard")
}

func describe(st *shardlog.ShardState) (Shard, error) {
	m, err := decodeMeta(st.Meta)
	if err != nil {
		return Shard{}, err
	}
	sh := Shard{
		ID: st.ID, Hash: m.hash, Parents: m.parents,
		Start:  SequenceNumber{Created: m.created, Shard: st.ID, Second: m.created},
		Opened: st.Opened, Closed: st.Closed,
		TrimHorizon: st.TrimHorizon, Next: st.Next,
	}
	if !st.Closed.IsZero() {
		sh.End = SequenceNumber{Created: m.created, Shard: st.ID, Position: EndPosition, Second: st.Closed.Unix()}
	}
	return sh, nil
}

// SequenceNumber returns the number of a record that was read from this stream.
func (s *Stream) SequenceNumber(r *record.Record) (SequenceNumber, error) {
	m, ok := s.table.Load().shards[r.Shard]
	if !ok {
		return SequenceNumber{}, s.errNoShard(r.Shard)
	}
	return SequenceNumber{Created: m.created, Shard: r.Shard, Position: r.Seq, Second: r.Arrived / int64(time.Second)}, nil
}

// OpenShards is the number of shards that take records.
func (s *Stream) OpenShards() int { return len(s.table.Load().open) }

// Update changes the configuration in one durable step. change gets the current one; what it leaves must be valid, and
// the number of shards is not its to change. If change fails, nothing happens and Update returns its error.
func (s *Stream) Update(ctx context.Context, change func(*Config) error) error {
	s.reshard.Lock()
	defer s.reshard.Unlock()
	if err := s.check("change the configuration"); err != nil {
		return err
	}
	c := s.Config()
	if err := change(&c); err != nil {
		return err
	}
	if c.Shards != s.Config().Shards {
		return fault.New(fault.Permanent, "stream.invalid_config", "stream %s: the number of shards is not changed by its configuration", s.name).
			WithHint("split or merge shards")
	}
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return fault.New(fault.ClassOf(err), fault.CodeOf(err), "stream %s: %w", s.name, err)
	}
	if c == s.Config() {
		return nil // also on a full disk
	}
	if err := s.owner.saveConfig(ctx, s, c); err != nil {
		return err
	}
	s.config.Store(&c)
	s.log.SetRetention(c.Retention)
	return s.refresh()
}

// SetRetention changes how long records stay, in either direction. A shorter retention lets older records go soon after,
// a longer one cannot bring back what has gone.
func (s *Stream) SetRetention(ctx context.Context, r shardlog.Retention) error {
	return s.Update(ctx, func(c *Config) error {
		c.Retention = r
		return nil
	})
}

// refresh reads the shards of the log anew. s.reshard is held for writing.
func (s *Stream) refresh() error {
	t, err := newTable(s.name, s.log.Shards(), s.config.Load().WriteLimit, s.table.Load())
	if err != nil {
		return s.explain(err, "read the shards")
	}
	if s.config.Load().Mode == OnDemand {
		t.meter(s.table.Load())
	}
	s.table.Store(t)
	return nil
}

// children describes the shards that continue id, by id.
func (s *Stream) children(id record.ShardID) ([]Shard, error) {
	all, err := s.Shards()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c Shard) bool { return !slices.Contains(c.Parents, id) }), nil
}
