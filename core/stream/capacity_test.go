package stream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

func TestLoadsCountWhatEachOpenShardTookAndRefused(t *testing.T) {
	w, clock := newWorld(t)
	ctx := context.Background()
	s := w.mustCreate(t, "s", Config{Mode: OnDemand, WriteLimit: WriteLimit{RecordsPerSecond: 10}})
	middle := func(n int) string { return s.Loads()[n].Hash.Start.next().String() }
	entries := make([]Entry, 12)
	for i := range entries {
		entries[i] = Entry{Key: "key", ExplicitHashKey: middle(1), Data: []byte("1234567")}
	}
	if _, err := s.Put(ctx, entries); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutMarked(ctx, []Entry{{Key: "k", ExplicitHashKey: middle(3)}}, nil); err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		var got []string
		for _, l := range s.Loads() {
			for _, k := range l.Sample {
				if !l.Hash.Contains(k) {
					t.Errorf("%v of %v has %v in its sample", l.ID, l.Hash, k)
				}
			}
			got = append(got, fmt.Sprintf("%d bytes %d records %d refused %d sampled", l.Bytes, l.Records, l.Refused, len(l.Sample)))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("loads are\n%q, want\n%q", got, want)
		}
	}
	none := "0 bytes 0 records 0 refused 0 sampled"
	check(none, "100 bytes 10 records 2 refused 1 sampled", none, "1 bytes 1 records 0 refused 1 sampled")

	// Other shards go on counting over a reshard, and time brings more samples, up to a bound.
	if _, err := s.Split(ctx, 1, UniformRanges(8)[3].Start); err != nil {
		t.Fatal(err)
	}
	check(none, none, none, none, "1 bytes 1 records 0 refused 1 sampled")
	for range 2 * sampleSize {
		clock.advance(sampleEvery)
		put(t, s, "some key")
		put(t, s, "some key")
	}
	busiest := ShardLoad{}
	for _, l := range s.Loads() {
		if l.Records > busiest.Records {
			busiest = l
		}
	}
	if busiest.Records != 4*sampleSize+1 || len(busiest.Sample) != sampleSize || busiest.Sample[7] != HashOf("some key") {
		t.Fatalf("after %d records more the busiest shard has %+v", 4*sampleSize, busiest)
	}
}

func TestLoadsAreThereInTheOnDemandModeOnly(t *testing.T) {
	w, clock := newWorld(t)
	s := w.mustCreate(t, "s", Config{Shards: 3})
	mode := func(m Mode) {
		t.Helper()
		if err := s.Update(context.Background(), func(c *Config) error { c.Mode = m; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "a")
	if l := s.Loads(); l != nil {
		t.Fatalf("a provisioned stream has loads %v", l)
	}
	mode(OnDemand)
	clock.advance(time.Second)
	put(t, s, "a", "a")
	records := uint64(0)
	for _, l := range s.Loads() {
		records += l.Records
	}
	if len(s.Loads()) != 3 || records != 2 {
		t.Fatalf("loads of the switched stream are %+v, want 2 records in 3 shards", s.Loads())
	}
	mode(Provisioned)
	if l := s.Loads(); l != nil || s.OpenShards() != 3 {
		t.Fatalf("back in the provisioned mode there are %d shards with loads %v", s.OpenShards(), l)
	}
}

// BenchmarkMeter counts 500 records for 64 shards, to be compared with BenchmarkRouting.
func BenchmarkMeter(b *testing.B) {
	entries := benchEntries()
	states := make([]shardlog.ShardState, 64)
	for i, r := range UniformRanges(len(states)) {
		m := shardMeta{hash: r}
		states[i].ID, states[i].Meta = record.ShardID(i), m.encode()
	}
	t, err := newTable("s", states, WriteLimit{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	t.meter(nil)
	p := newPlan(len(entries))
	p.route(t, entries)
	p.group(t, entries)
	stored := make([]shardlog.RunResult, len(p.runs))
	b.ReportAllocs()
	began := time.Now()
	for b.Loop() {
		p.meter(t, func() time.Duration { return time.Since(began) }, stored, entries)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(entries)), "ns/record")
}

// Records without keys are spread over the shards. Were they sampled by their key, all of them would be at one place, and
// the shard that holds it could never be split.
func TestTheSampleOfSpreadRecordsIsSpread(t *testing.T) {
	w, clock := newWorld(t)
	s := w.mustCreate(t, "s", Config{Mode: OnDemand})
	for range 4 * sampleSize {
		clock.advance(sampleEvery)
		if _, err := s.PutWith(context.Background(), []Entry{{Data: []byte("x")}}, PutOptions{Spread: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range s.Loads() {
		inside := 0
		for _, k := range l.Sample {
			if l.Hash.Contains(k) {
				inside++
			}
		}
		if n := len(l.Sample); n < sampleSize || inside > n/2 {
			t.Errorf("%d of %d samples of %v lie in it", inside, n, l.ID)
		}
	}
}
