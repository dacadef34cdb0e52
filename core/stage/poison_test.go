package stage

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// hostile is a transform that breaks calls which hold a guilty record, in any way that one can. A record is a list of
// marks: "G3" is guilty in stage 3, "B3" breaks the state of stage 3 for those after it, "D3" is dropped by stage 3, "F3"
// is failed by it, and "S3" is split in two; anything else goes on with the stage's number behind it.
type hostile struct {
	stage int
	// mode is how calls break: error, panic, or a bad output.
	mode int
	// cursor is what errors say about their record: nothing, the truth, or something drawn.
	cursor int
	wrong  int
	// partial is whether errors keep what came before the guilty record: not, truly, or with numbers that do not fit.
	partial int
	// stateful means that a state breaks, is noticed, and is new for a fresh call and after an error.
	stateful bool
	// stops is whether it stops when there is no more room.
	stops bool
	// down says whether it cannot work for now; nil: it always can.
	down func() bool

	broken bool
	calls  atomic.Int64
}

const (
	modeError = iota
	modePanic
	modeTooFew
	modeWrongParent
	modes
)

type broken struct {
	error
	record, done int
	tainted      bool
}

func (b broken) Record() int   { return b.record }
func (b broken) Done() int     { return b.done }
func (b broken) Tainted() bool { return b.tainted }
func (b broken) Unwrap() error { return b.error }

// down is the error of a transform that cannot work.
func down() error { return fault.New(fault.Unavailable, "test.down", "it is down") }

func (h *hostile) has(data []byte, mark string) bool {
	return strings.Contains(string(data), fmt.Sprint(mark, h.stage))
}

func (h *hostile) Apply(ctx context.Context, in *record.Batch, out *Output) error {
	h.calls.Add(1)
	if Fresh(ctx) {
		h.broken = false
	}
	before := h.broken
	for i := range in.Records {
		if h.down != nil && h.down() {
			return broken{down(), -1, []int{0, i}[h.partial%2], false}
		}
		r := &in.Records[i]
		if h.stateful && h.broken || h.has(r.Data, "G") {
			err := h.fail(out, i, len(in.Records), before)
			h.broken = false // the instance is gone
			return err
		}
		switch {
		case h.has(r.Data, "D"):
			out.Results = append(out.Results, Result{Status: Dropped})
		case h.has(r.Data, "F"):
			out.Results = append(out.Results, Result{Status: Failed, Code: "test.asked"})
		case h.has(r.Data, "S"):
			out.Results = append(out.Results, Result{Status: OK, First: len(out.Outs), N: 2})
			for _, half := range []string{"l", "r"} {
				out.Outs = append(out.Outs, Out{Parent: i, Data: out.Arena.Bytes(append(r.Data[:len(r.Data):len(r.Data)], half...))})
			}
		default:
			out.Results = append(out.Results, Result{Status: OK, First: len(out.Outs), N: 1})
			out.Outs = append(out.Outs, Out{Parent: i, Data: out.Arena.Bytes(fmt.Appendf(r.Data[:len(r.Data):len(r.Data)], "%d", h.stage))})
		}
		if h.has(r.Data, "B") {
			h.broken = true
		}
		if h.stops && out.Full() {
			return nil
		}
	}
	return nil
}

// fail breaks a call of n records at record i, before which all have their results in out. broke is whether the state was
// broken before the call.
func (h *hostile) fail(out *Output, i, n int, broke bool) error {
	switch h.mode {
	case modePanic:
		out.Results = append(out.Results, make([]Result, h.wrong)...)
		panic("hostile")
	case modeTooFew:
		return nil
	case modeWrongParent:
		for len(out.Results) < n {
			out.Results = append(out.Results, Result{Status: OK, First: len(out.Outs), N: 1})
			out.Outs = append(out.Outs, Out{Parent: n})
		}
		return nil
	}
	b := broken{trap(), -1, 0, h.stateful && broke}
	switch h.cursor {
	case 1:
		b.record = i
	case 2:
		b.record = h.wrong % (n + 2)
	}
	switch h.partial {
	case 1:
		b.done = i
	case 2: // more than there are results, or with the last one spoilt
		if b.done = i + 1 + h.wrong%3; i > 0 && h.wrong%2 == 0 {
			b.done = i
			out.Results[i-1].First += 1 << 30
		}
	}
	return b
}

func (h *hostile) Close(context.Context) error { return nil }

// fates is what a chain of hostile stages makes of one record: its outputs, or that it is dead.
func fates(data string, stage int, links []*hostile, policies []Policy) (outs []string, dead bool) {
	if stage == len(links) {
		return []string{data}, false
	}
	mark := func(m string) bool { return strings.Contains(data, fmt.Sprint(m, stage)) }
	switch {
	case mark("G"), mark("F") && !mark("D"):
		return nil, policies[stage] == DeadLetter
	case mark("D"):
		return nil, false
	case mark("S"):
		for _, half := range []string{"l", "r"} {
			more, d := fates(data+half, stage+1, links, policies)
			outs, dead = append(outs, more...), dead || d
		}
		return outs, dead
	}
	return fates(fmt.Sprint(data, stage), stage+1, links, policies)
}

// isOf is whether a failure is complete, and that of a record or of what it became.
func isOf(fail *Failure, r *record.Record) bool {
	return fail.Code != "" && fail.Stage != "" && fail.Input.Seq == r.Seq && bytes.HasPrefix(fail.Input.Data, r.Data)
}

// verify compares what a chain made of records with their fates.
func verify(f *Final, in *record.Batch, links []*hostile, policies []Policy) error {
	if len(f.Roots) != len(in.Records) {
		return fmt.Errorf("%d roots for %d records", len(f.Roots), len(in.Records))
	}
	at := 0
	for i := range f.Roots {
		root, r := &f.Roots[i], &in.Records[i]
		want, dead := fates(string(r.Data), 0, links, policies)
		if (root.Fail != nil) != dead {
			return fmt.Errorf("record %d (%s): dead is %v", i, r.Data, !dead)
		}
		if dead {
			if root.N != 0 || !isOf(root.Fail, r) {
				return fmt.Errorf("record %d (%s): %+v, %+v", i, r.Data, root, root.Fail)
			}
			continue
		}
		if d := root.Discard; len(want) == 0 && d == nil || d != nil && d.Fail != nil && !isOf(d.Fail, r) {
			return fmt.Errorf("record %d (%s): dropped by %+v", i, r.Data, d)
		}
		if root.N != len(want) || root.N > 0 && root.First != at {
			return fmt.Errorf("record %d (%s): outputs %d to %d, want %d from %d on", i, r.Data, root.First, root.First+root.N, len(want), at)
		}
		for k, w := range want {
			if o := &f.Outs[at+k]; string(o.Data) != w || o.Parent != i {
				return fmt.Errorf("record %d (%s): output %d is %s of %d, want %s", i, r.Data, k, o.Data, o.Parent, w)
			}
		}
		at += root.N
	}
	if at != len(f.Outs) {
		return fmt.Errorf("%d outputs, %d of them named", len(f.Outs), at)
	}
	return nil
}

// hostiles draws a chain and records for it.
func hostiles(t *rapid.T) (stages []*hostile, policies []Policy, in *record.Batch) {
	for s := range rapid.IntRange(1, 4).Draw(t, "stages") {
		stages = append(stages, &hostile{
			stage: s, mode: rapid.IntRange(0, modes-1).Draw(t, "mode"), cursor: rapid.IntRange(0, 2).Draw(t, "cursor"),
			wrong: rapid.IntRange(0, 100).Draw(t, "wrong"), partial: rapid.IntRange(0, 2).Draw(t, "partial"), stops: rapid.Bool().Draw(t, "stops"),
		})
		// Only an error can say that the state is at fault.
		stages[s].stateful = stages[s].mode == modeError && rapid.Bool().Draw(t, "stateful")
		policies = append(policies, rapid.SampledFrom([]Policy{DeadLetter, Drop}).Draw(t, "policy"))
	}
	n := rapid.SampledFrom([]int{1, 2, 3, 10, 50, 200}).Draw(t, "records")
	rate := rapid.SampledFrom([]int{0, 1, 5, 50}).Draw(t, "marks in 100")
	in = record.NewBatch()
	for i := range n {
		data := fmt.Sprintf("r%d.", i)
		for s := range stages {
			if rate > 0 && rapid.IntRange(1, 100).Draw(t, "mark") <= rate {
				data += fmt.Sprint(rapid.SampledFrom([]string{"G", "G", "B", "D", "F", "S"}).Draw(t, "which"), s)
			}
		}
		in.Add(record.Record{Shard: 1, Seq: uint64(i + 1), Key: "k", Data: []byte(data)})
	}
	return stages, policies, in
}

// TestNoTransformCanMakeAChainLoseOrderOrRecords holds what doc.go promises against random transforms that break calls.
func TestNoTransformCanMakeAChainLoseOrderOrRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages, policies, in := hostiles(t)
		var links []Link
		for s, h := range stages {
			links = append(links, Link{Name: fmt.Sprint("s", s), Policy: policies[s], Transform: h})
		}
		var f Final
		defer f.Release()
		if err := NewChain(links...).Run(context.Background(), in, &f); err != nil {
			t.Fatal(err)
		}
		if err := verify(&f, in, stages, policies); err != nil {
			t.Fatal(err)
		}
		// Only the first stage's input is known, so its calls are counted.
		n, guilty := len(in.Records), 0
		for i := range in.Records {
			if strings.Contains(string(in.Records[i].Data), "G0") {
				guilty++
			}
		}
		calls := int(stages[0].calls.Load())
		if most := 1 + 2*n + 3*max(32, n/16); calls > most {
			t.Fatalf("%d calls for %d records, at most %d", calls, n, most)
		}
		if most := 1 + 2*guilty*(3+bits.Len(uint(n))); stages[0].cursor != 2 && !stages[0].stateful && calls > most {
			t.Fatalf("%d calls for %d guilty among %d records, at most %d", calls, guilty, n, most)
		}
	})
}

// TestTheCheckOfChainsNoticesWhatGoesWrong seeds mistakes into good results.
func TestTheCheckOfChainsNoticesWhatGoesWrong(t *testing.T) {
	stages, policies := []*hostile{{stage: 0, cursor: 1}, {stage: 1}}, []Policy{DeadLetter, DeadLetter}
	for name, spoil := range map[string]func(f *Final){
		"outputs in another order":   func(f *Final) { f.Outs[0].Data, f.Outs[1].Data = f.Outs[1].Data, f.Outs[0].Data },
		"a record is lost":           func(f *Final) { f.Roots[0].N = 0 },
		"a record comes twice":       func(f *Final) { f.Roots[0].N = 2 },
		"an output of another":       func(f *Final) { f.Outs[1].Parent = 0 },
		"an innocent fails":          func(f *Final) { f.Roots[0].Fail = &Failure{Stage: "s", Code: "c"} },
		"a guilty one goes on":       func(f *Final) { f.Roots[2].Fail = nil },
		"a failure without a code":   func(f *Final) { f.Roots[2].Fail.Code = "" },
		"another record's input":     func(f *Final) { f.Roots[2].Fail.Input.Seq++ },
		"an input that was reused":   func(f *Final) { f.Roots[2].Fail.Input.Data = []byte("dS1") },
		"nobody dropped it":          func(f *Final) { f.Roots[5].Discard = nil },
		"an output nobody names":     func(f *Final) { f.Outs = append(f.Outs, Out{}) },
		"one of two outputs is lost": func(f *Final) { f.Roots[3].N-- },
		"nothing":                    nil,
	} {
		for _, h := range stages {
			h.broken = false
		}
		in := record.NewBatch()
		for i, d := range []string{"a", "b", "cG0", "dS1", "e", "fD1"} {
			in.Add(record.Record{Seq: uint64(i), Data: []byte(d)})
		}
		f := run(t, NewChain(Link{Name: "s0", Transform: stages[0]}, Link{Name: "s1", Transform: stages[1]}), in)
		if spoil != nil {
			spoil(f)
		}
		if err := verify(f, in, stages, policies); (err != nil) != (spoil != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
