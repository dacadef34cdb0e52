package foreground

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/lambda/lambdatest"
)

// asHandler makes this test program a handler for Firehose that writes what it is asked about to the file seen.
const asHandler = "LEAT_TEST_FOREGROUND_HANDLER"

func handler() {
	seen, err := os.OpenFile("seen", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	for in := bufio.NewReader(os.Stdin); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var e lambdatest.Event
		if err := json.Unmarshal(line, &e); err != nil {
			panic(err)
		}
		for i := range e.Records {
			fmt.Fprintf(seen, "%s\n", e.Records[i].Data)
		}
		response, _ := lambdatest.Respond(line)
		fmt.Printf("%s\n", response)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happens that %s", what)
		}
	}
}

// A handler is killed and does not start any more, tried again and again. Its records wait; the delivery and what it has collected do not
// begin anew, and each record is transformed and delivered once.
func TestADeliveryOutlivesTheOutageOfItsHandler(t *testing.T) {
	testenv.Program(t, "sh", "apt-get install dash")
	t.Parallel()
	p := newPlace(t)
	file, err := os.Create(filepath.Join(p.dir, "in.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var in, want string
	add := func(from int) {
		var more strings.Builder
		for i := range 100 {
			fmt.Fprintf(&more, "record %d\n", from+i)
		}
		in += more.String()
		want = strings.ToUpper(in)
		if _, err := file.WriteString(more.String()); err != nil {
			t.Fatal(err)
		}
	}
	add(0)
	pipelines, err := spec.Parse(filepath.Join(p.dir, "p.yaml"), fmt.Appendf(nil, `version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt, key: { constant: k } } ] }
transforms:
  - name: ask
    lambda: { command: [ sh, -c, 'test -e broken && exit 1; echo $$ > pid; exec "$0"', %s ], workers: 1, retries: 1, env: { %s: "1" } }
sinks: [ { name: out, file: { dir: ./out }, format: lines, buffer: { interval: 900s } } ]
`, os.Args[0], asHandler), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	metrics, health, log := observe.NewMetrics(), new(observe.Health), new(testenv.Log)
	g, err := Open(t.Context(), pipelines, build.Options{
		Data: p.data, Logger: slog.New(slog.NewTextHandler(log, nil)), Stdout: io.Discard, Metrics: metrics, Health: health,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx, RunOptions{Drain: true}) }()
	metric := func(name string) (n int) {
		for _, line := range metricsWith(t, metrics, "leat_transform_"+name) {
			_, value, _ := strings.Cut(line, "} ")
			n, _ = strconv.Atoi(strings.TrimSpace(value))
		}
		return n
	}
	eventually(t, "the first records are transformed", func() bool { return metric("records_total") == 100 })

	p.write("broken", "")
	pid, err := strconv.Atoi(strings.TrimSpace(p.files("pid")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	add(100)
	eventually(t, "the handler has been tried and rests for longer", func() bool { return metric("call_failures_total") >= 2 })
	if c := health.Check().Checks["stage/p/ask"]; c.Status != "degraded" || !strings.Contains(c.Error, "stage ask cannot work; it rests") || metric("degraded") != 1 {
		t.Errorf("health: %+v, leat_transform_degraded is %d", c, metric("degraded"))
	}
	if err := os.Remove(filepath.Join(p.dir, "broken")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stage works again", func() bool { return metric("degraded") == 0 })
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if got := g.Report()[0].Sinks[0]; got.Counts != (delivery.Counts{In: 200, Delivered: 200}) || got.Objects != 1 {
		t.Errorf("counts: %+v, in %d objects", got.Counts, got.Objects)
	}
	if got := p.files("out"); got != want {
		t.Errorf("%d bytes arrived, want %d", len(got), len(want))
	}
	if got := p.files("seen"); got != in {
		t.Errorf("the handler was asked about %d bytes of records, want %d", len(got), len(in))
	}
	for words, said := range map[string]bool{"starts again": false, "records wait in the stream while a stage rests": true, "records no longer wait for a stage": true} {
		if strings.Contains(log.String(), words) != said {
			t.Errorf("the log says %q: %v\n%s", words, !said, log)
		}
	}
}
