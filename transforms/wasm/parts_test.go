package wasm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
)

// A module makes 100 times the bytes of a batch, in calls that fail because they make too much, next to records that break
// theirs: it is worked off in small calls, and what these make is never held all at once.
func TestWhatAModuleMakesOfABatchTakesBoundedMemory(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe")})
	data := make([]string, 4000)
	for i := range data {
		if data[i] = fmt.Sprintf("swell %0122d", i); i%500 == 250 {
			data[i] = fmt.Sprintf("panic %d", i)
		}
	}
	in := batch(data...)
	defer in.Release()
	chain := stage.NewChain(stage.Link{Name: "s", Transform: m})
	var f stage.Final
	defer f.Release()
	before, peak, next, parts := testenv.LiveHeap(), int64(0), 0, 0
	for done := false; !done; done = f.Left() == 0 {
		if err := chain.Run(t.Context(), in, &f); err != nil {
			t.Fatal(err)
		}
		peak = max(peak, testenv.LiveHeap()-before)
		parts++
		for i, r := range f.Roots {
			if f.From+i != next {
				t.Fatalf("record %d comes after %d", f.From+i, next-1)
			}
			next++
			if want := data[f.From+i]; strings.HasPrefix(want, "panic") != (r.Fail != nil) || r.Fail == nil && string(f.Outs[r.First].Data) != strings.Repeat(want, 100) {
				t.Fatalf("record %d: %+v", f.From+i, r)
			}
		}
	}
	if peak > 40<<20 || parts < 4 || next != len(data) {
		t.Errorf("%d MiB are live, of %d parts with %d records", peak>>20, parts, next)
	}
}
