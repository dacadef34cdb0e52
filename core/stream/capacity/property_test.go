package capacity

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
)

// shape is where in the hash space the load of a model is, in shards' worth: some everywhere, some in one region, some at
// one key.
type shape struct {
	even, region, key float64
	from, to, at      float64 // shares of the hash space
}

// modelShard is an open shard of the model.
type modelShard struct {
	Load
	from, to float64 // shares of the hash space
	born     time.Time
	split    bool  // it is a child of a split
	sampled  shape // what its sample is of
}

// model is a stream that knows its load and its peaks without a limit of memory.
type model struct {
	now    time.Time
	shards []modelShard
	next   record.ShardID
	shape  shape
	bounds Bounds
	totals []total
	merged time.Time
	k      *Controller
}

type total struct {
	at   time.Time
	load float64
}

func newModel() *model {
	m := &model{now: noon, bounds: bounds(), k: &Controller{}}
	for _, l := range idle(4) {
		m.open(modelShard{Load: l, from: float64(m.next) / 4, to: float64(m.next+1) / 4, born: noon})
	}
	return m
}

func (m *model) open(s modelShard) modelShard {
	s.ID = m.next
	m.next++
	m.shards = append(m.shards, s)
	return s
}

// load is how much of the model's load a part of the hash space has.
func (s shape) load(from, to float64) float64 {
	load := s.even * (to - from)
	if s.to > s.from {
		load += s.region * max(0, min(to, s.to)-max(from, s.from)) / (s.to - s.from)
	}
	if from <= s.at && s.at < to {
		load += s.key
	}
	return load
}

// sample draws hash keys from the load of a shard.
func (m *model) sample(s *modelShard) (keys []stream.HashKey) {
	load := m.shape.load(s.from, s.to)
	if load < 0.5 {
		return nil // nobody asks where it is
	}
	for i := range enoughSamples {
		want := load * (float64(i) + 0.5) / enoughSamples
		lo, hi := s.from, s.to
		for range 50 {
			if mid := (lo + hi) / 2; m.shape.load(s.from, mid) < want {
				lo = mid
			} else {
				hi = mid
			}
		}
		k := stream.HashKey{Hi: uint64(min(lo, 1-1e-15) * (1 << 32) * (1 << 32))}
		if s.Hash.Contains(k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// step lets an interval pass and carries the plan out, if it is one that may be.
func (m *model) step(t *rapid.T, interval time.Duration) {
	m.now = m.now.Add(interval)
	loads := make([]Load, len(m.shards))
	sum := 0.0
	for i := range m.shards {
		s := &m.shards[i]
		offered := m.shape.load(s.from, s.to)
		l := s.Load
		l.Bytes = min(offered, 1) * float64(stream.KinesisWriteLimit.BytesPerSecond)
		l.Refused = offered > 1
		if s.sampled != m.shape {
			s.sampled, s.Sample = m.shape, m.sample(s)
		}
		l.Sample = s.Sample
		sum += min(offered, 1)
		loads[i] = l
	}
	m.totals = append(m.totals, total{m.now, sum})
	p, _ := m.k.Step(m.now, loads, m.bounds)
	m.checkPlan(t, &p)
	for _, s := range p.Splits {
		m.split(t, s)
	}
	for _, g := range p.Merges {
		m.merge(t, g)
	}
	m.checkState(t)
}

func (m *model) find(t *rapid.T, id record.ShardID) int {
	i := slices.IndexFunc(m.shards, func(s modelShard) bool { return s.ID == id })
	if i < 0 {
		t.Fatalf("the plan has %v, which is not open", id)
	}
	return i
}

func (m *model) split(t *rapid.T, s Split) {
	i := m.find(t, s.Shard)
	old := m.shards[i]
	if !old.Hash.SplitsAt(s.At) {
		t.Fatalf("%v of %v is split at %v", old.ID, old.Hash, s.At)
	}
	at := old.from + width(stream.HashRange{Start: old.Hash.Start, End: s.At})
	below := stream.HashKey{Hi: s.At.Hi, Lo: s.At.Lo - 1}
	if s.At.Lo == 0 {
		below.Hi--
	}
	low := m.open(modelShard{Load: Load{Hash: stream.HashRange{Start: old.Hash.Start, End: below}, Parents: []record.ShardID{old.ID}},
		from: old.from, to: at, born: m.now, split: true})
	high := m.open(modelShard{Load: Load{Hash: stream.HashRange{Start: s.At, End: old.Hash.End}, Parents: []record.ShardID{old.ID}},
		from: at, to: old.to, born: m.now, split: true})
	m.shards = slices.Replace(m.shards[:len(m.shards)-2], i, i+1, low, high)
}

func (m *model) merge(t *rapid.T, g Merge) {
	i := m.find(t, g.Low)
	if m.find(t, g.High) != i+1 {
		t.Fatalf("%v and %v are merged, which are no neighbours", g.Low, g.High)
	}
	low, high := m.shards[i], m.shards[i+1]
	for _, s := range []modelShard{low, high} {
		if s.split && m.now.Sub(s.born) < 24*time.Hour {
			t.Fatalf("%v is merged %v after the split it came from", s.ID, m.now.Sub(s.born))
		}
	}
	merged := m.open(modelShard{Load: Load{Hash: stream.HashRange{Start: low.Hash.Start, End: high.Hash.End}, Parents: []record.ShardID{low.ID, high.ID}},
		from: low.from, to: high.to, born: m.now})
	m.shards = slices.Replace(m.shards[:len(m.shards)-1], i, i+2, merged)
}

func (m *model) checkPlan(t *rapid.T, p *Plan) {
	n, b := len(m.shards), m.bounds
	ceiling := min(max(b.Floor, b.Ceiling), stream.MaxShards)
	if p.Target < b.Floor || p.Target > ceiling {
		t.Fatalf("target is %d with bounds %+v", p.Target, b)
	}
	peak := 0.0
	for _, o := range m.totals {
		if m.now.Sub(o.at) <= 30*24*time.Hour {
			peak = max(peak, o.load)
		}
	}
	if p.Target < min(int(math.Floor(2*peak)), ceiling) {
		t.Fatalf("target is %d for a peak of %.2f in 30 days", p.Target, peak)
	}
	if len(p.Splits) > 0 && (len(p.Splits) > b.Room || n+len(p.Splits) > ceiling || len(p.Splits) > maxSplits) {
		t.Fatalf("%d splits of %d shards with bounds %+v", len(p.Splits), n, b)
	}
	if p.Held < 0 || len(p.Merges) > 1 || len(p.Merges) > 0 && (len(p.Splits) > 0 || n <= p.Target) {
		t.Fatalf("of %d shards, plan is %+v", n, p)
	}
	if len(p.Merges) > 0 {
		if m.now.Sub(m.merged) < mergeEvery {
			t.Fatalf("a merge %v after another", m.now.Sub(m.merged))
		}
		m.merged = m.now
	}
	for i, s := range p.Splits {
		if slices.ContainsFunc(p.Splits[:i], func(o Split) bool { return o.Shard == s.Shard }) {
			t.Fatalf("%v is split twice", s.Shard)
		}
	}
}

func (m *model) checkState(t *rapid.T) {
	for i := range m.shards {
		if i > 0 && !m.shards[i-1].Hash.Meets(m.shards[i].Hash) {
			t.Fatalf("%v does not begin where %v ends", m.shards[i].Hash, m.shards[i-1].Hash)
		}
	}
	if m.shards[0].Hash.Start != (stream.HashKey{}) || m.shards[len(m.shards)-1].Hash.End != stream.MaxHashKey {
		t.Fatal("the hash space is not covered")
	}
	if known := len(m.k.history.shards); known > 2*len(m.shards) {
		t.Fatalf("the history has %d shards, open are %d", known, len(m.shards))
	}
}

func drawShape(t *rapid.T) shape {
	share := rapid.Float64Range(0, 1)
	s := shape{
		even:   rapid.SampledFrom([]float64{0, 0.1, 1, 3, 10, 50, 400}).Draw(t, "even"),
		region: rapid.SampledFrom([]float64{0, 0.5, 2, 9}).Draw(t, "region"),
		key:    rapid.SampledFrom([]float64{0, 0.5, 0.9, 3}).Draw(t, "key"),
		from:   share.Draw(t, "from"), at: share.Draw(t, "at"),
	}
	s.to = min(1, s.from+rapid.SampledFrom([]float64{1e-9, 0.001, 0.1, 1}).Draw(t, "width"))
	return s
}

// TestAConstantLoadComesToRest looks for reshards that go on though the load stays as it is: after some hours there are no
// splits any more, and no merges either once the past has left the window.
func TestAConstantLoadComesToRest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		m.shape = drawShape(t)
		for range 60 {
			m.step(t, Interval)
		}
		m.shape = drawShape(t)
		for range 120 {
			m.step(t, Interval)
		}
		rest := m.next
		for range 48 {
			m.step(t, 15*time.Minute)
		}
		if m.next != rest {
			t.Fatalf("half a day after the load changed to %+v there are still splits: %d shards were opened", m.shape, m.next-rest)
		}
		for range (window + 2) * 4 {
			m.step(t, 6*time.Hour)
		}
		for range len(m.shards) { // all merges that there can be
			m.step(t, 15*time.Minute)
		}
		rest = m.next
		for range 2 * 24 {
			m.step(t, time.Hour)
		}
		if m.next != rest {
			t.Fatalf("a month after the load changed to %+v %d shards were opened in two days", m.shape, m.next-rest)
		}
	})
}

// TestAnyLoadKeepsTheRules runs a controller over loads, bounds and restarts as they come.
func TestAnyLoadKeepsTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		t.Repeat(map[string]func(*rapid.T){
			"load": func(t *rapid.T) { m.shape = drawShape(t) },
			"minutes": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "minutes") {
					m.step(t, Interval)
				}
			},
			"days": func(t *rapid.T) {
				for range 4 * rapid.IntRange(1, 40).Draw(t, "days") {
					m.step(t, 6*time.Hour)
				}
			},
			"bounds": func(t *rapid.T) {
				m.bounds.Floor = rapid.SampledFrom([]int{4, 4, 30, 300}).Draw(t, "floor")
				m.bounds.Room = rapid.SampledFrom([]int{-5, 0, 3, 10_000}).Draw(t, "room")
			},
			"restart": func(t *rapid.T) {
				if m.k.history.shards == nil { // nothing to forget
					return
				}
				h, err := decodeHistory(m.k.history.encode())
				if err != nil || !reflect.DeepEqual(h, m.k.history) {
					t.Fatalf("after a restart the history is\n%+v (%v), it was\n%+v", h, err, m.k.history)
				}
				m.k = &Controller{history: h}
				m.merged = time.Time{}
			},
		})
	})
}
