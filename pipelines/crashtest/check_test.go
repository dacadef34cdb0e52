package crashtest

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/audit"
)

// drain runs the pipeline until it is idle and proves the ledger of each sink.
func (w *world) drain(t testenv.TB) {
	t.Helper()
	r, err := open(w.dir, true, slog.DiscardHandler)
	if err != nil {
		t.Fatalf("open the data directory: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = r.runner.Run(ctx, true)
	if err := errors.Join(err, ctx.Err(), r.data.Close()); err != nil {
		t.Fatalf("run the pipeline until it is idle: %v", err)
	}
	reports, err := audit.Run(context.Background(), vfs.OS(), w.data(), pipelineName)
	if err != nil || len(reports) != 2 {
		t.Fatalf("audit: %d reports, %v", len(reports), err)
	}
	for _, r := range reports {
		for _, p := range r.Problems {
			t.Errorf("sink %s: %s", r.Sink, p)
		}
		if c := r.Total; c.Pending > 0 || c.Expired > 0 || c.Skipped > 0 || c.Dropped > 0 {
			t.Errorf("sink %s: drained, and its ledger says %+v", r.Sink, c)
		}
	}
}

// found counts how often a sink got each record of each source.
type found map[string][]uint8

func (f found) add(source string, n int) {
	if missing := n + 1 - len(f[source]); missing > 0 {
		f[source] = append(f[source], make([]uint8, missing)...)
	}
	if f[source][n] < 255 {
		f[source][n]++
	}
}

// check compares what the sinks got, objects and dead letters together, with what was acked and written to files.
func (w *world) check(t testenv.TB) {
	t.Helper()
	sinks := map[string]found{"grouped": {}, "plain": {}}
	w.objects = 0
	for sink, f := range sinks {
		w.eachObject(t, sink, func(name string, lines []string) {
			last := map[string]int{}
			for _, line := range lines {
				r := w.record(t, name, line)
				if sink == "grouped" && filepath.Dir(name) != "group="+r.Group {
					t.Errorf("%s: a record of the group %q", name, r.Group)
				}
				if before, ok := last[r.Key]; ok && r.N <= before {
					t.Errorf("%s: record %d of key %s comes after %d", name, r.N, r.Key, before)
				}
				last[r.Key] = r.N
				f.add(r.Source, r.N)
			}
		})
	}
	w.eachObject(t, "dead", func(name string, lines []string) {
		for _, line := range lines {
			var letter struct{ RawData, Sink, ErrorCode string }
			err := json.Unmarshal([]byte(line), &letter)
			raw, rawErr := base64.StdEncoding.DecodeString(letter.RawData)
			if err = errors.Join(err, rawErr); err != nil {
				t.Fatalf("%s: %v in %s", name, err, line)
			}
			r := w.record(t, name, string(raw))
			if letter.Sink != "grouped" || r.Group != "" || letter.ErrorCode == "" {
				t.Errorf("%s: record %d of %s is a dead letter of sink %s with the code %q", name, r.N, r.Source, letter.Sink, letter.ErrorCode)
			}
			sinks["grouped"].add(r.Source, r.N)
		}
	})
	for sink, f := range sinks {
		w.checkSources(t, sink, f)
	}
	if !maps.EqualFunc(sinks["grouped"], sinks["plain"], slices.Equal) {
		t.Errorf("the two sinks did not get the same records")
	}
}

// checkSources makes sure that a sink got each record once, and of those that were not acked at most one call.
func (w *world) checkSources(t testenv.TB, sink string, f found) {
	t.Helper()
	expected := maps.Clone(w.acked)
	for i, lines := range w.files {
		expected[fileSource(i)] = lines
	}
	for source := range f {
		expected[source] += 0
	}
	for _, source := range slices.Sorted(maps.Keys(expected)) {
		acked, got := expected[source], f[source]
		lost, doubled := 0, 0
		for n := range max(acked, len(got)) {
			switch {
			case n < len(got) && got[n] > 1:
				doubled++
			case n < acked && (n >= len(got) || got[n] == 0):
				lost++
			}
		}
		if lost > 0 || doubled > 0 {
			t.Errorf("sink %s: of the %d acked records of source %s, %d are lost and %d are there more than once", sink, acked, source, lost, doubled)
		}
		more := perCall // of the call that was not acked any more
		if strings.HasPrefix(source, "file/") {
			more = 0
		}
		if len(got) > acked+more {
			t.Errorf("sink %s: source %s has %d records, only %d were acked", sink, source, len(got), acked)
		}
	}
}

type content struct {
	Source, Key, Group string
	N                  int
}

// record reads one delivered line, which must be the record byte for byte.
func (w *world) record(t testenv.TB, name, line string) (r content) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("%s: %v in %q", name, err, line)
	}
	if line != lineOf(r.Source, r.N) {
		t.Fatalf("%s: record %d of %s was changed to %s", name, r.N, r.Source, line)
	}
	return r
}

// eachObject reads all objects below a folder of the world.
func (w *world) eachObject(t testenv.TB, folder string, visit func(name string, lines []string)) {
	t.Helper()
	root := filepath.Join(w.dir, folder)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return nil // no object yet
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		lines, err := readObject(path)
		if err != nil {
			return err
		}
		w.objects++
		visit(name, lines)
		return nil
	})
	if err != nil {
		t.Fatalf("read the objects of %s: %v", folder, err)
	}
}

func readObject(path string) (lines []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		lines = append(lines, scan.Text())
	}
	return lines, scan.Err()
}
