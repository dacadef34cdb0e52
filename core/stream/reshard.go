package stream

import (
	"context"
	"slices"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// Split closes a shard and opens two that divide its range: the second one begins at at. at must be greater than the
// range's start plus one and less than its end, as in the Kinesis service. It returns the two new shards.
func (s *Stream) Split(ctx context.Context, id record.ShardID, at HashKey) ([2]record.ShardID, error) {
	s.reshard.Lock()
	defer s.reshard.Unlock()
	t := s.table.Load()
	m, err := s.openMeta(t, id)
	if err != nil {
		return [2]record.ShardID{}, err
	}
	if r := m.hash; !r.SplitsAt(at) {
		return [2]record.ShardID{}, fault.New(fault.Permanent, "stream.invalid_hash_key",
			"split of %v of stream %s at %v: want a hash key that is greater than %v plus one and less than %v", id, s.name, at, r.Start, r.End)
	}
	if len(t.open) >= MaxShards {
		return [2]record.ShardID{}, fault.New(fault.Permanent, "stream.too_many_shards",
			"stream %s has %d open shards, which is the most that a stream can have", s.name, len(t.open))
	}
	step := s.newStep(t)
	children := step.split(id, at)
	return children, s.apply(ctx, step)
}

// Merge closes two shards and opens one that has both ranges. b must begin where a ends. It returns the new shard.
func (s *Stream) Merge(ctx context.Context, a, b record.ShardID) (record.ShardID, error) {
	s.reshard.Lock()
	defer s.reshard.Unlock()
	t := s.table.Load()
	low, err := s.openMeta(t, a)
	if err != nil {
		return 0, err
	}
	high, err := s.openMeta(t, b)
	if err != nil {
		return 0, err
	}
	if !low.hash.Meets(high.hash) {
		return 0, fault.New(fault.Permanent, "stream.not_adjacent",
			"merge in stream %s: %v ends at hash key %v, but %v starts at %v", s.name, a, low.hash.End, b, high.hash.Start).
			WithHint("name two shards whose ranges meet, the lower one first")
	}
	step := s.newStep(t)
	child := step.merge(a, b)
	return child, s.apply(ctx, step)
}

// UpdateShardCount splits and merges shards until count shards divide the hash space into uniform ranges. It works in
// several durable steps: after an error some of them are done, and calling it again finishes the rest. While it works,
// the stream may have up to the sum of both numbers of shards.
func (s *Stream) UpdateShardCount(ctx context.Context, count int) error {
	if count < 1 || count > MaxShards {
		return fault.New(fault.Permanent, "stream.invalid_shard_count", "stream %s: %d shards: want 1 to %d", s.name, count, MaxShards)
	}
	s.reshard.Lock()
	defer s.reshard.Unlock()
	if err := s.check("update the shard count"); err != nil {
		return err
	}
	wanted := make([]HashKey, count)
	for i := range wanted {
		wanted[i] = uniformStart(count, i)
	}
	for {
		t := s.table.Load()
		step := s.newStep(t)
		step.splitTowards(wanted)
		if len(step.closing) == 0 {
			step.mergeTowards(wanted)
		}
		if len(step.closing) == 0 {
			return nil
		}
		if err := s.apply(ctx, step); err != nil {
			return err
		}
	}
}

// openMeta returns what is known of an open shard.
func (s *Stream) openMeta(t *table, id record.ShardID) (*shardMeta, error) {
	if err := s.check("reshard"); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(t.open, func(o openShard) bool { return o.id == id }) {
		return t.shards[id], nil
	}
	if _, ok := t.shards[id]; ok {
		return nil, fault.New(fault.Permanent, "stream.shard_closed", "%v of stream %s is closed already", id, s.name)
	}
	return nil, s.errNoShard(id)
}

// apply makes a step durable and routes by it from then on. s.reshard is held for writing.
func (s *Stream) apply(ctx context.Context, step *step) error {
	err := s.log.Reshard(ctx, step.closing, step.opening)
	// Also after an error: the step may have become durable though nobody waited for it any more.
	refreshErr := s.refresh()
	if err != nil {
		return s.explain(err, "reshard")
	}
	return refreshErr
}

// step is one reshard: splits and merges that happen at once, each shard in at most one of them.
type step struct {
	table   *table
	now     int64 // seconds since the Unix epoch
	seams   seams
	closing []record.ShardID
	opening []shardlog.Shard
}

func (s *Stream) newStep(t *table) *step {
	return &step{table: t, now: s.owner.now().Unix(), seams: s.owner.opts.seams}
}

// split adds a split. The second child begins at at.
func (p *step) split(id record.ShardID, at HashKey) [2]record.ShardID {
	r := p.table.shards[id].hash
	p.closing = append(p.closing, id)
	return [2]record.ShardID{
		p.openShard(HashRange{r.Start, at.prev()}, id),
		p.openShard(HashRange{at, r.End}, id),
	}
}

// merge adds a merge of two shards; b begins where a ends.
func (p *step) merge(a, b record.ShardID) record.ShardID {
	p.closing = append(p.closing, a, b)
	return p.openShard(HashRange{p.table.shards[a].hash.Start, p.table.shards[b].hash.End}, a, b)
}

// openShard adds a new shard. Its creation second is the clock's, but later than its parents', so that its sequence
// numbers are greater than theirs whatever the clock does.
func (p *step) openShard(r HashRange, parents ...record.ShardID) record.ShardID {
	m := shardMeta{hash: r, parents: parents, created: p.now}
	for _, parent := range parents {
		if p.seams.sameSecond {
			break
		}
		m.created = max(m.created, p.table.shards[parent].created+1)
	}
	id := p.table.next + record.ShardID(len(p.opening))
	p.opening = append(p.opening, shardlog.Shard{ID: id, Meta: m.encode()})
	return id
}

// splitTowards splits each shard that has a wanted start inside its range, at the middle one of them.
func (p *step) splitTowards(wanted []HashKey) {
	for _, o := range p.table.open {
		r := p.table.shards[o.id].hash
		from, found := slices.BinarySearchFunc(wanted, r.Start, HashKey.Compare)
		if found {
			from++
		}
		to, found := slices.BinarySearchFunc(wanted, r.End, HashKey.Compare)
		if found {
			to++
		}
		if from < to {
			p.split(o.id, wanted[(from+to)/2])
		}
	}
}

// mergeTowards merges pairs of neighbours of which the second one's start is not wanted.
func (p *step) mergeTowards(wanted []HashKey) {
	for i := 1; i < len(p.table.open); i++ {
		if _, found := slices.BinarySearchFunc(wanted, p.table.starts[i], HashKey.Compare); !found {
			p.merge(p.table.open[i-1].id, p.table.open[i].id)
			i++ // the pair takes part in nothing else
		}
	}
}
