package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// each is a transform that asks fn about every record.
type each struct {
	fn     func(r *record.Record) (Result, []Out)
	calls  atomic.Int64
	closed error
}

func (e *each) Apply(_ context.Context, in *record.Batch, out *Output) error {
	e.calls.Add(1)
	for i := range in.Records {
		res, outs := e.fn(&in.Records[i])
		if res.N = len(outs); res.N > 0 {
			res.First = len(out.Outs)
		}
		for _, o := range outs {
			o.Parent = i
			o.Data = out.Arena.Bytes(o.Data)
			out.Outs = append(out.Outs, o)
		}
		out.Results = append(out.Results, res)
	}
	return nil
}

func (e *each) Close(context.Context) error { return e.closed }

func link(name string, fn func(r *record.Record) (Result, []Out)) Link {
	return Link{Name: name, Transform: &each{fn: fn}}
}

// words makes each word of the data an output of its own, keyed by the word.
func words(r *record.Record) (Result, []Out) {
	var outs []Out
	for _, w := range strings.Fields(string(r.Data)) {
		outs = append(outs, Out{Key: w, Data: []byte(w)})
	}
	if outs == nil {
		return Result{Status: Dropped}, nil
	}
	return Result{Status: OK}, outs
}

// failing fails records whose data is word.
func failing(word string) func(r *record.Record) (Result, []Out) {
	return func(r *record.Record) (Result, []Out) {
		if string(r.Data) == word {
			return Result{Status: Failed, Class: fault.Permanent, Code: "test.bad", Reason: "it is " + word}, nil
		}
		return Result{Status: Unchanged}, nil
	}
}

func input(data ...string) *record.Batch {
	b := record.NewBatch()
	for i, d := range data {
		b.Add(record.Record{Shard: 4, Seq: uint64(10 + i), Arrived: int64(1000 + i), Key: fmt.Sprint("k", i), Data: []byte(d)})
	}
	return b
}

// show writes what became of the roots: their outputs, or !code of the failure, or - if there is nothing.
func show(f *Final) string {
	var roots []string
	named := 0
	for i, r := range f.Roots {
		named += r.N
		switch {
		case r.Fail != nil && r.N != 0:
			roots = append(roots, "dead-with-outputs")
		case r.Fail != nil:
			roots = append(roots, "!"+r.Fail.Stage+"/"+r.Fail.Code)
		case r.N == 0:
			roots = append(roots, "-")
		default:
			var outs []string
			for j := r.First; j < r.First+r.N; j++ {
				if f.Outs[j].Parent != i || f.Sub(j) != uint32(j-r.First) {
					outs = append(outs, fmt.Sprintf("(parent %d, sub %d)", f.Outs[j].Parent, f.Sub(j)))
				}
				outs = append(outs, string(f.Outs[j].Data))
			}
			roots = append(roots, strings.Join(outs, "+"))
		}
	}
	if named != len(f.Outs) {
		roots = append(roots, fmt.Sprintf("(%d of %d outputs are named)", named, len(f.Outs)))
	}
	return strings.Join(roots, " ")
}

func run(t *testing.T, c *Chain, in *record.Batch) *Final {
	t.Helper()
	f := new(Final)
	if err := c.Run(context.Background(), in, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func expect(t *testing.T, f *Final, want string) {
	t.Helper()
	if got := show(f); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWithoutStagesEveryRecordPassesUncopied(t *testing.T) {
	in := input("a", "b")
	f := run(t, NewChain(), in)
	expect(t, f, "a b")
	if &f.Outs[1].Data[0] != &in.Records[1].Data[0] || f.Outs[1].Key != "k1" {
		t.Error("the output is not the record itself")
	}
	if n := testing.AllocsPerRun(20, func() {
		if err := NewChain().Run(context.Background(), in, f); err != nil {
			t.Fatal(err)
		}
	}); n > 1 { // the chain
		t.Errorf("%v allocations", n)
	}
}

func TestOutputsKeepTheOrderAndTheRootsOfTheirRecords(t *testing.T) {
	var second []record.Record
	c := NewChain(
		link("split", words),
		link("look", func(r *record.Record) (Result, []Out) {
			second = append(second, *r)
			return Result{Status: Unchanged}, nil
		}),
		link("double", func(r *record.Record) (Result, []Out) {
			if string(r.Data) == "drop" {
				return Result{Status: Dropped}, nil
			}
			return Result{Status: OK}, []Out{{Data: r.Data}, {Data: append(r.Data, r.Data...)}}
		}),
	)
	f := run(t, c, input("a b", "", "drop", "c drop d"))
	expect(t, f, "a+aa+b+bb - - c+cc+d+dd")
	for i, want := range []struct {
		seq uint64
		sub uint32
		key string
	}{{10, 0, "a"}, {10, 1, "b"}, {12, 0, "drop"}, {13, 0, "c"}, {13, 1, "drop"}, {13, 2, "d"}} {
		r := second[i]
		if r.Shard != 4 || r.Seq != want.seq || r.Sub != want.sub || r.Key != want.key || r.Arrived != int64(990+want.seq) {
			t.Errorf("the second stage saw %+v, want %+v", r, want)
		}
	}
}

func TestPartitionKeysCarryThroughLaterStages(t *testing.T) {
	set := func(attrs ...record.Attr) func(*record.Record) (Result, []Out) {
		return func(r *record.Record) (Result, []Out) {
			return Result{Status: OK}, []Out{{Data: r.Data, Partition: attrs}}
		}
	}
	c := NewChain(
		link("one", set(record.Attr{Name: "a", Value: "1"}, record.Attr{Name: "b", Value: "1"})),
		link("keep", failing("never")),
		link("two", set(record.Attr{Name: "b", Value: "2"}, record.Attr{Name: "c", Value: "2"})),
		link("three", set()),
		link("keep", failing("never")),
	)
	f := run(t, c, input("x", "y"))
	if got := fmt.Sprint(f.Outs[0].Partition, f.Outs[1].Partition); got != "[{a 1} {b 2} {c 2}] [{a 1} {b 2} {c 2}]" {
		t.Errorf("got %s", got)
	}
}

func TestARecordIsDeadAsAWhole(t *testing.T) {
	in := input("a bad b", "c", "d bad bad", "bad") // the first failure counts
	f := run(t, NewChain(link("split", words), link("check", failing("bad")), link("last", failing("never"))), in)
	expect(t, f, "!check/test.bad c !check/test.bad !check/test.bad")
	fail := f.Roots[2].Fail
	if string(fail.Input.Data) != "bad" || fail.Input.Seq != 12 || fail.Input.Sub != 1 || fail.Reason != "it is bad" || fail.Class != fault.Permanent {
		t.Errorf("the failure holds %+v", fail)
	}
	// The same if the failing stage is the last.
	f = run(t, NewChain(link("split", words), link("check", failing("bad"))), in)
	expect(t, f, "!check/test.bad c !check/test.bad !check/test.bad")
}

func TestADeadRootsOutputsDoNotReachTheNextStage(t *testing.T) {
	var seen []string
	look := link("look", func(r *record.Record) (Result, []Out) {
		seen = append(seen, string(r.Data))
		return Result{Status: Unchanged}, nil
	})
	run(t, NewChain(link("split", words), link("check", failing("bad")), look), input("a bad b", "c"))
	if strings.Join(seen, " ") != "c" {
		t.Errorf("the stage saw %q", seen)
	}
}

func TestPolicyDropLetsSiblingsGoOn(t *testing.T) {
	check := link("check", failing("bad"))
	check.Policy = Drop
	f := run(t, NewChain(link("split", words), check), input("a bad b", "bad"))
	expect(t, f, "a+b -")
}

func TestWhoDroppedARecordIsKnown(t *testing.T) {
	check := link("check", failing("bad"))
	check.Policy = Drop
	some := func(word string) func(*record.Record) (Result, []Out) {
		return func(r *record.Record) (Result, []Out) {
			if string(r.Data) == word {
				return Result{Status: Dropped}, nil
			}
			return Result{Status: Unchanged}, nil
		}
	}
	chain := NewChain(link("whole", some("all")), link("split", words), link("one", some("x")), check, link("last", some("y")))
	in := input("all", "x", "bad", "y", "x bad y", "y x", "bad x", "x ok", "z")
	f := run(t, chain, in)
	expect(t, f, "- - - - - - - ok z")
	want := []string{"whole", "one", "check", "last", "last", "last", "check", "", ""}
	for i := range want {
		got := f.fate(i)
		if got.Stage != want[i] || (got.Code == "test.bad") != (want[i] == "check") {
			t.Errorf("%s: %+v, want it dropped by %q", in.Records[i].Data, got, want[i])
		}
	}
}

func TestPolicyStopEndsTheRun(t *testing.T) {
	check := link("check", failing("bad"))
	check.Policy = Stop
	f := new(Final)
	err := NewChain(link("split", words), check).Run(context.Background(), input("a", "x bad"), f)
	if fault.CodeOf(err) != CodeStopped || fault.ClassOf(err) != fault.Permanent ||
		!strings.Contains(err.Error(), "stage check failed the record at shardId-000000000004, position 11") {
		t.Errorf("got %v", err)
	}
	if len(f.Roots) != 0 || len(f.Outs) != 0 {
		t.Error("a run that failed left results")
	}
}

func TestAFinalIsUsedAgain(t *testing.T) {
	c := NewChain(link("split", words), link("check", failing("bad")))
	f := new(Final)
	for range 3 {
		for _, want := range []string{"a+b", "!check/test.bad -", "x y z"} {
			data := map[string][]string{"a+b": {"a b"}, "!check/test.bad -": {"bad", ""}, "x y z": {"x", "y", "z"}}[want]
			if err := c.Run(context.Background(), input(data...), f); err != nil {
				t.Fatal(err)
			}
			expect(t, f, want)
		}
	}
	f.Release()
	if err := c.Run(context.Background(), input("after release"), f); err != nil {
		t.Fatal(err)
	}
	expect(t, f, "after+release")
}

func TestAnEmptyBatchAsksNoTransform(t *testing.T) {
	tr := &each{fn: words}
	f := run(t, NewChain(Link{Name: "s", Transform: tr}), input())
	if n := tr.calls.Load(); n != 0 || len(f.Roots) != 0 {
		t.Errorf("%d calls, %d roots", n, len(f.Roots))
	}
}

func TestReasonsAreCutBetweenCharacters(t *testing.T) {
	long := link("s", func(*record.Record) (Result, []Out) {
		return Result{Status: Failed, Reason: "x" + strings.Repeat("é", 1000)}, nil
	})
	f := run(t, NewChain(long), input("a"))
	if fail := f.Roots[0].Fail; len(fail.Reason) != maxReason-1 || !strings.HasSuffix(fail.Reason, "é") || fail.Code != CodeFailed {
		t.Errorf("%d bytes, code %s", len(fail.Reason), fail.Code)
	}
}

func TestCloseClosesAllTransforms(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	err := NewChain(Link{Name: "a", Transform: &each{closed: one}}, Link{Name: "b", Transform: &each{closed: two}}).Close(context.Background())
	if !errors.Is(err, one) || !errors.Is(err, two) || !strings.Contains(err.Error(), "stage b: close") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkIdentity500(b *testing.B) {
	in, f, c := input(make([]string, 500)...), new(Final), NewChain()
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Run(context.Background(), in, f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
}

func BenchmarkTwoStages500(b *testing.B) {
	in, f := input(make([]string, 500)...), new(Final)
	c := NewChain(link("a", failing("x")), link("b", failing("x")))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Run(context.Background(), in, f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
}
