package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stage"
)

// polled is a log whose scanners look for records again and again: what disk logs wait with is shared by all tests, and a
// bubble of synctest must not use it.
type polled struct{ shardlog.Log }

func (p polled) Scan(from shardlog.Positions) (shardlog.Scanner, error) {
	s, err := p.Log.Scan(from)
	return polledScanner{s}, err
}

type polledScanner struct{ shardlog.Scanner }

const pollEvery = 50 * time.Millisecond

func (polledScanner) Wait(ctx context.Context) error {
	select {
	case <-time.After(pollEvery):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.cfg.Source.Log = polled{w.log}
		test(t, w)
	})
}

// exactly is a datum whose line has n bytes.
func exactly(n int) string { return strings.Repeat("x", n-1) }

func TestABufferRollsWhenARecordFillsItExactly(t *testing.T) {
	const part = MinBufferSize / 8
	small := slices.Repeat([]int{MinBufferSize / 16}, 15)
	for _, c := range []struct {
		name  string
		sizes []int
		want  []int // sizes of the objects, before compression
	}{
		{"batches too small for a block, exactly full", slices.Concat(small, []int{MinBufferSize / 16}), []int{MinBufferSize}},
		{"batches too small for a block, the next does not fit", slices.Concat(small, []int{MinBufferSize/16 - 1, 2}), []int{MinBufferSize - 1}},
		{"exactly full", []int{part, part, part, part, part, part, part, part}, []int{MinBufferSize}},
		{"one byte is free", []int{7 * part, part - 1}, nil},
		{"the next block does not fit", []int{7 * part, part - 1, 2}, []int{7 * part}},
		{"one byte too much", []int{7 * part, part + 1}, []int{7 * part}},
		{"an output larger than the buffer, alone", []int{MinBufferSize + 1}, []int{MinBufferSize + 1}},
		{"an output larger than the buffer, behind another", []int{10, MinBufferSize + 1}, []int{10, MinBufferSize + 1}},
		{"an output smaller than the buffer, behind many", []int{70 << 10, 70 << 10, 70 << 10, MinBufferSize - 10}, []int{210 << 10}},
		{"an output of exactly the buffer's size", []int{MinBufferSize, 10}, []int{MinBufferSize}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				var data []string
				for _, n := range c.sizes {
					if data = append(data, exactly(n)); n < part/2+1 {
						w.put(0, "k", data...)
						data = nil
						time.Sleep(time.Second)
					}
				}
				if len(data) > 0 {
					w.put(0, "k", data...)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				var got []int
				w.main.mu.Lock()
				keys := w.main.chunks
				w.main.mu.Unlock()
				all := w.main.contents(t)
				for _, k := range keys {
					got = append(got, len(all[k.Key]))
				}
				slices.Sort(got)
				if !slices.Equal(got, c.want) {
					t.Errorf("objects of %v bytes, want %v", got, c.want)
				}
				w.must(r.stop())
			})
		})
	}
}

// The age of a buffer counts from its own first record; a record that comes later does not make it younger.
func TestABufferRollsAtTheAgeOfItsFirstRecord(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.BufferInterval = 60 * time.Second
		r := w.start()
		w.put(0, "early", "a")
		time.Sleep(30 * time.Second)
		w.put(0, "late", "b")
		w.put(0, "early", "c")
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if n := w.main.len(); n != 0 {
			t.Fatalf("%d objects after 59 s", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.main.lines(t); fmt.Sprint(got) != "[a c]" {
			t.Fatalf("after 61 s: %v", got)
		}
		time.Sleep(27 * time.Second)
		synctest.Wait()
		if n := w.main.len(); n != 1 {
			t.Fatalf("%d objects after 88 s", n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		w.main.wantLines(t, []string{"a", "b", "c"})
		w.must(r.stop())
		if c := w.holds(); c.Delivered != 3 {
			t.Errorf("%+v", c)
		}
	})
}

func TestAnIntervalOfZeroMeansASecond(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.BufferInterval = 0
		r := w.start()
		for i := range 8 { // two seconds
			w.put(0, "k", fmt.Sprint(i))
			time.Sleep(250 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := w.main.len(); n < 2 || n > 3 {
			t.Errorf("%d objects of 8 records in two seconds", n)
		}
		if c := r.Stats(); c.Delivered != 8 {
			t.Errorf("%+v", c)
		}
		w.must(r.stop())
	})
}

// Inputs that a transform drops are committed, although no object is.
func TestDroppedInputsMoveTheCheckpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
		r := w.start()
		w.put(0, "k", "", "", "")
		time.Sleep(freeDelay + 2*pollEvery)
		synctest.Wait()
		if c := w.holds(); c.Dropped != 3 || c.Pending != 0 {
			t.Errorf("%+v", c)
		}
		w.must(r.stop())
	})
}

// Twenty seconds are what a put gets after a stop, if nothing else is configured.
func TestTheGraceIsTwentySecondsByDefault(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.BufferInterval = soon
		entered := make(chan struct{})
		w.main.on(func(ctx context.Context, _ *Chunk) error {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		})
		w.put(0, "k", "a")
		r := w.start()
		<-entered
		began := time.Now()
		w.must(r.stop())
		if took := time.Since(began); took != DefaultGrace {
			t.Errorf("the stop takes %s, want %s", took, DefaultGrace)
		}
	})
}

// A delivery that is full of dead letters rolls them as it rolls what is well.
func TestDeadLettersRollToo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.BufferInterval = 10 * time.Second
		w.put(0, "bad", "a", "b")
		r := w.start()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if c := w.holds(); c.Dead != 2 || w.dead.len() != 1 {
			t.Errorf("%+v, %d objects", c, w.dead.len())
		}
		w.must(r.stop())
	})
}

// hourly puts the hour of an object's first record into its key.
type hourly struct{ byKey }

func (hourly) Prefix(_ string, at time.Time) (string, error) { return at.Format("15") + "/", nil }

// A batch may hold hours of a quiet stream. An object that begins within it has the time of its own first record.
func TestAnObjectThatBeginsWithinABatchHasTheTimeOfItsFirstRecord(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.Layout = hourly{}
		first := time.Now().UTC()
		for range 113 { // two batches of 56, and one more
			w.put(0, "k", exactly(9<<10))
		}
		time.Sleep(2 * time.Hour)
		for range 60 { // the first seven fill the object, and are read together with the one before
			w.put(0, "k", exactly(1<<10))
		}
		w.deliverAll()
		var got []string
		for key := range w.main.contents(t) {
			got = append(got, key[:3])
		}
		slices.Sort(got)
		if want := []string{first.Format("15/"), first.Add(2 * time.Hour).Format("15/")}; !slices.Equal(got, want) {
			t.Errorf("objects of the hours %v, want %v", got, want)
		}
	})
}

// slow passes records on, after a minute for each that says slow.
type slow struct{ unchanged }

func (s slow) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	for i := range in.Records {
		if string(in.Records[i].Data) == "slow" {
			time.Sleep(time.Minute)
		}
	}
	return s.unchanged.Apply(ctx, in, out)
}

// unchanged passes all records on.
type unchanged struct{}

func (unchanged) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	for range in.Records {
		out.Results = append(out.Results, stage.Result{Status: stage.Unchanged})
	}
	return nil
}

func (unchanged) Close(context.Context) error { return nil }

// A handler that takes its time holds back what comes after it, and not what was ready before it.
func TestBuffersAreSealedAtTheirAgeWhileATransformIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.BufferInterval = 5 * time.Second
		w.cfg.Chain = stage.NewChain(stage.Link{Name: "slow", Transform: slow{}})
		r := w.start()
		w.put(0, "k", "quick")
		time.Sleep(2 * pollEvery)
		w.put(0, "k", "slow")
		for _, c := range []struct {
			sleep     time.Duration
			delivered uint64
		}{{6 * time.Second, 1}, {time.Minute, 2}} {
			time.Sleep(c.sleep)
			synctest.Wait()
			if got := r.Stats(); got.Delivered != c.delivered || got.In != 2 {
				t.Errorf("%+v, want %d delivered", got.Counts, c.delivered)
			}
		}
		w.must(r.stop())
	})
}

// grumpy fails what is bad, or cannot work on it at all, for as long as it is told to.
type grumpy struct {
	unchanged
	down   bool
	mended atomic.Bool
}

func (g *grumpy) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	if err := g.unchanged.Apply(ctx, in, out); err != nil || g.mended.Load() {
		return err
	}
	for i := range in.Records {
		if strings.HasPrefix(string(in.Records[i].Data), "bad") {
			if g.down {
				return errDown
			}
			out.Results[i] = stage.Result{Status: stage.Failed, Code: "test.bad", Reason: "it is bad"}
		}
	}
	return nil
}

// A stage that rests, or cannot work, holds its records back, and not what was ready before it, for as long as it takes: the delivery goes
// on. The log says that it rests, and until when.
func TestADeliveryWaitsWhileAStageRests(t *testing.T) {
	for _, down := range []bool{false, true} {
		inBubble(t, func(t *testing.T, w *world) {
			tr := &grumpy{down: down}
			w.cfg.BufferInterval = 5 * time.Second
			w.cfg.Chain = stage.NewChain(stage.Link{Name: "check", Transform: tr, Tolerance: stage.NewTolerance(stage.ToleranceConfig{
				Stage: "check", Over: 0.1, Of: 100, Then: stage.Pause,
			})})
			r := w.start()
			w.put(0, "k", "early")
			time.Sleep(2 * pollEvery)
			want := []string{"early"}
			for i := range 50 {
				want = append(want, fmt.Sprint("bad", i))
			}
			w.put(0, "k", want[1:]...)
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			select {
			case err := <-r.result:
				t.Fatalf("the delivery has ended: %v", err)
			default:
			}
			if got := r.Stats(); got.Delivered != 1 || got.Pending != 50 {
				t.Errorf("%+v", got.Counts)
			}
			said := w.said.String()
			if n := strings.Count(said, "records wait in the stream while a stage rests"); n < 2 || n > 12 || !strings.Contains(said, "a few are tried again in 1s:") {
				t.Errorf("%d lines say that records wait\n%s", n, said)
			}
			tr.mended.Store(true)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if got := r.Stats(); got.Delivered != 51 || got.Dead != 0 {
				t.Errorf("%+v", got.Counts)
			}
			if !strings.Contains(w.said.String(), "records no longer wait for a stage") {
				t.Error("nobody says that it is over")
			}
			w.must(r.stop())
			w.main.wantLines(t, want)
		})
	}
}
