package stage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/internal/testenv"
)

// parts runs a chain over a batch, as often as it cannot work, shows each part to see, and returns all of them as one.
func parts(c *Chain, in *record.Batch, see func(f *Final)) (*Final, error) {
	var f, all Final
	defer f.Release()
	for done := false; !done; done = f.Left() == 0 {
		err := c.Run(context.Background(), in, &f)
		for fault.ClassOf(err) == fault.Unavailable {
			err = c.Run(context.Background(), in, &f)
		}
		if err != nil {
			return nil, err
		}
		if f.From != len(all.Roots) || len(f.Roots) == 0 && len(in.Records) > 0 {
			return nil, fmt.Errorf("a part of %d records begins at %d, want one at %d", len(f.Roots), f.From, len(all.Roots))
		}
		if see != nil {
			see(&f)
		}
		for _, r := range f.Roots {
			first := len(all.Outs)
			for _, o := range f.Outs[r.First : r.First+r.N] {
				o.Key, o.Data = strings.Clone(o.Key), slices.Clone(o.Data)
				all.Outs = append(all.Outs, o)
			}
			if r.Fail != nil {
				r.Fail = cloned(r.Fail)
			}
			if r.Discard != nil && r.Discard.Fail != nil {
				r.Discard = &Discard{r.Discard.Stage, cloned(r.Discard.Fail)}
			}
			r.First = first
			all.Roots = append(all.Roots, r)
		}
	}
	all.all = all.Roots
	return &all, nil
}

func cloned(f *Failure) *Failure {
	c := *f
	c.Input.Data = slices.Clone(f.Input.Data)
	return &c
}

// TestPartsAreTogetherWhatTheWholeIs holds what doc.go promises against random transforms that break calls and cannot work now and
// then, with so little memory that a batch takes many parts.
func TestPartsAreTogetherWhatTheWholeIs(t *testing.T) {
	most := 0
	rapid.Check(t, func(t *rapid.T) {
		stages, policies, in := hostiles(t)
		defer in.Release()
		var links []Link
		for s, h := range stages {
			links = append(links, Link{Name: fmt.Sprint("s", s), Policy: policies[s], Transform: h})
		}
		c := NewChain(links...)
		c.room = rapid.SampledFrom([]int{1, outCost + 10, 10 * outCost, 100 * outCost}).Draw(t, "room")
		outages := rapid.SampledFrom([]int{0, 0, 1, 10}).Draw(t, "outages in 1000 records")
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for _, h := range stages {
			h.down = func() bool { return rnd.IntN(1000) < outages }
		}
		n := 0
		f, err := parts(c, in, func(*Final) { n++ })
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(f, in, stages, policies); err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
		records, calls := len(in.Records), int(stages[0].calls.Load())
		if most := 1 + 2*records + 3*max(32, records/16) + 2*n; calls > most && outages == 0 {
			t.Fatalf("%d calls for %d records in %d parts, at most %d", calls, records, n, most)
		}
	})
	if most < 10 {
		t.Errorf("no batch took more than %d parts", most)
	}
}

// multiplying makes n outputs of each record, of size bytes each. It makes no more than there is room for.
type multiplying struct {
	n, size int
	// lone fails every call with more than one record, so that the chain looks for the guilty.
	lone    bool
	records int // it has made something of
}

func (m *multiplying) Apply(_ context.Context, in *record.Batch, out *Output) error {
	if m.lone && len(in.Records) > 1 {
		return trap()
	}
	for i := range in.Records {
		m.records++
		out.Results = append(out.Results, Result{Status: OK, First: len(out.Outs), N: m.n})
		for range m.n {
			data := out.Arena.Alloc(m.size)
			copy(data, in.Records[i].Data)
			out.Outs = append(out.Outs, Out{Parent: i, Data: data})
		}
		if out.Full() {
			break
		}
	}
	return nil
}

func (*multiplying) Close(context.Context) error { return nil }

// A batch takes bounded memory however much the stages make of it, also where each record is tried alone, and no record
// passes a stage twice.
func TestTheMemoryOfABatchIsBounded(t *testing.T) {
	const records, size = 4000, 128
	data := make([]string, records)
	for i := range data {
		data[i] = fmt.Sprintf("%0*d", size, i)
	}
	in := input(data...)
	defer in.Release()
	for _, c := range []struct {
		name   string
		stages []*multiplying
		each   int // outputs of a record
	}{
		{"one stage, 100 times the bytes", []*multiplying{{n: 1, size: 100 * size}}, 1},
		{"two stages, 100 times the records", []*multiplying{{n: 10, size: size}, {n: 10, size: size}}, 100},
		{"records one by one", []*multiplying{{n: 1, size: 100 * size, lone: true}}, 1},
		{"three stages, records one by one in the second", []*multiplying{{n: 1, size: size}, {n: 2, size: 20 * size, lone: true}, {n: 1, size: 50 * size}}, 2},
	} {
		var links []Link
		for i, s := range c.stages {
			links = append(links, Link{Name: fmt.Sprint(i), Transform: s})
		}
		chain := NewChain(links...)
		before, peak, n, outs := testenv.LiveHeap(), int64(0), 0, 0
		var f Final
		for done := false; !done; done = f.Left() == 0 {
			if err := chain.Run(t.Context(), in, &f); err != nil {
				t.Fatal(err)
			}
			for i, r := range f.Roots {
				if r.N != c.each || !strings.HasPrefix(string(f.Outs[r.First].Data), data[f.From+i]) {
					t.Fatalf("%s: record %d: %+v", c.name, f.From+i, r)
				}
				outs += r.N
			}
			peak = max(peak, testenv.LiveHeap()-before)
			n++
		}
		f.Release()
		if bound := int64(len(c.stages)) * 2 * partRoom; peak > bound || n == 1 || outs != records*c.each {
			t.Errorf("%s: %d MiB are live, want at most %d; %d parts, %d outputs", c.name, peak>>20, bound>>20, n, outs)
		}
		enter := records
		for i, s := range c.stages {
			if s.records != enter {
				t.Errorf("%s: stage %d has made something of %d records, want %d", c.name, i, s.records, enter)
			}
			enter *= s.n
		}
	}
}

// Outputs that share the input's memory cost nothing here, but a copy each where they go.
func TestAPartIsBoundedByWhatItsOutputsWillTake(t *testing.T) {
	in := input(strings.Repeat("a", 1<<20), strings.Repeat("b", 1<<20), strings.Repeat("c", 1<<20))
	defer in.Release()
	same := apply(func(_ context.Context, in *record.Batch, out *Output) error {
		for i := range in.Records {
			out.Results = append(out.Results, Result{Status: OK, First: len(out.Outs), N: 20})
			for range 20 {
				out.Outs = append(out.Outs, Out{Parent: i, Data: in.Records[i].Data})
			}
		}
		return nil
	})
	n := 0
	f, err := parts(NewChain(Link{Name: "s", Transform: same}), in, func(f *Final) {
		if n++; len(f.Roots) != 1 {
			t.Errorf("%d records in a part", len(f.Roots))
		}
	})
	if err != nil || n != 3 || len(f.Outs) != 60 || f.Outs[40].Data[0] != 'c' {
		t.Fatalf("%d parts, %v", n, err)
	}
}

func TestARecordThatBecomesTooMuchFailsAlone(t *testing.T) {
	split := link("split", words)
	for name, c := range map[string]struct {
		grow   *multiplying
		policy Policy
		want   string
		most   int // records that grow is asked about
	}{
		"tried together":  {&multiplying{n: 1, size: 50 << 10}, DeadLetter, "a !grow/stage.output_too_large b", 30},
		"tried alone":     {&multiplying{n: 1, size: 50 << 10, lone: true}, DeadLetter, "a !grow/stage.output_too_large b", 30},
		"by one record":   {&multiplying{n: 1, size: 2 << 20}, DeadLetter, "!grow/stage.output_too_large !grow/stage.output_too_large !grow/stage.output_too_large", 5},
		"and are dropped": {&multiplying{n: 1, size: 300 << 10}, Drop, "a x+x+x b", 10},
	} {
		chain := NewChain(split, Link{Name: "grow", Transform: c.grow, Policy: c.policy})
		chain.room, chain.most = 200<<10, 1<<20
		var seen []string
		f, err := parts(chain, input("a", strings.Repeat("x ", 1000), "b"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.Outs {
			f.Outs[i].Data = f.Outs[i].Data[:1]
		}
		for _, r := range f.Roots {
			if r.Fail != nil && (r.Fail.Class != fault.Permanent || !strings.Contains(r.Fail.Reason, "more than 1048576 bytes")) {
				t.Errorf("%s: %+v", name, r.Fail)
			}
		}
		if got := show(f); got != c.want || c.grow.records > c.most {
			t.Errorf("%s: %s; asked about %d records, at most %d\n%s", name, got, c.grow.records, c.most, seen)
		}
	}
}

// What a call that fails has allocated takes no room.
func TestFailedCallsLeaveNoMemoryBehind(t *testing.T) {
	tr := apply(func(_ context.Context, in *record.Batch, out *Output) error {
		out.Arena.Alloc(1 << 20)
		if len(in.Records) > 1 {
			panic("at the end")
		}
		out.Results = append(out.Results, Result{Status: Unchanged})
		return nil
	})
	chain := NewChain(Link{Name: "s", Transform: tr})
	chain.room = 3<<20 + 1
	n := 0
	if _, err := parts(chain, input(poisoned(9)...), func(f *Final) {
		if n++; len(f.Roots) != 4 && f.Left() > 0 {
			t.Errorf("a part of %d records, want 4", len(f.Roots))
		}
	}); err != nil || n != 3 {
		t.Fatalf("%d parts, %v", n, err)
	}
}

func TestATapSeesEachRecordOnceWhateverTheParts(t *testing.T) {
	chain := NewChain(link("split", words), Link{Name: "grow", Transform: &multiplying{n: 1, size: 1 << 10}})
	chain.room = 3 << 10
	type look struct {
		stage int
		side  Side
	}
	watches, want := map[look]*Watch{}, map[look]int{
		{WholeChain, SideIn}: 20, {WholeChain, SideOut}: 20, {0, SideIn}: 20, {0, SideDiff}: 20, {1, SideIn}: 40, {1, SideOut}: 40,
	}
	for l := range want {
		watches[l] = chain.Tap().Watch(WatchConfig{Stage: l.stage, Side: l.side})
	}
	if _, err := parts(chain, input(slices.Repeat([]string{"a b"}, 20)...), nil); err != nil {
		t.Fatal(err)
	}
	for l, w := range watches {
		if len(w.C) != want[l] || w.Skipped() != 0 {
			t.Errorf("stage %d, side %d: %d records, want %d", l.stage, l.side, len(w.C), want[l])
		}
		w.Close()
	}
}

// A shadow has no more room than a stage, and compares all of its sample.
func TestAShadowThatMakesMuchComparesEverything(t *testing.T) {
	big := &multiplying{n: 1, size: 1 << 20}
	s := NewShadow(ShadowConfig{Name: "s", Transform: big, Sample: 1})
	defer s.Close()
	l := link("s", failing("bad"))
	l.Shadow = s
	run(t, NewChain(l), input(poisoned(40)...))
	if st := settled(t, s, 40); st.Compared != 40 || st.Different[DiffData] != 40 || big.records != 40 {
		t.Errorf("%+v, asked about %d records", st, big.records)
	}
}

// passing counts how often it has made something of a record, by its sequence number. Its calls with several records fail, and
// suspect one of them.
type passing struct {
	suspect int
	passed  map[uint64]int
}

func (p *passing) Apply(_ context.Context, in *record.Batch, out *Output) error {
	if len(in.Records) > 2 {
		return culprit{trap(), p.suspect % len(in.Records)}
	}
	for i := range in.Records {
		p.passed[in.Records[i].Seq]++
		out.Results = append(out.Results, Result{Status: OK, First: i, N: 1})
		out.Outs = append(out.Outs, Out{Parent: i, Data: out.Arena.Bytes(in.Records[i].Data)})
		if out.Full() {
			break
		}
	}
	return nil
}

func (*passing) Close(context.Context) error { return nil }

func TestARecordThatHasPassedAStageDoesNotEnterItAgain(t *testing.T) {
	for _, room := range []int{1, 2 * outCost, 5 * outCost, partRoom} {
		for suspect := range 20 {
			in := input(poisoned(20)...)
			p := &passing{suspect: suspect, passed: map[uint64]int{}}
			c := NewChain(Link{Name: "first", Transform: p}, Link{Name: "second", Transform: &multiplying{n: 2, size: 10}})
			c.room = room
			f, err := parts(c, in, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range f.Roots {
				if n := p.passed[in.Records[i].Seq]; n != 1 || f.Roots[i].N != 2 {
					t.Errorf("room %d, suspect %d: record %d has passed %d times and became %d", room, suspect, i, n, f.Roots[i].N)
				}
			}
		}
	}
}
