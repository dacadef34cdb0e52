package crashtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

const (
	pipelineName = "load"

	perCall = 5 // entries of one put
	keys    = 3 // partition keys of a source; fewer than entries, so that an order within a call can break too
)

// pipeline has two sinks of which one cannot take every record.
const pipeline = `version: 1
pipeline: load
source:
  stream: { name: load, shards: 3 }
  from: trim_horizon
  files:
    - { path: ./files/app.log*, key: { json: .key } }
sinks:
  - name: grouped
    file: { dir: ./grouped }
    partition: { group: .group }
    prefix: "group=!{partitionKeyFromQuery:group}/"
    buffer: { size: 1MiB, interval: 0s }
    compression: gzip
    compression_level: 1
  - name: plain
    file: { dir: ./plain }
    buffer: { size: 1MiB, interval: 1s }
dead_letters: { file: { dir: ./dead } }
`

// world is a folder with a pipeline, its data directory, its files and its objects; and what is known to be stored.
type world struct {
	dir   string
	acked map[string]int // source: its entries from 0 on that were acked
	ready []time.Duration
	// reshards is the number of splits and merges that were acked.
	reshards int
	objects  int // found by check

	files []int // complete lines of each file, the one that was rotated first at first; writeFiles owns it until it is stopped
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), acked: map[string]int{}}
	if err := os.Mkdir(filepath.Join(w.dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	// A file of no lines, so that the pattern always matches one.
	if err := os.WriteFile(w.log()+".0", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pipelineFile(w.dir), []byte(pipeline), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

func pipelineFile(dir string) string { return filepath.Join(dir, "pipeline.yaml") }

func dataDir(dir string) string { return filepath.Join(dir, "data") }

func (w *world) data() string { return dataDir(w.dir) }

func (w *world) log() string { return filepath.Join(w.dir, "files", "app.log") }

// fileSource is the source that the i-th file is.
func fileSource(i int) string { return fmt.Sprintf("file/%d", i) }

// groups are those of the records in turn; one is common, so that its objects become full, and one is missing.
var groups = [...]string{"a", "a", "b", "a", "a", "c", "a", ""}

func groupOf(n int) string { return groups[n%len(groups)] }

func keyOf(source string, n int) string { return fmt.Sprintf("%s/%d", source, n%keys) }

// lineOf is the n-th record of a source.
func lineOf(source string, n int) string {
	group := ""
	if g := groupOf(n); g != "" {
		group = fmt.Sprintf(`"group":%q,`, g)
	}
	return fmt.Sprintf(`{"source":%q,"n":%d,"key":%q,%s"padding":"%s"}`, source, n, keyOf(source, n), group, strings.Repeat("x", 200+n%200))
}

// add takes down one report of a child: "put source entries", which counts all its entries so far, or "reshard".
func (w *world) add(t testenv.TB, line string) {
	t.Helper()
	var source string
	var n int
	if line == "reshard" {
		w.reshards++
		return
	}
	if _, err := fmt.Sscanf(line, "put %s %d", &source, &n); err != nil || n != w.acked[source]+perCall {
		t.Fatalf("report %q: %v; %d entries before", line, err, w.acked[source])
	}
	w.acked[source] = n
}

func (w *world) ackedRecords() (n int) {
	for _, acked := range w.acked {
		n += acked
	}
	return n
}

func (w *world) fileLines() (n int) {
	for _, lines := range w.files {
		n += lines
	}
	return n
}

// writeFiles appends lines to the log file, in pieces that end anywhere, and rotates it by renaming, until stop is called.
// Then all lines are complete.
func (w *world) writeFiles(t testing.TB, rng *rand.Rand) (stop func()) {
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		var f *os.File
		var err error
		for stopped := false; !stopped && err == nil; {
			if f == nil {
				w.files = append(w.files, 0)
				if f, err = os.OpenFile(w.log(), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
					break
				}
			}
			if err = w.appendLines(f, rng); err != nil {
				break
			}
			select {
			case <-done:
				stopped = true
			case <-time.After(time.Duration(rng.IntN(20)) * time.Millisecond):
			}
			if stopped || rng.IntN(30) == 0 {
				err = errors.Join(os.Rename(w.log(), fmt.Sprintf("%s.%d", w.log(), len(w.files))), f.Close())
				f = nil
			}
		}
		if err != nil {
			t.Errorf("write the log file: %v", err)
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		writing.Wait()
	})
}

// appendLines appends some lines to the newest file, with a pause somewhere within them.
func (w *world) appendLines(f *os.File, rng *rand.Rand) error {
	newest := len(w.files) - 1
	var text strings.Builder
	lines := 1 + rng.IntN(50)
	for i := range lines {
		text.WriteString(lineOf(fileSource(newest), w.files[newest]+i) + "\n")
	}
	cut := rng.IntN(text.Len())
	if _, err := f.WriteString(text.String()[:cut]); err != nil {
		return err
	}
	time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
	w.files[newest] += lines
	_, err := f.WriteString(text.String()[cut:])
	return err
}
