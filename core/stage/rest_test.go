package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// outage is a transform that cannot work until it is over, and says once when it may be tried again. It counts the records that it is
// asked about, and how often it has made something of each.
type outage struct {
	over  time.Time
	again time.Duration
	// after is how many records of a call it gets through before it is down, if its error says so; each outage has it once.
	after  int
	asked  []int
	passed map[uint64]int
}

type notBefore struct {
	error
	later time.Duration
}

func (n notBefore) Unwrap() error        { return n.error }
func (n notBefore) Later() time.Duration { return n.later }

func (o *outage) Apply(_ context.Context, in *record.Batch, out *Output) error {
	o.asked = append(o.asked, len(in.Records))
	for i := range in.Records {
		if time.Now().Before(o.over) && i == o.after {
			err := error(broken{down(), -1, i, false})
			if o.again > 0 {
				err = notBefore{err, o.again}
			}
			o.again, o.after = 0, 0
			return err
		}
		o.passed[in.Records[i].Seq]++
		out.Results = append(out.Results, Result{Status: Unchanged})
	}
	return nil
}

func (*outage) Close(context.Context) error { return nil }

// until runs a chain until all of a batch is through, and returns the errors on the way.
func until(t *testing.T, c *Chain, in *record.Batch) (roots int, refused []error) {
	t.Helper()
	f := new(Final)
	defer f.Release()
	for done := false; !done; done = f.Left() == 0 {
		for err := c.Run(t.Context(), in, f); err != nil; err = c.Run(t.Context(), in, f) {
			if fault.ClassOf(err) == fault.Permanent || len(f.Roots) != 0 || len(f.Outs) != 0 {
				t.Fatalf("%d results, %v", len(f.Roots), err)
			}
			refused = append(refused, err)
		}
		roots += len(f.Roots)
	}
	return roots, refused
}

// A stage that cannot work is tried with a few records, ever less often, for as long as it takes. No record that it has made
// something of enters it, or a stage before it, again.
func TestAStageThatCannotWorkRestsUntilItCan(t *testing.T) {
	for _, then := range []Reaction{Continue, Pause, StopPipeline} {
		synctest.Test(t, func(t *testing.T) {
			var told []bool
			tolerance := NewTolerance(ToleranceConfig{Over: 0.5, Of: 100, Then: then, Stage: "ask", Degraded: func(now bool) { told = append(told, now) }})
			before := &passing{passed: map[uint64]int{}}
			began := time.Now()
			end := began.Add(10 * time.Minute)
			tr := &outage{over: end, after: 40, passed: map[uint64]int{}}
			c := NewChain(Link{Name: "before", Transform: before}, Link{Name: "ask", Transform: tr, Tolerance: tolerance})
			in := batchOf(100, 0)
			roots, refused := until(t, c, in)
			if roots != 100 || time.Now().Before(end) || time.Since(end) > lastRest {
				t.Errorf("%s: %d records are through after %s", then, roots, time.Since(began))
			}
			want := "[100 60" + strings.Repeat(" 16", 15) + " 44]" // after 1, 2, 4, 8, 16, 32 s, and then once a minute
			if got := fmt.Sprint(tr.asked); got != want {
				t.Errorf("%s: it was asked about %s records, want %s", then, got, want)
			}
			for i := range in.Records {
				if seq := in.Records[i].Seq; tr.passed[seq] != 1 || before.passed[seq] != 1 {
					t.Errorf("%s: record %d has passed %d and %d times", then, i, before.passed[seq], tr.passed[seq])
				}
			}
			if err := refused[0]; len(refused) != 15 || fault.CodeOf(err) != "test.down" || fault.ClassOf(err) != fault.Unavailable ||
				!strings.Contains(err.Error(), "stage ask cannot work; it rests, its records stay in the stream, and a few are tried again in 1s: it is down") {
				t.Errorf("%s: %d errors, the first is %v", then, len(refused), err)
			}
			if fmt.Sprint(told) != "[true false]" || tolerance.Check() != nil {
				t.Errorf("%s: told %v, and %v", then, told, tolerance.Check())
			}
		})
	}
}

func TestATapSeesARecordThatWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &outage{over: time.Now().Add(time.Minute), passed: map[uint64]int{}}
		c := NewChain(Link{Name: "ask", Transform: tr, Tolerance: NewTolerance(ToleranceConfig{Over: 0.5, Of: 100})})
		var watches []*Watch
		for _, stage := range []int{WholeChain, 0} {
			for _, side := range []Side{SideIn, SideOut} {
				watches = append(watches, c.Tap().Watch(WatchConfig{Stage: stage, Side: side}))
			}
		}
		for range 2 {
			if _, refused := until(t, c, batchOf(50, 0)); len(refused) == 0 {
				t.Error("it did not rest")
			}
			tr.over = time.Now().Add(time.Minute)
		}
		for i, w := range watches {
			if len(w.C) != 100 || w.Skipped() != 0 {
				t.Errorf("watch %d has seen %d records and %d too many", i, len(w.C), w.Skipped())
			}
			w.Close()
		}
	})
}

func TestAStageMaySayWhenItCanWorkAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tolerance := NewTolerance(ToleranceConfig{Over: 0.5, Of: 100, Stage: "ask"})
		began := time.Now()
		tr := &outage{over: began.Add(time.Minute), again: time.Hour, passed: map[uint64]int{}}
		c := NewChain(Link{Name: "ask", Transform: tr, Tolerance: tolerance})
		if _, refused := until(t, c, batchOf(10, 0)); len(refused) != 1 || time.Since(began) != time.Hour {
			t.Errorf("%v, and it is tried after %s", refused, time.Since(began))
		}
		tr.over = time.Now().Add(time.Minute)
		if err := c.Run(t.Context(), batchOf(10, 0), new(Final)); err == nil || tolerance.Check() == nil {
			t.Error("it is down again, and nobody says so")
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("enough"))
		defer cancel()
		if err := c.Run(ctx, batchOf(1, 0), new(Final)); err == nil || err.Error() != "enough" {
			t.Errorf("a wait that is ended: %v", err)
		}
	})
}

// Those that were under way while another found that the stage cannot work count, and those that follow wait.
func TestWhatAStageHasDoneBeforeItRestsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &each{fn: func(r *record.Record) (Result, []Out) {
			time.Sleep(100 * time.Millisecond)
			return Result{Status: Unchanged}, nil
		}}
		tr := &outage{over: time.Now().Add(time.Minute), passed: map[uint64]int{}}
		tolerance := NewTolerance(ToleranceConfig{Over: 0.5, Of: 100})
		done := make(chan error)
		go func() {
			done <- NewChain(Link{Name: "ask", Transform: slow, Tolerance: tolerance}).Run(t.Context(), batchOf(1, 0), new(Final))
		}()
		time.Sleep(time.Millisecond)
		c := NewChain(Link{Name: "ask", Transform: tr, Tolerance: tolerance})
		if err := c.Run(t.Context(), batchOf(1, 0), new(Final)); err == nil {
			t.Error("it works")
		}
		if err := <-done; err != nil || tolerance.Check() == nil {
			t.Errorf("%v, %v", err, tolerance.Check())
		}
	})
}

// What a stage that rests, because too many have failed, makes of the records that it is tried with counts.
func TestRecordsThatAStageIsTriedWithDoNotEnterItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTolerated(ToleranceConfig{Over: 0.5, Of: 100, Then: Pause})
		if err := c.run(t, 100, 60); fault.CodeOf(err) != CodePaused {
			t.Fatal(err)
		}
		c.mended.Store(true)
		before := c.asked.Load()
		if roots, refused := until(t, c.Chain, batchOf(100, 60)); roots != 100 || refused != nil || c.asked.Load()-before != 100 {
			t.Errorf("%d of 100 records are through, %d were asked about, %v", roots, c.asked.Load()-before, refused)
		}
	})
}

// A stage is tried with whole records of the stream, however many they have become, and no longer than it takes to see that it fails.
func TestATrialOfManyRecordsEndsWhenTooManyHaveFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		trapping := apply(func(context.Context, *record.Batch, *Output) error { calls++; return culprit{trap(), 0} })
		tolerance := NewTolerance(ToleranceConfig{Over: 0.5, Of: 1000, Then: Pause, Stage: "s"})
		c := NewChain(link("split", words), Link{Name: "s", Transform: trapping, Tolerance: tolerance})
		in, f := input(strings.Repeat("word ", 2000)), new(Final)
		if err := c.Run(t.Context(), in, f); fault.CodeOf(err) != CodePaused {
			t.Fatal(err)
		}
		first := calls
		if err := c.Run(t.Context(), in, f); fault.CodeOf(err) != CodePaused || calls-first > 3*probeRecords {
			t.Errorf("%v after %d calls, and %d for the trial", err, first, calls-first)
		}
		f.Release()
	})
}

// An outage in the middle costs what the stage has made of the record of the stream that it falls into, and no more, also while the chain
// looks for the guilty.
func TestAnOutageCostsAtMostTheWorkOnOneRecord(t *testing.T) {
	for at := range 40 {
		p := &passing{passed: map[uint64]int{}}
		calls := 0
		tr := apply(func(ctx context.Context, in *record.Batch, out *Output) error {
			if len(in.Records) <= 2 {
				if calls++; calls == at || calls == at+1 {
					return down()
				}
			}
			return p.Apply(ctx, in, out)
		})
		in := input(slices.Repeat([]string{"a b c"}, 20)...)
		if roots, refused := until(t, NewChain(link("split", words), Link{Name: "s", Transform: tr}), in); roots != 20 || len(refused) > 2 {
			t.Errorf("%d records are through, %v", roots, refused)
		}
		again := 0
		for _, n := range p.passed {
			again += n - 3
		}
		if again < 0 || again > 2 {
			t.Errorf("calls %d and the next are refused: %d records passed again", at, again)
		}
	}
}
