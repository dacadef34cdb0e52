package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a wall clock for tests.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
}

// world is a registry over a state store.
type world struct {
	*Streams
	store *state.Store
}

func openWorld(fsys vfs.FS, now func() time.Time, seams ...seams) (*world, error) {
	store, err := state.Open(fsys, "/data/state", state.Options{})
	if err != nil {
		return nil, err
	}
	opts := Options{Now: now, Log: disk.Options{FirstSegment: 64 << 10, SegmentSize: 128 << 10, Reserve: -1}}
	for _, defects := range seams {
		opts.seams = defects
	}
	s, err := Open(fsys, "/data/streams", store, opts)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &world{s, store}, nil
}

func mustOpen(t failer, fsys vfs.FS, clock *clock, seams ...seams) *world {
	t.Helper()
	w, err := openWorld(fsys, clock.now, seams...)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return w
}

func (w *world) close() error { return errors.Join(w.Streams.Close(), w.store.Close()) }

// newWorld is a world on a fresh file system, closed when the test ends.
func newWorld(t *testing.T) (*world, *clock) {
	clock := newClock()
	w := mustOpen(t, vfs.NewMem(), clock)
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w, clock
}

func (w *world) mustCreate(t failer, name string, c Config) *Stream {
	t.Helper()
	s, err := w.Create(context.Background(), name, c)
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return s
}

// put stores one record a key and returns the results, which all must be good.
func put(t failer, s *Stream, keys ...string) []PutResult {
	t.Helper()
	entries := make([]Entry, len(keys))
	for i, k := range keys {
		entries[i] = Entry{Key: k, Data: []byte("data of " + k)}
	}
	results, err := s.Put(context.Background(), entries)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("put of entry %d: %v", i, r.Err)
		}
	}
	return results
}

// readAll reads a shard from its trim horizon to where it ends now and returns the data of its records and the last
// result.
func readAll(t failer, s *Stream, shard record.ShardID) (data []string, last ReadResult) {
	t.Helper()
	at, err := s.Iterator(context.Background(), shard, StartingPosition{Type: TrimHorizon})
	if err != nil {
		t.Fatalf("iterator of %v: %v", shard, err)
	}
	return readFrom(t, s, at)
}

func readFrom(t failer, s *Stream, at Position) (data []string, last ReadResult) {
	t.Helper()
	b := record.NewBatch()
	defer b.Release()
	for {
		b.Reset()
		res, err := s.Read(context.Background(), at, shardlog.ReadLimit{Records: 7, Bytes: 1 << 20}, b)
		if err != nil {
			t.Fatalf("read %v at %d: %v", at.Shard, at.Seq, err)
		}
		for i, r := range b.Records {
			if want := res.Next.Seq - uint64(len(b.Records)-i); r.Seq != want || r.Shard != at.Shard {
				t.Fatalf("read %v at %d: record %d is %v/%d, want position %d", at.Shard, at.Seq, i, r.Shard, r.Seq, want)
			}
			data = append(data, string(r.Data))
		}
		if res.Next == at {
			return data, res
		}
		at = res.Next
	}
}

// wantCode checks the class and the code of an error.
func wantCode(t failer, err error, class fault.Class, code string) {
	t.Helper()
	if fault.CodeOf(err) != code || fault.ClassOf(err) != class {
		t.Fatalf("error is %v (%v, %s), want %v, %s", err, fault.ClassOf(err), fault.CodeOf(err), class, code)
	}
}

func TestRecordsComeBackFromTheShardTheirKeyHashesTo(t *testing.T) {
	w, _ := newWorld(t)
	s := w.mustCreate(t, "clicks", Config{Shards: 4})
	var keys []string
	want := map[record.ShardID][]string{}
	for i := range 100 {
		keys = append(keys, fmt.Sprint("key-", i%17))
	}
	results := put(t, s, keys...)
	shards, err := s.Shards()
	if err != nil || len(shards) != 4 {
		t.Fatalf("%d shards, %v", len(shards), err)
	}
	for i, r := range results {
		if !shards[r.Shard].Hash.Contains(HashOf(keys[i])) {
			t.Fatalf("key %s is in %v", keys[i], r.Shard)
		}
		want[r.Shard] = append(want[r.Shard], "data of "+keys[i])
		if r.Seq != uint64(len(want[r.Shard])) {
			t.Fatalf("entry %d got position %d, want %d", i, r.Seq, len(want[r.Shard]))
		}
	}
	for _, sh := range shards {
		if got, _ := readAll(t, s, sh.ID); !slices.Equal(got, want[sh.ID]) {
			t.Fatalf("%v holds %q, want %q", sh.ID, got, want[sh.ID])
		}
	}
}

func TestExplicitHashKeyTakesThePlaceOfTheKeysHash(t *testing.T) {
	w, _ := newWorld(t)
	s := w.mustCreate(t, "s", Config{Shards: 4})
	for i, r := range UniformRanges(4) {
		for _, k := range []HashKey{r.Start, r.End} {
			res, err := s.Put(context.Background(), []Entry{{Key: "same", ExplicitHashKey: k.String(), Data: []byte("x")}})
			if err != nil || res[0].Shard != record.ShardID(i) {
				t.Fatalf("hash key %v went to %v, %v; want shard %d", k, res, err, i)
			}
		}
	}
}

func TestPutRefusesBadEntriesAndStoresNothingOfTheCall(t *testing.T) {
	w, _ := newWorld(t)
	s := w.mustCreate(t, "s", Config{})
	long := make([]rune, 257)
	for i := range long {
		long[i] = 'ü'
	}
	good := Entry{Key: string(long[:256]), Data: make([]byte, 1<<20-512)}
	if _, err := s.Put(context.Background(), []Entry{good}); err != nil {
		t.Fatalf("256 characters and 1 MiB: %v", err)
	}
	for code, bad := range map[string]Entry{
		"stream.invalid_partition_key": {Key: string(long)},
		"stream.invalid_hash_key":      {Key: "k", ExplicitHashKey: "340282366920938463463374607431768211456"},
		"stream.record_too_large":      {Key: "k", Data: make([]byte, 1<<20)},
	} {
		_, err := s.Put(context.Background(), []Entry{good, bad})
		wantCode(t, err, fault.Permanent, code)
		_, err = s.PutMarked(context.Background(), []Entry{bad}, nil)
		wantCode(t, err, fault.Permanent, code)
	}
	_, err := s.Put(context.Background(), []Entry{{Data: []byte("no key")}})
	wantCode(t, err, fault.Permanent, "stream.invalid_partition_key")
	if st, _ := s.Log().State(0); st.Next != 2 {
		t.Fatalf("%d records are stored, want 1", st.Next-1)
	}
}

func TestMarksAreStoredWithTheirRecordsAndAlone(t *testing.T) {
	fsys, clock := vfs.NewMem(), newClock()
	w := mustOpen(t, fsys, clock)
	s := w.mustCreate(t, "s", Config{Shards: 3})
	ctx := context.Background()
	res, err := s.PutMarked(ctx, []Entry{{Key: "a", Data: []byte("1")}, {Key: "b", Data: []byte("2")}}, &shardlog.Mark{Producer: "feeder", State: []byte("at 2")})
	if err != nil || len(res) != 2 {
		t.Fatalf("%v, %v", res, err)
	}
	if _, err := s.PutMarked(ctx, nil, &shardlog.Mark{Producer: "feeder", State: []byte("at 3")}); err != nil {
		t.Fatalf("a mark without records: %v", err)
	}
	_, err = s.PutMarked(ctx, nil, &shardlog.Mark{Producer: "feeder", State: make([]byte, shardlog.MaxMarkState+1)})
	wantCode(t, err, fault.Permanent, "stream.invalid_mark")
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	w = mustOpen(t, fsys, clock)
	defer w.close()
	if s, err = w.Get("s"); err != nil {
		t.Fatal(err)
	}
	if m, ok := s.Mark("feeder"); !ok || string(m.State) != "at 3" {
		t.Fatalf("the mark is %q, %v", m.State, ok)
	}
	if got, _ := readAll(t, s, res[0].Shard); len(got) == 0 || got[0] != "1" {
		t.Fatalf("read %q", got)
	}
}

func TestWriteLimitThrottlesEntryByEntry(t *testing.T) {
	w, clock := newWorld(t)
	s := w.mustCreate(t, "s", Config{Shards: 2, WriteLimit: KinesisWriteLimit})
	low, high := "0", MaxHashKey.String()
	big := make([]byte, 512<<10-1)
	putBig := func(hashes ...string) []PutResult {
		var entries []Entry
		for _, h := range hashes {
			entries = append(entries, Entry{Key: "k", ExplicitHashKey: h, Data: big})
		}
		res, err := s.Put(context.Background(), entries)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := putBig(low, low, low, high, low)
	for i, throttled := range []bool{false, false, true, false, true} {
		if (res[i].Err != nil) != throttled {
			t.Fatalf("entry %d: %v", i, res[i].Err)
		}
	}
	wantCode(t, res[2].Err, fault.Throttled, "stream.throughput_exceeded")
	_, err := s.PutMarked(context.Background(), []Entry{{Key: "k", ExplicitHashKey: high, Data: big}, {Key: "k", ExplicitHashKey: low, Data: big}}, nil)
	wantCode(t, err, fault.Throttled, "stream.throughput_exceeded")
	if res := putBig(high, high); res[0].Err != nil || res[1].Err == nil {
		t.Fatal("a throttled marked put is not all or nothing in the bucket")
	}
	clock.advance(500 * time.Millisecond)
	if res := putBig(low, low); res[0].Err != nil || res[1].Err == nil {
		t.Fatalf("half a second later: %v, %v; want one of two", res[0].Err, res[1].Err)
	}
	if err := s.Update(context.Background(), func(c *Config) error { c.WriteLimit = WriteLimit{}; return nil }); err != nil {
		t.Fatal(err)
	}
	for i, r := range putBig(low, low, low, low) {
		if r.Err != nil {
			t.Fatalf("entry %d with the limit off: %v", i, r.Err)
		}
	}
}

func TestConfigurationIsCheckedAndSurvives(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]Config{
		"negative shards":   {Shards: -1},
		"too many shards":   {Shards: MaxShards + 1},
		"unknown mode":      {Mode: "elastic"},
		"on-demand shards":  {Mode: OnDemand, Shards: 7},
		"short retention":   {Retention: shardlog.Retention{Age: day - 1}},
		"long retention":    {Retention: shardlog.Retention{Age: 366 * day}},
		"negative hold":     {Retention: shardlog.Retention{Hold: -1}},
		"negative limit":    {WriteLimit: WriteLimit{BytesPerSecond: -1}},
		"small max record":  {MaxRecordSize: 1000},
		"large max record":  {MaxRecordSize: 11 << 20},
		"short age of hold": {Retention: shardlog.Retention{Age: time.Minute, Hold: 1 << 30}},
	} {
		if err := c.Validate(); fault.CodeOf(err) != "stream.invalid_config" {
			t.Errorf("%s: %v", name, err)
		}
	}
	fsys, clock := vfs.NewMem(), newClock()
	w := mustOpen(t, fsys, clock)
	if s := w.mustCreate(t, "on-demand", Config{Mode: OnDemand}); s.OpenShards() != OnDemandShards {
		t.Fatalf("an on-demand stream has %d shards", s.OpenShards())
	}
	s := w.mustCreate(t, "s", Config{Shards: 3, WriteLimit: KinesisWriteLimit, MaxRecordSize: 10 << 20})
	ctx := context.Background()
	if err := s.SetRetention(ctx, shardlog.Retention{Age: 7 * day}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.SetRetention(ctx, shardlog.Retention{Age: time.Hour}), fault.Permanent, "stream.invalid_config")
	wantCode(t, s.Update(ctx, func(c *Config) error { c.Shards = 9; return nil }), fault.Permanent, "stream.invalid_config")
	if err := s.Update(ctx, func(c *Config) error { c.Mode = OnDemand; return nil }); err != nil {
		t.Fatalf("change of the mode: %v", err)
	}
	want := s.Config()
	if want.Retention.Age != 7*day || want.Mode != OnDemand || want.Shards != 3 {
		t.Fatalf("config is %+v", want)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	w = mustOpen(t, fsys, clock)
	defer w.close()
	again, err := w.Get("s")
	if err != nil || again.Config() != want || again.Incarnation() != s.Incarnation() || !again.Created().Equal(s.Created()) {
		t.Fatalf("after reopening: %+v, %v; want %+v", again, err, want)
	}
}
