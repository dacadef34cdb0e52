package examples

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/foreground"
	"github.com/leatstream/leat/pipelines/spec"
)

const numbering = `import base64, json, sys, time
for line in sys.stdin:
    records = []
    for r in json.loads(line)["records"]:
        order = json.loads(base64.b64decode(r["data"]))
        order["sequence"] = r["kinesisRecordMetadata"]["sequenceNumber"]
        records.append({"recordId": r["recordId"], "result": "Ok", "data": base64.b64encode(json.dumps(order).encode()).decode()})
    time.sleep(len(records) / 10000)
    print(json.dumps({"records": records}), flush=True)
`

// A pipeline is run from its source to its sink, while its handlers are killed again and again.
func TestAPipelineDeliversEachRecordOnceWhileItsHandlersAreKilled(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		testenv.Missing(t, "there is no /proc, to find the handlers in")
	}
	python := testenv.Program(t, "python3", "apt-get install python3")
	dir := t.TempDir()
	var orders bytes.Buffer
	n := testenv.Count(8000, 100_000)
	for i := range n {
		fmt.Fprintf(&orders, "{\"id\":%d}\n", i)
	}
	for name, text := range map[string][]byte{"handler.py": []byte(numbering), "orders.log": orders.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := fmt.Sprintf(`version: 1
pipeline: orders
source: { stream: orders, files: [ { path: orders.log } ] }
transforms:
  - { name: number, lambda: { command: [ %q, handler.py ], workers: 2 } }
sinks: [ { name: out, file: { dir: ./out } } ]
dead_letters: { file: { dir: ./dead } }
`, python)
	pipelines, err := spec.Parse(filepath.Join(dir, "pipeline.yaml"), []byte(file), spec.Options{})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	data, err := datadir.Open(vfs.OS(), filepath.Join(dir, "data"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	}()
	group, err := foreground.Open(t.Context(), pipelines, build.Options{Data: data, Logger: slog.New(slog.DiscardHandler), UntilIdle: true})
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan int)
	go func() { stopped <- killHandlers(stop) }()
	err = group.Run(t.Context(), foreground.RunOptions{UntilIdle: true})
	close(stop)
	killed := <-stopped
	if err != nil {
		t.Fatal(err)
	}
	if killed < 3 {
		t.Errorf("only %d handlers were killed", killed)
	}
	ids, sequences := map[int]bool{}, map[string]bool{}
	for _, line := range lines(t, filepath.Join(dir, "out")) {
		var order struct {
			ID       int
			Sequence string
		}
		if err := json.Unmarshal(line, &order); err != nil {
			t.Fatal(err)
		}
		if ids[order.ID] || sequences[order.Sequence] || len(order.Sequence) != 56 {
			t.Fatalf("order %d with the sequence number %q is there twice, or has no number as Kinesis makes them", order.ID, order.Sequence)
		}
		ids[order.ID], sequences[order.Sequence] = true, true
	}
	if dead := lines(t, filepath.Join(dir, "dead")); len(ids) != n || len(dead) > 0 {
		t.Errorf("%d of %d orders, and %d dead letters: %s", len(ids), n, len(dead), bytes.Join(dead, nil))
	}
}

// maxKills bounds the kills: a handler that is always killed before it reads gets no work done.
const maxKills = 6

// killHandlers kills the Python processes of this one, now and then, until stop is closed, and returns how many.
func killHandlers(stop chan struct{}) (killed int) {
	for {
		select {
		case <-stop:
			return killed
		case <-time.After(250 * time.Millisecond):
		}
		if killed >= maxKills {
			continue
		}
		tasks, err := filepath.Glob("/proc/self/task/*/children")
		if err != nil {
			return killed
		}
		for _, name := range tasks {
			children, err := os.ReadFile(name)
			if err != nil {
				continue // the thread has ended
			}
			for _, field := range strings.Fields(string(children)) {
				pid, err := strconv.Atoi(field)
				if err != nil {
					return killed
				}
				command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				if err == nil && bytes.Contains(command, []byte("handler.py")) && syscall.Kill(pid, syscall.SIGKILL) == nil {
					killed++
				}
			}
		}
	}
}

// lines are those of all files below dir.
func lines(t *testing.T, dir string) (all [][]byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // there may be none
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			all = append(all, bytes.Clone(s.Bytes()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
