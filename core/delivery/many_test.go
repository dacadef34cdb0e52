package delivery

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

// An input may have several outputs of the same group. If the object is cut between them, one half is promised with the
// input, and the other is lost with the power.
func TestObjectsAreNotCutBetweenTheOutputsOfAnInput(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
	const half = 600 << 10
	var want []string
	w.put(0, "k", fmt.Sprintf("a:%d a:%d", half, half)) // more than an object takes
	for sub := range 2 {
		name := fmt.Sprintf("0.1.%d", sub)
		want = append(want, name+strings.Repeat("x", half-len(name)))
	}
	r := w.start()
	eventually(t, "the input is delivered", func() bool { return r.Stats().Delivered == 1 })
	w.crash()
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
	w.deliverAll()
	w.main.wantLines(t, want)
	if c := w.holds(); c.Delivered != 1 {
		t.Errorf("delivered %d of 1", c.Delivered)
	}
}

// The third output of an input has no group: the first two are taken back, and the tie between their buffers too.
func TestAnInputWithoutAGroupForOneOutputIsDeadAsAWhole(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
	w.put(0, "k", "a b bad", "c")
	w.deliverAll()
	w.main.wantLines(t, []string{"0.2.0"})
	if n := len(w.dead.lines(t)); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
	if c := w.holds(); c.Dead != 1 || c.Delivered != 1 {
		t.Errorf("%+v", c)
	}
}

func TestBuffersThatShareInputsAreSealedTogether(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
	w.put(0, "k", "a b", "b c", "x", "y z")
	r := w.start()
	eventually(t, "these are collected", func() bool { return r.held.Load() > 0 })
	w.put(0, "k", fmt.Sprintf("c:%d", MinBufferSize-3)) // more than c has room for
	eventually(t, "what is tied to c is delivered", func() bool { return r.Stats().Delivered == 2 })
	w.must(r.stop())
	if n := w.main.len(); n != 3 {
		t.Errorf("%d objects, want a, b and c", n)
	}
	w.restart()
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
	w.deliverAll()
	if n := len(w.main.lines(t)); n != 8 {
		t.Errorf("%d outputs, want 8", n)
	}
}

// Nearly all inputs have one output in a hot group and one in a quiet one, so that everything is tied to everything. Each
// full object takes the quiet ones along; none is lost or doubled by crashes between.
func TestAHotGroupThatIsTiedToManyQuietOnes(t *testing.T) {
	t.Run("batches of one part", func(t *testing.T) { hotAndQuiet(t, 6, 400, 3000) })
	t.Run("batches of several parts", func(t *testing.T) { hotAndQuiet(t, 4, 300, 120_000) })
}

func hotAndQuiet(t *testing.T, rounds, each, hot int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t, 2)
	var want []string
	seq := [2]int{}
	for range rounds {
		w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
		w.cfg.Memory = []int64{64 << 10, DefaultMemory}[rng.IntN(2)]
		for range each {
			s := rng.IntN(2)
			seq[s]++
			data := fmt.Sprintf("hot:%d quiet%d:20 hot:30", hot, rng.IntN(60))
			if rng.IntN(10) == 0 {
				data = fmt.Sprintf("alone%d:20", rng.IntN(3))
			}
			for sub, word := range strings.Fields(data) {
				_, size, _ := strings.Cut(word, ":")
				n, _ := strconv.Atoi(size)
				name := fmt.Sprintf("%d.%d.%d", s, seq[s], sub)
				want = append(want, name+strings.Repeat("x", n-len(name)))
			}
			w.put(record.ShardID(s), "k", data)
		}
		w.start()
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
		w.crash()
	}
	w.cfg.Chain = stage.NewChain(stage.Link{Name: "t", Transform: toKeys{}})
	w.deliverAll()
	w.main.wantLines(t, want)
	if c := w.holds(); c.Delivered != uint64(rounds*each) {
		t.Errorf("%+v", c)
	}
}
