package stage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/internal/testenv"
)

// brittle fails a batch that holds a record beginning with "poison"; all others become upper case.
type brittle struct {
	mu     sync.Mutex
	calls  int
	asked  int // records of all calls
	cursor bool
	fault  func() error // the error of a poisoned batch
}

type culprit struct {
	error
	record int
}

func (c culprit) Record() int   { return c.record }
func (c culprit) Unwrap() error { return c.error }

func (b *brittle) Apply(_ context.Context, in *record.Batch, out *Output) error {
	b.mu.Lock()
	b.calls++
	b.asked += len(in.Records)
	b.mu.Unlock()
	for i := range in.Records {
		if strings.HasPrefix(string(in.Records[i].Data), "poison") {
			err := b.fault()
			if b.cursor {
				err = culprit{err, i}
			}
			return err // out holds the records before
		}
		data := out.Arena.Bytes([]byte(strings.ToUpper(string(in.Records[i].Data))))
		out.Results = append(out.Results, Result{Status: OK, First: len(out.Outs), N: 1})
		out.Outs = append(out.Outs, Out{Parent: i, Data: data})
	}
	return nil
}

func (b *brittle) Close(context.Context) error { return nil }

func trap() error { return fault.New(fault.Permanent, "test.trap", "it trapped") }

// poisoned returns n records of which those at the given places are poison.
func poisoned(n int, places ...int) []string {
	data := make([]string, n)
	for i := range data {
		data[i] = fmt.Sprint("r", i)
	}
	for _, p := range places {
		data[p] = fmt.Sprint("poison", p)
	}
	return data
}

func TestOnlyThePoisonRecordsFailAndTheRestGoesOnInOrder(t *testing.T) {
	for _, cursor := range []bool{false, true} {
		for _, places := range [][]int{{0}, {499}, {250}, {0, 1, 2}, {17, 400}, {3, 5, 7, 9, 11, 13}} {
			tr := &brittle{cursor: cursor, fault: trap}
			data := poisoned(500, places...)
			in := input(data...)
			f := run(t, NewChain(Link{Name: "s", Transform: tr}, link("next", failing("never"))), in)
			checkPoisoned(t, f, data, "test.trap")
			// A guilty record takes a failed call and a lone one with a cursor, and two for each halving without.
			if most := len(places) * 20; !cursor && tr.calls > most || cursor && tr.calls > 3*len(places)+1 {
				t.Errorf("cursor %v, poison at %v: %d calls", cursor, places, tr.calls)
			}
		}
	}
}

func checkPoisoned(t *testing.T, f *Final, data []string, code string) {
	t.Helper()
	for i, r := range f.Roots {
		guilty := strings.HasPrefix(data[i], "poison")
		if guilty && (r.Fail == nil || r.Fail.Code != code || string(r.Fail.Input.Data) != data[i]) ||
			!guilty && (r.N != 1 || string(f.Outs[r.First].Data) != strings.ToUpper(data[i])) {
			t.Fatalf("record %d (%s): %+v", i, data[i], r)
		}
	}
}

func TestABatchFullOfPoisonCostsLittleMoreThanItsRecordsOneByOne(t *testing.T) {
	for _, cursor := range []bool{false, true} {
		for _, every := range []int{1, 2, 3} {
			var places []int
			for i := 0; i < 500; i += every {
				places = append(places, i)
			}
			tr := &brittle{cursor: cursor, fault: trap}
			data := poisoned(500, places...)
			f := run(t, NewChain(Link{Name: "s", Transform: tr}), input(data...))
			checkPoisoned(t, f, data, "test.trap")
			if tr.calls > 500+3*32 {
				t.Errorf("cursor %v, every %d: %d calls", cursor, every, tr.calls)
			}
		}
	}
}

// late is the error of a call that ran into a time limit.
type late struct{ error }

func (late) Dear() bool      { return true }
func (l late) Unwrap() error { return l.error }

func TestCallsThatRunIntoATimeLimitAreFew(t *testing.T) {
	for _, places := range [][]int{{0}, {250}, {499}, {17, 400}} {
		waits := 0
		tr := &brittle{fault: func() error { waits++; return late{trap()} }}
		data := poisoned(500, places...)
		checkPoisoned(t, run(t, NewChain(Link{Name: "s", Transform: tr}), input(data...)), data, "test.trap")
		if waits != 1+len(places) || tr.calls != 501 {
			t.Errorf("poison at %v: %d calls run into the limit, of %d", places, waits, tr.calls)
		}
	}
}

// flaky fails every batch of more than one record, and blames a record that is innocent.
type flaky struct{ calls int }

func (x *flaky) Apply(_ context.Context, in *record.Batch, out *Output) error {
	if x.calls++; len(in.Records) > 1 {
		return culprit{trap(), len(in.Records) / 2}
	}
	out.Results = append(out.Results, Result{Status: Unchanged})
	return nil
}

func (x *flaky) Close(context.Context) error { return nil }

func TestACursorThatBlamesTheInnocentHarmsNobody(t *testing.T) {
	tr := new(flaky)
	f := run(t, NewChain(Link{Name: "s", Transform: tr}), input(poisoned(500)...))
	for i, r := range f.Roots {
		if r.N != 1 {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
	if tr.calls > 500+3*32 {
		t.Errorf("%d calls", tr.calls)
	}
}

// apply is a transform from a function.
type apply func(ctx context.Context, in *record.Batch, out *Output) error

func (a apply) Apply(ctx context.Context, in *record.Batch, out *Output) error {
	return a(ctx, in, out)
}
func (apply) Close(context.Context) error { return nil }

func TestResultsThatDoNotFitAreErrorsOfTheirRecords(t *testing.T) {
	// Each breaks the output as soon as the batch holds the record "bad".
	for name, spoil := range map[string]func(out *Output, bad int){
		"a result too few":          func(out *Output, _ int) { out.Results = out.Results[:len(out.Results)-1] },
		"a result too many":         func(out *Output, _ int) { out.Results = append(out.Results, Result{Status: Dropped}) },
		"an unknown status":         func(out *Output, bad int) { out.Results[bad].Status = 9 },
		"ok without outputs":        func(out *Output, bad int) { out.Results[bad].N = 0 },
		"outputs out of range":      func(out *Output, bad int) { out.Results[bad].First = len(out.Outs) },
		"negative first":            func(out *Output, bad int) { out.Results[bad].First = -1 },
		"a range that wraps around": func(out *Output, bad int) { out.Results[bad].N = 1<<63 - 1 },
		"another record's output":   func(out *Output, bad int) { out.Outs[out.Results[bad].First].Parent = bad + 1 },
		"an output nobody names":    func(out *Output, bad int) { out.Outs = append(out.Outs, Out{Parent: bad}) },
		"dropped with outputs":      func(out *Output, bad int) { out.Results[bad].Status = Dropped },
		"unchanged, leaving an output": func(out *Output, bad int) {
			out.Results[bad] = Result{Status: Unchanged}
		},
	} {
		tr := apply(func(_ context.Context, in *record.Batch, out *Output) error {
			bad := -1
			for i := range in.Records {
				if string(in.Records[i].Data) == "bad" {
					bad = i
				}
				out.Results = append(out.Results, Result{Status: OK, First: len(out.Outs), N: 1})
				out.Outs = append(out.Outs, Out{Parent: i, Data: in.Records[i].Data})
			}
			if bad >= 0 {
				spoil(out, bad)
			}
			return nil
		})
		f := run(t, NewChain(Link{Name: "s", Transform: tr}), input("a", "b", "bad", "c", "d"))
		if got := show(f); got != "a b !s/stage.bad_output c d" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAPanicFailsItsRecord(t *testing.T) {
	tr := link("s", func(r *record.Record) (Result, []Out) {
		if string(r.Data) == "boom" {
			panic("no such luck")
		}
		return Result{Status: Unchanged}, nil
	})
	f := run(t, NewChain(tr), input("a", "boom", "b"))
	expect(t, f, "a !s/stage.panic b")
	if !strings.Contains(f.Roots[1].Fail.Reason, "no such luck") {
		t.Error(f.Roots[1].Fail.Reason)
	}
}

func TestATransformThatCannotWorkForNowBlamesNoRecord(t *testing.T) {
	for _, class := range []fault.Class{fault.Retryable, fault.Throttled, fault.Unavailable, fault.Unauthorized} {
		tr := &brittle{fault: func() error { return fault.New(class, "test.later", "come again") }}
		f := new(Final)
		err := NewChain(Link{Name: "s", Transform: tr}).Run(context.Background(), input("a", "poison"), f)
		if fault.CodeOf(err) != "test.later" || fault.ClassOf(err) != class || tr.calls != 1 {
			t.Errorf("%s: %v after %d calls", class, err, tr.calls)
		}
	}
	// An error without a class is taken to be a record's.
	f := run(t, NewChain(Link{Name: "s", Transform: &brittle{fault: func() error { return errors.New("plain") }}}), input("a", "poison"))
	expect(t, f, "A !s/stage.failed")
}

func TestCancellationIsNoPoison(t *testing.T) {
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(context.Background())
	calls := 0
	tr := apply(func(ctx context.Context, in *record.Batch, out *Output) error {
		if calls++; calls == 3 { // while the chain looks for a guilty record
			cancel(cause)
		}
		return trap()
	})
	f := new(Final)
	if err := NewChain(Link{Name: "s", Transform: tr}).Run(ctx, input(poisoned(100)...), f); !errors.Is(err, cause) || calls != 3 {
		t.Errorf("%v after %d calls", err, calls)
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Millisecond)
	defer stop()
	<-ctx.Done()
	if err := NewChain(Link{Name: "s", Transform: tr}).Run(ctx, input("a"), f); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestConcurrentRunsDoNotMix(t *testing.T) {
	c := NewChain(Link{Name: "s", Transform: &brittle{fault: trap, cursor: true}}, link("split", words))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			f := new(Final)
			defer f.Release()
			for n := range 20 {
				data := poisoned(50, (g+n)%50)
				for i := range data {
					data[i] += fmt.Sprint("-", g)
				}
				in := input(data...)
				if err := c.Run(context.Background(), in, f); err != nil {
					t.Error(err)
					return
				}
				checkPoisoned(t, f, data, "test.trap")
				in.Release()
			}
		})
	}
	wg.Wait()
}

// TestRandomChainsAgreeWithASimpleModel runs chains of random stages and compares each record's fate with what the stages
// make of the record alone.
func TestRandomChainsAgreeWithASimpleModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for round := range testenv.Count(300, 20_000) {
		letters := "abcdefgh"
		letter := func() byte { return letters[rnd.IntN(len(letters))] }
		type behaviour struct {
			split, drop, fail, poison byte
			cursor                    bool
			policy                    Policy
		}
		var stages []behaviour
		var links []Link
		for n := rnd.IntN(4); n >= 0; n-- {
			b := behaviour{letter(), letter(), letter(), letter(), rnd.IntN(2) == 0, []Policy{DeadLetter, Drop}[rnd.IntN(2)]}
			stages = append(stages, b)
			step := func(r *record.Record) (Result, []Out) {
				switch r.Data[0] {
				case b.split:
					return Result{Status: OK}, []Out{{Data: append([]byte{letters[(r.Data[0]-'a'+1)%8]}, r.Data...)}, {Data: append([]byte{letters[(r.Data[0]-'a'+2)%8]}, r.Data...)}}
				case b.drop:
					return Result{Status: Dropped}, nil
				case b.fail:
					return Result{Status: Failed, Code: "c"}, nil
				}
				return Result{Status: Unchanged}, nil
			}
			links = append(links, Link{Name: fmt.Sprint(len(links)), Policy: b.policy, Transform: apply(func(ctx context.Context, in *record.Batch, out *Output) error {
				for i := range in.Records {
					if in.Records[i].Data[0] == b.poison {
						if b.cursor {
							return culprit{trap(), i}
						}
						return trap()
					}
				}
				return (&each{fn: step}).Apply(ctx, in, out)
			})})
		}
		// fate is what becomes of one record from stage n on: its outputs, or that it is dead.
		var fate func(data string, n int) ([]string, bool)
		fate = func(data string, n int) (outs []string, dead bool) {
			if n == len(stages) {
				return []string{data}, false
			}
			b := stages[n]
			switch data[0] {
			case b.poison:
				return nil, b.policy == DeadLetter
			case b.split:
				for k := byte(1); k <= 2; k++ {
					more, d := fate(string(letters[(data[0]-'a'+k)%8])+data, n+1)
					outs, dead = append(outs, more...), dead || d
				}
				return outs, dead
			case b.drop:
				return nil, false
			case b.fail:
				return nil, b.policy == DeadLetter
			}
			return fate(data, n+1)
		}
		data := make([]string, rnd.IntN(40))
		want := make([]string, len(data))
		for i := range data {
			data[i] = string(letter())
			switch outs, dead := fate(data[i], 0); {
			case dead:
				want[i] = "!"
			case len(outs) == 0:
				want[i] = "-"
			default:
				want[i] = strings.Join(outs, "+")
			}
		}
		f := new(Final)
		if err := NewChain(links...).Run(context.Background(), input(data...), f); err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(show(f))
		for i := range got {
			if got[i][0] == '!' {
				got[i] = "!"
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("seed %d, round %d, stages %+v\ninput %q\ngot  %q\nwant %q", seed, round, stages, data, got, want)
		}
	}
}
