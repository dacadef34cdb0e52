package delivery

import (
	"fmt"
	"strings"
	"testing"

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
