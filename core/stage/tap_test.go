package stage

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
)

// tapped runs data through the chain while w watches, and returns what it has seen.
func tapped(t *testing.T, c *Chain, w *Watch, data ...string) []*Seen {
	t.Helper()
	defer w.Close()
	in := input(data...)
	f := run(t, c, in)
	f.Reset() // what was seen must not depend on it
	for i := range in.Records {
		clear(in.Records[i].Data)
	}
	in.Release()
	return drain(w)
}

func drain(w *Watch) (all []*Seen) {
	for {
		select {
		case s := <-w.C:
			w.Took(s)
			all = append(all, s)
		default:
			return all
		}
	}
}

// sight writes what was seen of a record.
func (f *Fate) sight() string {
	var parts []string
	for _, o := range f.Outs {
		parts = append(parts, o.Key+"="+string(o.Data))
	}
	text := fmt.Sprint(f.Status, "[", strings.Join(parts, " "), "]")
	if f.Code != "" {
		text += " " + f.Stage + "/" + f.Code + " (" + f.Reason + ")"
	}
	return text
}

func TestAWatchSeesBothSidesOfAStage(t *testing.T) {
	c := NewChain(link("split", words), link("check", failing("bad")), link("last", func(r *record.Record) (Result, []Out) {
		if string(r.Data) == "c" {
			return Result{Status: Dropped}, nil
		}
		return Result{Status: OK}, []Out{{Key: r.Key, Data: bytes.ToUpper(r.Data)}}
	}))
	for _, test := range []struct {
		stage int
		side  Side
		want  []string
	}{
		{0, SideIn, []string{"10.0 k0=a bad", "11.0 k1=b c", "12.0 k2="}},
		{1, SideIn, []string{"10.0 a=a", "10.1 bad=bad", "11.0 b=b", "11.1 c=c"}},
		{1, SideDiff, []string{"10.0 a=a 1[a=a]", "10.1 bad=bad 3[] check/test.bad (it is bad)", "11.0 b=b 1[b=b]", "11.1 c=c 1[c=c]"}},
		{2, SideOut, []string{"11.0 b=b 0[b=B]", "11.1 c=c 2[]"}}, // the first record is dead by then
		{WholeChain, SideIn, []string{"10.0 k0=a bad", "11.0 k1=b c", "12.0 k2="}},
		{WholeChain, SideDiff, []string{"10.0 k0=a bad 3[] check/test.bad (it is bad)", "11.0 k1=b c 0[b=B]", "12.0 k2= 2[]"}},
	} {
		var got []string
		for _, s := range tapped(t, c, c.Tap().Watch(WatchConfig{Stage: test.stage, Side: test.side}), "a bad", "b c", "") {
			text := fmt.Sprintf("%d.%d %s=%s", s.In.Seq, s.In.Sub, s.In.Key, s.In.Data)
			if test.side != SideIn {
				text += " " + s.Fate.sight()
			}
			got = append(got, text)
		}
		if strings.Join(got, "; ") != strings.Join(test.want, "; ") {
			t.Errorf("stage %d, side %d:\n got %q\nwant %q", test.stage, test.side, got, test.want)
		}
	}
}

func TestAChainWithoutStagesCanBeWatched(t *testing.T) {
	c := NewChain()
	seen := tapped(t, c, c.Tap().Watch(WatchConfig{Stage: WholeChain, Side: SideOut}), "x")
	if len(seen) != 1 || seen[0].Fate.sight() != "0[k0=x]" {
		t.Errorf("%+v", seen)
	}
}

func TestSharedChainsHaveTapsOfTheirOwn(t *testing.T) {
	c := NewChain(link("split", words))
	other := c.Share()
	w := other.Tap().Watch(WatchConfig{})
	if seen := tapped(t, c, w, "a"); len(seen) != 0 {
		t.Errorf("a watch of another chain saw %d records", len(seen))
	}
	if seen := tapped(t, other, other.Tap().Watch(WatchConfig{}), "a"); len(seen) != 1 {
		t.Errorf("a watch of its own chain saw %d records", len(seen))
	}
}

// What a watch does not show is counted, whatever the reason: its rate, its queue, or the size of what waits.
func TestWhatAWatchDoesNotShowIsCounted(t *testing.T) {
	c := NewChain(link("keep", failing("never")))
	data := make([]string, 500)
	for i := range data {
		data[i] = fmt.Sprint(i)
	}
	w := c.Tap().Watch(WatchConfig{Rate: 10})
	seen := tapped(t, c, w, data...)
	if len(seen) != 10 || w.Skipped() != 490 {
		t.Errorf("with a rate: %d seen, %d skipped", len(seen), w.Skipped())
	}
	if string(seen[9].In.Data) != "450" {
		t.Errorf("the records seen are not spread over the batch: the last is %s", seen[9].In.Data)
	}
	w = c.Tap().Watch(WatchConfig{})
	for range 4 {
		run(t, c, input(data...))
	}
	w.Close()
	if got := len(drain(w)); got != queueRecords || w.Skipped() != uint64(2000-queueRecords) {
		t.Errorf("with a full queue: %d seen, %d skipped", got, w.Skipped())
	}
	w = c.Tap().Watch(WatchConfig{})
	big := strings.Repeat("x", queueBytes/2)
	for range 2 { // the room comes back
		run(t, c, input(big, big, "small"))
		if got := len(drain(w)); got != 2 {
			t.Errorf("with large records: %d seen, %d skipped", got, w.Skipped())
		}
	}
	w.Close()
	if huge := tapped(t, c, c.Tap().Watch(WatchConfig{}), big+big+big); len(huge) != 1 {
		t.Error("a record larger than the queue is never shown")
	}
}

// Batches run on many goroutines while watches come and go; -race looks on.
func TestWatchesComeAndGoWhileBatchesPass(t *testing.T) {
	c := NewChain(link("split", words), link("check", failing("bad")))
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			f := new(Final)
			for ctx.Err() == nil {
				if err := c.Run(context.Background(), input("a b", "bad c", "d"), f); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := 0
	for i := range 50 {
		w := c.Tap().Watch(WatchConfig{Stage: i%3 - 1, Side: Side(i % 3), Rate: i % 2 * 1000})
		select {
		case s := <-w.C:
			w.Took(s)
			seen++
		case <-time.After(time.Minute):
			t.Error("nothing seen")
		}
		w.Close()
	}
	stop()
	wg.Wait()
	if c.Tap().watches.Load() != nil {
		t.Error("a watch is left")
	}
}

// BenchmarkTap compares a chain that nobody watches with one that is.
func BenchmarkTap(b *testing.B) {
	in := record.NewBatch()
	for i := range 500 {
		in.Add(record.Record{Seq: uint64(i), Key: "key", Data: make([]byte, 1024)})
	}
	keep := apply(func(_ context.Context, in *record.Batch, out *Output) error {
		for range in.Records {
			out.Results = append(out.Results, Result{Status: Unchanged})
		}
		return nil
	})
	for _, bench := range []struct {
		name string
		rate int // -1: nobody watches
	}{{"nobody", -1}, {"rate=100", 100}, {"unlimited", 0}} {
		b.Run(bench.name, func(b *testing.B) {
			c := NewChain(Link{Name: "keep", Transform: keep})
			if bench.rate >= 0 {
				w := c.Tap().Watch(WatchConfig{Side: SideDiff, Rate: bench.rate})
				done := make(chan struct{})
				defer func() { w.Close(); close(done) }()
				go func() {
					for {
						select {
						case s := <-w.C:
							w.Took(s)
						case <-done:
							return
						}
					}
				}()
			}
			f := new(Final)
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Run(context.Background(), in, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
