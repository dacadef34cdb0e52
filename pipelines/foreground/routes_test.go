package foreground

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/delivery"
)

const routed = `version: 1
pipeline: routed
source: { stream: routed, files: [ { path: ./in.txt } ] }
transforms:
  - { name: once, dedupe: { by: .id, missing: fail } }
  - { name: kinds, route: { cases: [ { name: errors, when: 'level == "error"' } ] } }
sinks:
  - { name: all, file: { dir: ./all }, format: lines }
  - { name: errors, routes: [ errors ], file: { dir: ./errors }, format: lines }
  - { name: rest, routes: [ other ], file: { dir: ./rest }, format: lines }
`

// What is not on a sink's routes is dropped for it, and counted; every sink has its own duplicates.
func TestSinksGetTheirRoutesAndCountTheOthersAsDropped(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", `{"id":1,"level":"error"}
{"id":2,"level":"info"}
{"id":1,"level":"error"}
{"id":3,"level":"info"}
{"level":"info"}
`)
	g := p.mustOpen(routed, true)
	if err := g.Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		counts delivery.Counts
		ids    string
	}{
		{delivery.Counts{In: 5, Delivered: 3, Dropped: 1, Dead: 1}, "1 2 3"},
		{delivery.Counts{In: 5, Delivered: 1, Dropped: 3, Dead: 1}, "1"},
		{delivery.Counts{In: 5, Delivered: 2, Dropped: 2, Dead: 1}, "2 3"},
	}
	for i, sink := range g.Report()[0].Sinks {
		if sink.Counts != want[i].counts || !sink.Counts.Holds() {
			t.Errorf("%s: %+v, want %+v", sink.Sink, sink.Counts, want[i].counts)
		}
		var ids []string
		err := filepath.WalkDir(filepath.Join(p.dir, sink.Sink), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
				return err
			}
			b, err := os.ReadFile(path)
			for line := range strings.Lines(string(b)) {
				ids = append(ids, line[len(`{"id":`):len(`{"id":`)+1])
			}
			return err
		})
		if got := strings.Join(ids, " "); err != nil || got != want[i].ids {
			t.Errorf("%s got %s, %v, want %s", sink.Sink, got, err, want[i].ids)
		}
	}
}
