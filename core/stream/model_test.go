package stream

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// model is what the streams must hold, action by action.
type model struct {
	fs      *vfs.Mem
	clock   *clock
	seams   seams
	w       *world
	streams map[string]*modelStream
	// stale are positions and sequence numbers of streams that were deleted.
	stale  []staleRef
	newest int64 // the latest creation second of any shard of a deleted stream
	puts   int
}

type modelStream struct {
	s      *Stream
	shards map[record.ShardID]*modelShard
}

type modelShard struct {
	Shard
	data []string
}

type staleRef struct {
	name     string
	position Position
	number   SequenceNumber
}

// any draws one of the streams there are, or nil.
func (m *model) any(t *rapid.T) *modelStream {
	if len(m.streams) == 0 {
		return nil
	}
	return m.streams[rapid.SampledFrom(slices.Sorted(maps.Keys(m.streams))).Draw(t, "stream")]
}

// open returns the open shards in the order of their ranges.
func (ms *modelStream) open() []*modelShard {
	var open []*modelShard
	for _, sh := range ms.shards {
		if sh.Closed.IsZero() {
			open = append(open, sh)
		}
	}
	slices.SortFunc(open, func(a, b *modelShard) int { return a.Hash.Start.Compare(b.Hash.Start) })
	return open
}

func (m *model) create(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	shards := rapid.IntRange(1, 5).Draw(t, "shards")
	s, err := m.w.Create(context.Background(), name, Config{Shards: shards})
	if m.streams[name] != nil {
		wantCode(t, err, fault.Permanent, "stream.exists")
		return
	}
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	ms := &modelStream{s: s, shards: map[record.ShardID]*modelShard{}}
	m.adopt(t, ms)
	if len(ms.shards) != shards {
		t.Fatalf("%d shards, want %d", len(ms.shards), shards)
	}
	for _, sh := range ms.shards {
		if sh.Start.Created <= m.newest {
			t.Fatalf("%v was created in second %d, but a deleted stream may have numbers of second %d", sh.ID, sh.Start.Created, m.newest)
		}
	}
	m.streams[name] = ms
}

func (m *model) delete(t *rapid.T) {
	ms := m.any(t)
	if ms == nil {
		return
	}
	if err := m.w.Delete(context.Background(), ms.s.Name()); err != nil {
		t.Fatalf("delete: %v", err)
	}
	delete(m.streams, ms.s.Name())
	for _, sh := range ms.shards {
		m.newest = max(m.newest, sh.Start.Created)
		m.stale = append(m.stale, staleRef{ms.s.Name(), Position{ms.s.Incarnation(), sh.ID, 1}, sh.Start})
	}
	_, err := ms.s.Put(context.Background(), []Entry{{Key: "late", Data: []byte("late")}})
	wantCode(t, err, fault.Permanent, "stream.deleted")
	_, err = ms.s.Read(context.Background(), m.stale[len(m.stale)-1].position, shardlog.ReadLimit{}, record.NewBatch())
	wantCode(t, err, fault.Permanent, "stream.deleted")
}

func (m *model) put(t *rapid.T) {
	ms := m.any(t)
	if ms == nil {
		return
	}
	var entries []Entry
	for range rapid.IntRange(1, 30).Draw(t, "entries") {
		m.puts++
		e := Entry{Key: fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "key")), Data: fmt.Append(nil, "record ", m.puts)}
		if rapid.IntRange(0, 4).Draw(t, "explicit") == 0 {
			e.ExplicitHashKey = keys().Draw(t, "hash").String()
		}
		entries = append(entries, e)
	}
	var results []PutResult
	var err error
	if rapid.Bool().Draw(t, "marked") {
		results, err = ms.s.PutMarked(context.Background(), entries, &shardlog.Mark{Producer: "p", State: fmt.Append(nil, m.puts)})
	} else {
		results, err = ms.s.Put(context.Background(), entries)
	}
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	for i, r := range results {
		sh := ms.shards[r.Shard]
		hash := HashOf(entries[i].Key)
		if entries[i].ExplicitHashKey != "" {
			hash, _ = ParseHashKey(entries[i].ExplicitHashKey)
		}
		if r.Err != nil || sh == nil || !sh.Closed.IsZero() || !sh.Hash.Contains(hash) || r.Seq != uint64(len(sh.data)+1) {
			t.Fatalf("entry %d with hash key %v was put as %+v", i, hash, r)
		}
		sh.data = append(sh.data, string(entries[i].Data))
		if n := r.SequenceNumber(); n.Compare(sh.Start) <= 0 || n.Shard != sh.ID {
			t.Fatalf("%v gave number %v, which is not after its start %v", sh.ID, n, sh.Start)
		}
	}
}

func (m *model) split(t *rapid.T) {
	ms := m.any(t)
	if ms == nil || len(ms.open()) > 12 {
		return
	}
	sh := rapid.SampledFrom(ms.open()).Draw(t, "shard")
	at := keys().Draw(t, "at")
	r := sh.Hash
	if rapid.IntRange(0, 3).Draw(t, "anywhere") > 0 { // force it into the range
		for !r.Contains(at) || at == r.Start {
			at = HashKey{r.Start.Hi/2 + r.End.Hi/2, r.Start.Lo/2 + r.End.Lo/2}
			if !r.Contains(at) || at == r.Start {
				return // too narrow
			}
		}
	}
	valid := at.Compare(r.End) < 0 && at.Compare(r.Start) > 0 && at != r.Start.next()
	children, err := ms.s.Split(context.Background(), sh.ID, at)
	if !valid {
		wantCode(t, err, fault.Permanent, "stream.invalid_hash_key")
		return
	}
	if err != nil {
		t.Fatalf("split %v at %v: %v", sh.ID, at, err)
	}
	m.adopt(t, ms)
	low, high := ms.shards[children[0]], ms.shards[children[1]]
	if low.Hash != (HashRange{r.Start, at.prev()}) || high.Hash != (HashRange{at, r.End}) {
		t.Fatalf("split of %v at %v made %v and %v", r, at, low.Hash, high.Hash)
	}
	_, err = ms.s.Split(context.Background(), sh.ID, at)
	wantCode(t, err, fault.Permanent, "stream.shard_closed")
}

func (m *model) merge(t *rapid.T) {
	ms := m.any(t)
	if ms == nil {
		return
	}
	open := ms.open()
	a := rapid.IntRange(0, len(open)-1).Draw(t, "first")
	b := rapid.OneOf(rapid.Just(min(a+1, len(open)-1)), rapid.IntRange(0, len(open)-1)).Draw(t, "second")
	child, err := ms.s.Merge(context.Background(), open[a].ID, open[b].ID)
	if b != a+1 {
		wantCode(t, err, fault.Permanent, "stream.not_adjacent")
		return
	}
	if err != nil {
		t.Fatalf("merge: %v", err)
	}
	m.adopt(t, ms)
	if got := ms.shards[child].Hash; got != (HashRange{open[a].Hash.Start, open[b].Hash.End}) {
		t.Fatalf("the merged shard has %v", got)
	}
}

func (m *model) updateShardCount(t *rapid.T) {
	ms := m.any(t)
	if ms == nil {
		return
	}
	count := rapid.IntRange(1, 9).Draw(t, "count")
	if err := ms.s.UpdateShardCount(context.Background(), count); err != nil {
		t.Fatalf("update the shard count to %d: %v", count, err)
	}
	m.adopt(t, ms)
	for i, sh := range ms.open() {
		if want := UniformRanges(count)[i]; sh.Hash != want {
			t.Fatalf("shard %d of %d has %v, want %v", i, count, sh.Hash, want)
		}
	}
}

// adopt takes the shards over that a reshard made, and checks them against their parents.
func (m *model) adopt(t *rapid.T, ms *modelStream) {
	shards, err := ms.s.Shards()
	if err != nil {
		t.Fatalf("shards: %v", err)
	}
	for _, sh := range shards {
		if old := ms.shards[sh.ID]; old != nil {
			if old.Hash != sh.Hash || !slices.Equal(old.Parents, sh.Parents) || old.Start != sh.Start || !old.Closed.IsZero() && old.End != sh.End {
				t.Fatalf("%+v has become %+v", old.Shard, sh)
			}
			old.Shard = sh
			continue
		}
		ms.shards[sh.ID] = &modelShard{Shard: sh}
	}
	for _, sh := range ms.shards {
		for _, id := range sh.Parents {
			parent := ms.shards[id]
			if parent.Closed.IsZero() || parent.End.Compare(sh.Start) >= 0 {
				t.Fatalf("%v starts at %v, its parent %v ends at %v", sh.ID, sh.Start, id, parent.End)
			}
			if !parent.Hash.Contains(sh.Hash.Start) && !sh.Hash.Contains(parent.Hash.Start) {
				t.Fatalf("%v continues %v but has nothing of its range", sh.ID, id)
			}
		}
	}
}

// useStale offers what belongs to deleted streams to the streams of the same name.
func (m *model) useStale(t *rapid.T) {
	if len(m.stale) == 0 {
		return
	}
	ref := rapid.SampledFrom(m.stale).Draw(t, "stale")
	ms := m.streams[ref.name]
	if ms == nil {
		_, err := m.w.Get(ref.name)
		wantCode(t, err, fault.Permanent, "stream.not_found")
		return
	}
	b := record.NewBatch()
	defer b.Release()
	_, err := ms.s.Read(context.Background(), ref.position, shardlog.ReadLimit{Records: 10, Bytes: 1 << 20}, b)
	wantCode(t, err, fault.Permanent, "stream.foreign_position")
	if b.Len() > 0 {
		t.Fatalf("an iterator of a deleted stream read %d records of the new one", b.Len())
	}
	if sh := ms.shards[ref.number.Shard]; sh != nil {
		_, err := ms.s.Iterator(context.Background(), ref.number.Shard, StartingPosition{Type: AtSequenceNumber, SequenceNumber: ref.number})
		wantCode(t, err, fault.Permanent, "stream.foreign_sequence_number")
	}
}

func (m *model) setClock(t *rapid.T) {
	m.clock.advance(time.Duration(rapid.Int64Range(-int64(20*time.Minute), int64(20*time.Minute)).Draw(t, "by")))
}

func (m *model) reopen(t *rapid.T) {
	if err := m.w.close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	m.use(t, m.fs)
}

func (m *model) crash(t *rapid.T) {
	after := m.fs.Crash(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "disk"), 0)), rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "unsynced"))
	m.fs.Freeze()
	_ = m.w.close() // a dead world; only its goroutines matter
	m.use(t, after)
}

// use opens the world anew on a file system and compares all of it.
func (m *model) use(t *rapid.T, fsys *vfs.Mem) {
	m.fs = fsys
	m.w = mustOpen(t, fsys, m.clock, m.seams)
	if got, want := m.w.List(), slices.Sorted(maps.Keys(m.streams)); !slices.Equal(got, want) {
		t.Fatalf("streams are %q, want %q", got, want)
	}
	for name, ms := range m.streams {
		s, err := m.w.Get(name)
		if err != nil || s.Incarnation() != ms.s.Incarnation() {
			t.Fatalf("stream %s: %v", name, err)
		}
		ms.s = s
	}
	m.readAll(t)
}

func (m *model) readAll(t *rapid.T) {
	for name, ms := range m.streams {
		m.adopt(t, ms)
		for id, sh := range ms.shards {
			if sh.Next != uint64(len(sh.data)+1) {
				t.Fatalf("%v of %s: next position is %d, want %d", id, name, sh.Next, len(sh.data)+1)
			}
			if _, ok := ms.s.Log().State(id); !ok && len(sh.data) == 0 {
				continue // an empty closed shard may go at once
			}
			got, last := readAll(t, ms.s, id)
			if !slices.Equal(got, sh.data) || last.End == sh.Closed.IsZero() {
				t.Fatalf("%v of %s holds %q, want %q; end is %v", id, name, got, sh.data, last.End)
			}
		}
	}
}

// check is run after each action.
func (m *model) check(t *rapid.T) {
	for name, ms := range m.streams {
		want := HashKey{}
		open := ms.open()
		for _, sh := range open {
			if sh.Hash.Start != want {
				t.Fatalf("stream %s: %v starts at %v, want %v", name, sh.ID, sh.Hash.Start, want)
			}
			want = sh.Hash.End.next()
		}
		if want != (HashKey{}) || len(open) != ms.s.OpenShards() {
			t.Fatalf("stream %s: %d shards end before %v", name, len(open), want)
		}
	}
}

// TestModel runs random series of everything that can be done to streams, with clean restarts, crashes and a clock that
// is set back and forth in between, and compares them with a model.
func TestModel(t *testing.T) {
	for range testenv.Count(1, 20) { // of 100 series each
		checkModel(t, seams{})
	}
}

func checkModel(t rapid.TB, seams seams) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{fs: vfs.NewMem(), clock: newClock(), seams: seams, streams: map[string]*modelStream{}}
		m.w = mustOpen(t, m.fs, m.clock, seams)
		defer func() { _ = m.w.close() }()
		t.Repeat(map[string]func(*rapid.T){
			"create": m.create, "delete": m.delete, "put": m.put, "put again": m.put, "split": m.split, "merge": m.merge,
			"update shard count": m.updateShardCount, "use stale": m.useStale, "clock": m.setClock,
			"reopen": m.reopen, "crash": m.crash, "read": m.readAll, "": m.check,
		})
		m.readAll(t)
	})
}
