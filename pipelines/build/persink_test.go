package build

import (
	"strings"
	"testing"
)

// Each sink reads the stream by itself, and may begin later than another: what a transform has seen for one sink it has not seen
// for the next.
func TestEachSinkHasItsOwnOfWhatKeepsState(t *testing.T) {
	p := parsed(t, `version: 1
pipeline: p
source: { stream: s }
transforms: [ { name: once, dedupe: {} }, { name: kept, filter: { when: 'true' } } ]
sinks: [ { name: a, stdout: {} }, { name: b, stdout: {} }, { name: c, stdout: {} } ]
`)
	b := &builder{ctx: t.Context(), spec: p}
	links, err := b.links()
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Sinks {
		c, err := b.chainOf(i, links)
		if err != nil {
			t.Fatal(err)
		}
		// The first sink sees x at position 1, so that position 3 is a duplicate for it alone.
		runs := [][2]string{{"a b x", "a b x"}, {"x y", "y"}, {"a b x", "a b x"}}
		if i == 0 {
			runs = [][2]string{{"x a b", "x a b"}, {"c d x", "c d"}}
		}
		for _, run := range runs {
			if outs, _ := passed(t, c, strings.Fields(run[0])...); strings.Join(outs, " ") != run[1] {
				t.Errorf("sink %d: %s becomes %s, want %s", i, run[0], outs, run[1])
			}
		}
	}
	if err := b.close(t.Context()); err != nil {
		t.Error(err)
	}
}
