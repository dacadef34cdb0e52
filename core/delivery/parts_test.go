package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
)

// swelling makes of each record one output of so many bytes, and no more outputs than there is room for. lone fails every
// call with more than one record, so that the chain looks for the guilty.
type swelling struct {
	size    int
	lone    bool
	records atomic.Int64 // it has made something of
}

func (s *swelling) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	if s.lone && len(in.Records) > 1 {
		return fault.New(fault.Permanent, "test.together", "only one at a time")
	}
	for i := range in.Records {
		s.records.Add(1)
		data := out.Arena.Alloc(s.size)
		for k := copy(data, in.Records[i].Data); k < len(data); k++ {
			data[k] = 'x'
		}
		out.Results = append(out.Results, stage.Result{Status: stage.OK, First: len(out.Outs), N: 1})
		out.Outs = append(out.Outs, stage.Out{Parent: i, Key: in.Records[i].Key, Data: data})
		if out.Full() {
			break
		}
	}
	return nil
}

func (*swelling) Close(context.Context) error { return nil }

// sizeIn is the size of records of which scanRecords make a batch, in bytes.
const sizeIn = scanBytes / scanRecords

// numbersIn returns the numbers that the lines of all objects begin with, in the objects' order.
func (o *objects) numbersIn(t *testing.T) (all []int) {
	t.Helper()
	for _, line := range o.lines(t) {
		var n int
		if _, err := fmt.Sscanf(line[:8], "%d", &n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// wantNumbers checks that the numbers below n are there, each once, and in order within each object.
func (o *objects) wantNumbers(t *testing.T, n int) {
	t.Helper()
	seen, objects := make([]bool, n), 0
	last := n
	for _, i := range o.numbersIn(t) {
		if i >= n || seen[i] {
			t.Fatalf("record %d is there twice, or too much", i)
		}
		if seen[i] = true; i < last {
			objects++
		}
		last = i
	}
	if missing := slices.Index(seen, false); missing >= 0 {
		t.Fatalf("record %d is missing", missing)
	}
	if objects > o.len() {
		t.Errorf("the records of %d objects are in %d runs", o.len(), objects)
	}
}

// A chain makes many times the bytes of its input, all at once or record for record, and what it makes is not fetched.
func TestWhatAChainMakesTakesBoundedMemory(t *testing.T) {
	const batches, workers, stages = 8, 2, 3
	for _, c := range []struct {
		times int
		lone  bool
		most  int64 // records of a part
	}{
		{100, false, 16 << 20 / (100 * sizeIn)},
		{100, true, 16 << 20 / (100 * sizeIn)},
		{12, false, scanRecords}, // the batch
	} {
		w := newWorld(t, 1)
		w.put(0, "k", numbered(batches*scanRecords, sizeIn)...)
		w.cfg.Workers = workers
		last := &swelling{size: c.times * sizeIn}
		w.cfg.Chain = stage.NewChain(
			stage.Link{Name: "a", Transform: &swelling{size: min(10, c.times) * sizeIn}},
			stage.Link{Name: "b", Transform: &swelling{size: c.times * sizeIn, lone: c.lone}},
			stage.Link{Name: "c", Transform: last},
		)
		collected, goOn := make(chan struct{}), make(chan struct{})
		w.cfg.Seams.At = func(step string) {
			if step == "collected" {
				collected <- struct{}{}
				<-goOn
			}
		}
		before := testenv.LiveHeap()
		r := w.start()
		for part := range 3 {
			<-collected
			for made := int64(-1); made != last.records.Load(); time.Sleep(50 * time.Millisecond) { // until nobody goes on
				made = last.records.Load()
			}
			// A stage has 16 MiB, and so has what is framed of the last; what is compressed of it is little.
			if got, most := testenv.LiveHeap()-before, int64(workers*(stages+1)*16<<20); got > most {
				t.Errorf("%+v, part %d: %d MiB are live, at most %d may be", c, part, got>>20, most>>20)
			}
			if n := last.records.Load(); n > (workers+int64(part))*c.most {
				t.Errorf("%+v, part %d: %d records are transformed", c, part, n)
			}
			goOn <- struct{}{}
		}
		r.cancel()
		for ended := false; !ended; {
			select {
			case <-collected:
				goOn <- struct{}{}
			case err := <-r.result:
				w.must(err)
				ended = true
			}
		}
	}
}

// The power fails after some parts of a batch. What is delivered of it stays, and the rest is read again.
func TestACrashBetweenThePartsOfABatch(t *testing.T) {
	w := newWorld(t, 1)
	w.put(0, "k", numbered(scanRecords, sizeIn)...)
	tr := &swelling{size: 50 * sizeIn}
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "s", Transform: tr})
	parts := make(chan struct{}, 100)
	w.cfg.Seams.At = func(step string) {
		if step == "collected" {
			parts <- struct{}{}
		}
	}
	r := w.start()
	<-parts
	<-parts
	eventually(t, "objects of the first parts are delivered", func() bool { return r.Stats().Delivered > 100 })
	if n := tr.records.Load(); n == scanRecords {
		t.Log("the batch was quicker than the test")
	}
	w.crash()
	again := &swelling{size: 50 * sizeIn}
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "s", Transform: again})
	w.deliverAll()
	w.main.wantNumbers(t, scanRecords)
	if c := w.holds(); c.Delivered != scanRecords || c.Pending != 0 || again.records.Load() == scanRecords {
		t.Errorf("%+v, %d records transformed again", c, again.records.Load())
	}
}
