package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// tolerated is a chain of a stage that fails records whose data is bad, unless it is told otherwise, with a tolerance.
type tolerated struct {
	*Chain
	tolerance *Tolerance
	log       bytes.Buffer
	degraded  []bool
	mended    atomic.Bool
	asked     atomic.Int64 // records
	stage     *each
}

func newTolerated(cfg ToleranceConfig) *tolerated {
	t := &tolerated{}
	cfg.Stage, cfg.Logger = "check", slog.New(slog.NewTextHandler(&t.log, nil))
	cfg.Degraded = func(now bool) { t.degraded = append(t.degraded, now) }
	t.tolerance = NewTolerance(cfg)
	t.stage = &each{fn: func(r *record.Record) (Result, []Out) {
		t.asked.Add(1)
		if t.mended.Load() {
			return Result{Status: Unchanged}, nil
		}
		return failing("bad")(r)
	}}
	t.Chain = NewChain(Link{Name: "check", Transform: t.stage, Tolerance: t.tolerance})
	return t
}

// batchOf returns n records of which the first are bad.
func batchOf(n, bad int) *record.Batch {
	data := make([]string, n)
	for i := range data {
		if data[i] = "good"; i < bad {
			data[i] = "bad"
		}
	}
	return input(data...)
}

func (c *tolerated) run(t *testing.T, n, bad int) error {
	t.Helper()
	f := new(Final)
	defer f.Release()
	err := c.Run(context.Background(), batchOf(n, bad), f)
	if err != nil && (len(f.Roots) != 0 || len(f.Outs) != 0) {
		t.Error("a batch that was refused left results")
	}
	return err
}

func TestAStageThatFailsTooOftenIsSaidSoOnceAndUntilItEnds(t *testing.T) {
	c := newTolerated(ToleranceConfig{Over: 0.5, Of: 100})
	steps := []struct {
		n, bad   int
		degraded bool
	}{
		{100, 50, false}, // just as many as it may
		{10, 10, false},  // the first ten are too old
		{100, 60, true},
		{100, 40, true}, // no longer too many, but not few either
		{10, 0, true},
		{50, 0, false},
		{1, 1, false},
		{50, 50, true}, // 51 of 51: more cannot be good enough any more
	}
	var want []bool
	for i, s := range steps {
		if err := c.run(t, s.n, s.bad); err != nil {
			t.Fatal(err)
		}
		if was := i > 0 && steps[i-1].degraded; was != s.degraded {
			want = append(want, s.degraded)
		}
		if err := c.tolerance.Check(); (err != nil) != s.degraded {
			t.Errorf("step %d: %v", i, err)
		} else if err != nil && !strings.Contains(err.Error(), "test.bad: it is bad") {
			t.Error(err)
		}
	}
	if fmt.Sprint(c.degraded) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", c.degraded, want)
	}
	if log := c.log.String(); strings.Count(log, "level=WARN") != 2 || strings.Count(log, "level=INFO") != 1 ||
		!strings.Contains(log, `share=53.1% over=50% of=100 then=continue code=test.bad reason="it is bad"`) {
		t.Error(log)
	}
}

// Batches may be much larger than what is looked at.
func TestOnlyTheNewestRecordsCount(t *testing.T) {
	for _, then := range []Reaction{Continue, Pause, StopPipeline} {
		for _, traps := range []bool{false, true} {
			for pattern, degraded := range map[string]bool{
				strings.Repeat("++-", 1400):                            false, // a third, everywhere
				strings.Repeat("+", 300) + strings.Repeat("-", 50):     false,
				strings.Repeat("+", 900) + strings.Repeat("-", 51):     true,
				strings.Repeat("-+", 50) + strings.Repeat("+", 4000):   false,
				strings.Repeat("+-", 2000) + strings.Repeat("-+-", 30): true,
			} {
				c := newTolerated(ToleranceConfig{Over: 0.5, Of: 100, Then: then})
				if traps {
					c.Chain = NewChain(Link{Name: "check", Transform: &brittle{cursor: true, fault: trap}, Tolerance: c.tolerance})
				}
				bad := map[bool]string{false: "bad", true: "poison"}[traps]
				var data []string
				for _, p := range pattern {
					data = append(data, map[rune]string{'+': "good", '-': bad}[p])
				}
				f := new(Final)
				err := c.Run(context.Background(), input(data...), f)
				f.Release()
				if (err != nil) != (degraded && then != Continue) || len(c.degraded) > 0 != degraded {
					t.Errorf("%s, %.20s… of %d: %v, %v", then, pattern, len(pattern), err, c.degraded)
				}
			}
		}
	}
}

func TestTheWindowOfAToleranceIsBounded(t *testing.T) {
	c := newTolerated(ToleranceConfig{Over: 0.5, Of: 1000})
	for range 5000 {
		if err := c.run(t, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.tolerance.window); n > 40 || c.tolerance.seen > 1000+1000/16+1 {
		t.Errorf("%d tallies of %d records", n, c.tolerance.seen)
	}
}

func TestAStageThatRestsLosesNothingAndIsTriedWithAFewRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTolerated(ToleranceConfig{Over: 0.5, Of: 100, Then: Pause})
		if err := c.run(t, 100, 50); err != nil {
			t.Fatal(err)
		}
		err := c.run(t, 100, 51)
		if fault.CodeOf(err) != CodePaused || fault.ClassOf(err) != fault.Unavailable || c.tolerance.Check() == nil {
			t.Fatalf("got %v", err)
		}
		wait := firstRest
		for range 10 { // tried, in vain, ever less often
			began, calls, asked := time.Now(), c.stage.calls.Load(), c.asked.Load()
			if err := c.run(t, 100, 51); fault.CodeOf(err) != CodePaused {
				t.Fatalf("got %v", err)
			}
			if took := time.Since(began); took != wait || c.stage.calls.Load() != calls+1 {
				t.Fatalf("tried after %s, want %s, with %d calls", took, wait, c.stage.calls.Load()-calls)
			}
			if n := c.asked.Load() - asked; n != probeRecords {
				t.Errorf("tried with %d records", n)
			}
			wait = min(2*wait, lastRest)
		}
		if wait != lastRest {
			t.Errorf("the wait ends at %s", wait)
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errors.New("enough"))
		defer cancel()
		if err := c.Run(ctx, batchOf(1, 0), new(Final)); err == nil || err.Error() != "enough" {
			t.Errorf("a wait that is ended: %v", err)
		}
		c.mended.Store(true)
		if err := c.run(t, 100, 51); err != nil {
			t.Fatalf("the stage works again: %v", err)
		}
		if c.tolerance.Check() != nil || fmt.Sprint(c.degraded) != "[true false]" {
			t.Errorf("%v, %v", c.tolerance.Check(), c.degraded)
		}
		c.mended.Store(false)
		if err := c.run(t, 60, 51); fault.CodeOf(err) != CodePaused {
			t.Errorf("it counts anew: %v", err)
		}
	})
}

func TestOneOfManyTriesAStageThatRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTolerated(ToleranceConfig{Over: 0.1, Of: 10, Then: Pause})
		if err := c.run(t, 10, 10); err == nil {
			t.Fatal("it goes on")
		}
		before := c.stage.calls.Load()
		slow := c.stage.fn
		c.stage.fn = func(r *record.Record) (Result, []Out) {
			time.Sleep(time.Millisecond)
			return slow(r)
		}
		done := make(chan error)
		for range 5 {
			go func() { done <- c.Run(context.Background(), batchOf(100, 100), new(Final)) }()
		}
		for range 5 {
			if err := <-done; fault.CodeOf(err) != CodePaused {
				t.Error(err)
			}
		}
		if n := c.stage.calls.Load() - before; n != 1 {
			t.Errorf("%d tries at a time", n)
		}
	})
}

func TestAStageMayEndItsPipeline(t *testing.T) {
	c := newTolerated(ToleranceConfig{Over: 0, Of: 1000, Then: StopPipeline})
	if err := c.run(t, 5000, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := c.run(t, 100, 1)
		if fault.CodeOf(err) != CodeTooManyFailures || fault.ClassOf(err) != fault.Permanent || fault.HintOf(err) == "" {
			t.Errorf("got %v", err)
		}
	}
	if n := c.stage.calls.Load(); n != 2 {
		t.Errorf("%d calls: it goes on after its end", n)
	}
}

func TestChainsThatShareAStageCountTogether(t *testing.T) {
	c := newTolerated(ToleranceConfig{Over: 0.5, Of: 100})
	other := c.Share()
	for range 2 {
		if err := c.run(t, 30, 20); err != nil {
			t.Fatal(err)
		}
		if err := other.Run(context.Background(), batchOf(30, 20), new(Final)); err != nil {
			t.Fatal(err)
		}
	}
	if c.tolerance.Check() == nil {
		t.Error("80 of 120 failed, and nobody says so")
	}
}

// Records that each use up the time of a call, such as those that make a module spin, must not hold a batch up for hours.
func TestABatchThatFailsTooOftenIsNotWorkedOffToItsEnd(t *testing.T) {
	for _, then := range []Reaction{Pause, StopPipeline, Continue} {
		calls := 0
		trapping := apply(func(context.Context, *record.Batch, *Output) error { calls++; return culprit{trap(), 0} })
		tolerance := NewTolerance(ToleranceConfig{Over: 0.1, Of: 100, Then: then, Stage: "s"})
		f := new(Final)
		err := NewChain(Link{Name: "s", Transform: trapping, Tolerance: tolerance}).Run(context.Background(), batchOf(1000, 0), f)
		f.Release()
		code := map[Reaction]string{Pause: CodePaused, StopPipeline: CodeTooManyFailures, Continue: ""}[then]
		if (err == nil) != (code == "") || err != nil && fault.CodeOf(err) != code || tolerance.Check() == nil {
			t.Errorf("%s: %v, %v", then, err, tolerance.Check())
		}
		if most := 3 * 11; then != Continue && calls > most || then == Continue && calls < 1000 {
			t.Errorf("%s: %d calls", then, calls)
		}
	}
}

// A stage that remembers records, or counts them, would not let them pass once more.
func TestRecordsThatWaitForAStageDoNotPassThoseBeforeItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, room := range []int{5 * outCost, partRoom} {
			c := newTolerated(ToleranceConfig{Over: 0.5, Of: 4, Then: Pause})
			before := &passing{suspect: 1, passed: map[uint64]int{}}
			c.Chain = NewChain(Link{Name: "before", Transform: before}, c.links[0])
			c.room = room
			in, f, rests, next := batchOf(20, 10), new(Final), 0, 0
			for done := false; !done; done = f.Left() == 0 {
				for err := c.Run(t.Context(), in, f); err != nil; err = c.Run(t.Context(), in, f) {
					if fault.CodeOf(err) != CodePaused || len(f.Roots) != 0 || len(f.Outs) != 0 {
						t.Fatalf("%d results, %v", len(f.Roots), err)
					}
					if rests++; rests == 3 {
						c.mended.Store(true)
					}
				}
				if f.From != next {
					t.Fatalf("a part begins at %d, want %d", f.From, next)
				}
				next += len(f.Roots)
			}
			for i := range in.Records {
				if n := before.passed[in.Records[i].Seq]; n != 1 {
					t.Errorf("room %d: record %d has passed %d times", room, i, n)
				}
			}
			if rests != 3 || next != 20 {
				t.Errorf("it rested %d times, and %d records are through", rests, next)
			}
			f.Release()
		}
	})
}
