package stage

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// shadowed is a chain of one stage with a shadow.
func shadowed(t *testing.T, cfg ShadowConfig, fn func(r *record.Record) (Result, []Out)) (*Chain, *Shadow) {
	t.Helper()
	cfg.Name = "s"
	s := NewShadow(cfg)
	t.Cleanup(s.Close)
	l := link("s", fn)
	l.Shadow = s
	return NewChain(l), s
}

// settled waits until the shadow has dealt with n records.
func settled(t *testing.T, s *Shadow, n uint64) ShadowStats {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st := s.Stats(); st.Compared+st.Skipped >= n {
			return st
		}
	}
	t.Fatalf("the shadow has seen %+v, want %d", s.Stats(), n)
	return ShadowStats{}
}

// byWord makes of a record what a table says: first what the stage makes, then what the shadow makes.
func byWord(table map[string]func(r *record.Record) (Result, []Out)) func(r *record.Record) (Result, []Out) {
	return func(r *record.Record) (Result, []Out) {
		if fn := table[string(r.Data)]; fn != nil {
			return fn(r)
		}
		return Result{Status: Unchanged}, nil
	}
}

func TestAShadowFindsWhatDiffers(t *testing.T) {
	to := func(outs ...Out) func(r *record.Record) (Result, []Out) {
		return func(*record.Record) (Result, []Out) { return Result{Status: OK}, outs }
	}
	data := func(s string) Out { return Out{Key: "k", Data: []byte(s)} }
	drop := func(*record.Record) (Result, []Out) { return Result{Status: Dropped}, nil }
	fail := func(*record.Record) (Result, []Out) { return Result{Status: Failed, Code: "test.bad"}, nil }
	blow := func(r *record.Record) (Result, []Out) { panic("in the shadow") }
	part := func(attrs ...record.Attr) Out { return Out{Key: "k", Data: []byte("x"), Partition: attrs} }
	for _, test := range []struct {
		name          string
		stage, shadow func(r *record.Record) (Result, []Out)
		want          Difference
	}{
		{"the same", to(data("x")), to(data("x")), ""},
		{"unchanged and the same", nil, func(r *record.Record) (Result, []Out) { return Result{Status: OK}, []Out{{Key: r.Key, Data: r.Data}} }, ""},
		{"the same JSON", to(data(`{"a":1,"b":2}`)), to(data(`{"b": 2.0, "a": 1}`)), ""},
		{"other JSON", to(data(`{"a":1}`)), to(data(`{"a":2}`)), DiffData},
		{"other text", to(data("x")), to(data("y")), DiffData},
		{"another key", to(data("x")), to(Out{Key: "other", Data: []byte("x")}), DiffKey},
		{"other partition keys", to(part(record.Attr{Name: "a", Value: "1"})), to(part(record.Attr{Name: "a", Value: "2"})), DiffPartition},
		{"partition keys in another order", to(part(record.Attr{Name: "a"}, record.Attr{Name: "b"})), to(part(record.Attr{Name: "b"}, record.Attr{Name: "a"})), ""},
		{"more outputs", to(data("x")), to(data("x"), data("x")), DiffOutputs},
		{"both drop", drop, drop, ""},
		{"the shadow drops", to(data("x")), drop, DiffStatus},
		{"the stage drops", drop, to(data("x")), DiffStatus},
		{"both fail", fail, blow, ""},
		{"the stage fails", fail, to(data("x")), DiffStatus},
		{"the shadow fails", to(data("x")), fail, DiffError},
		{"the shadow panics", to(data("x")), blow, DiffError},
	} {
		c, s := shadowed(t, ShadowConfig{Sample: 1, Transform: &each{fn: byWord(map[string]func(*record.Record) (Result, []Out){"r": test.shadow})}},
			byWord(map[string]func(*record.Record) (Result, []Out){"r": test.stage}))
		w := c.Tap().Watch(WatchConfig{Side: SideShadow})
		run(t, c, input("same", "r", "same"))
		st := settled(t, s, 3)
		s.Close()
		seen := drain(w)
		w.Close()
		if got := fmt.Sprint(st.Different); test.want == "" && (got != "map[]" || len(seen) != 0) || test.want != "" && got != fmt.Sprintf("map[%s:1]", test.want) {
			t.Errorf("%s: differences %s, want %q", test.name, got, test.want)
		} else if test.want != "" && (len(seen) != 1 || seen[0].Difference != test.want || string(seen[0].In.Data) != "r" || seen[0].In.Seq != 11) {
			t.Errorf("%s: the tap shows %+v", test.name, seen)
		}
	}
}

func TestASampleDependsOnTheRecordAlone(t *testing.T) {
	sample := func(part setting.Share) (n int, which string) {
		c, s := shadowed(t, ShadowConfig{Sample: part, Transform: &each{fn: failing("")}}, failing("never"))
		w := c.Tap().Watch(WatchConfig{Side: SideShadow})
		defer w.Close()
		for at := 0; at < 5000; at += 500 { // whatever the batches
			in := record.NewBatch()
			for i := range 500 {
				in.Add(record.Record{Shard: record.ShardID(i % 4), Seq: uint64(at + i), Key: "k"})
			}
			run(t, c, in)
			for s.queued.Load() > 0 { // also what is being compared, which Close would give up
				time.Sleep(time.Millisecond)
			}
		}
		s.Close()
		var b strings.Builder
		for _, seen := range drain(w) {
			fmt.Fprintf(&b, "%d/%d ", seen.In.Shard, seen.In.Seq)
			n++
		}
		return n, b.String()
	}
	n, first := sample(0.1)
	if n < 400 || n > 600 {
		t.Errorf("a tenth of 5000 records are %d", n)
	}
	if _, second := sample(0.1); first != second {
		t.Error("another run has another sample")
	}
}

// A shadow that hangs holds nothing back: the records pass, what it cannot take is counted, and it ends when it is told to.
func TestAShadowThatHangsHoldsNothingBack(t *testing.T) {
	hangs := apply(func(ctx context.Context, _ *record.Batch, _ *Output) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	c, s := shadowed(t, ShadowConfig{Sample: 1, Transform: hangs}, failing("never"))
	began := time.Now()
	for range 1000 {
		run(t, c, input("a", "b", "c"))
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("1000 batches took %v", took)
	}
	if st := s.Stats(); st.Skipped < 3*(1000-shadowJobs-1) || st.Compared != 0 {
		t.Errorf("%+v", st)
	}
}

func TestWhatWaitsForAShadowIsBounded(t *testing.T) {
	release := make(chan struct{})
	waits := apply(func(_ context.Context, in *record.Batch, out *Output) error {
		<-release
		for range in.Records {
			out.Results = append(out.Results, Result{Status: Unchanged})
		}
		return nil
	})
	c, s := shadowed(t, ShadowConfig{Sample: 1, Transform: waits}, failing("never"))
	big := string(bytes.Repeat([]byte("x"), 1<<20))
	for range 40 {
		run(t, c, input(big))
	}
	if n := s.queued.Load(); n > shadowBytes+1<<20+100 {
		t.Errorf("%d bytes wait", n)
	}
	close(release)
	st := settled(t, s, 40)
	s.Close()
	if st.Compared == 0 || st.Skipped == 0 || s.queued.Load() != 0 {
		t.Errorf("%+v, and %d bytes wait after all", st, s.queued.Load())
	}
}

// A shadow that cannot work for now is a difference in every record, and no failure of the pipeline.
func TestAShadowThatCannotWorkIsCounted(t *testing.T) {
	refuses := apply(func(context.Context, *record.Batch, *Output) error {
		return fault.New(fault.Unavailable, "test.down", "the endpoint is down")
	})
	c, s := shadowed(t, ShadowConfig{Sample: 1, Transform: refuses}, failing("never"))
	expect(t, run(t, c, input("a", "b")), "a b")
	if st := settled(t, s, 2); st.Different[DiffError] != 2 {
		t.Errorf("%+v", st)
	}
}

func TestASharedChainHasNoShadow(t *testing.T) {
	c, s := shadowed(t, ShadowConfig{Sample: 1, Transform: &each{fn: failing("")}}, failing("never"))
	run(t, c.Share(), input("a"))
	run(t, c, input("b"))
	if st := settled(t, s, 1); st.Compared != 1 {
		t.Errorf("%+v", st)
	}
}

// BenchmarkShadow is what a shadow costs the stage that it runs beside: 500 records of 1 KiB, and a shadow that is slow.
func BenchmarkShadow(b *testing.B) {
	in := record.NewBatch()
	for i := range 500 {
		in.Add(record.Record{Seq: uint64(i), Key: "key", Data: make([]byte, 1024)})
	}
	keep := func(_ context.Context, in *record.Batch, out *Output) error {
		for range in.Records {
			out.Results = append(out.Results, Result{Status: Unchanged})
		}
		return nil
	}
	slow := apply(func(ctx context.Context, in *record.Batch, out *Output) error {
		time.Sleep(10 * time.Millisecond)
		return keep(ctx, in, out)
	})
	for _, sample := range []setting.Share{0, 0.01, 0.1, 1} {
		b.Run(fmt.Sprintf("sample=%v", sample), func(b *testing.B) {
			l := Link{Name: "keep", Transform: apply(keep)}
			if sample > 0 {
				l.Shadow = NewShadow(ShadowConfig{Name: "keep", Transform: slow, Sample: sample})
				defer l.Shadow.Close()
			}
			c, f := NewChain(l), new(Final)
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Run(context.Background(), in, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
