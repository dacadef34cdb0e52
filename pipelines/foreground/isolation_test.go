package foreground

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/wasm"
)

// probe is the folder of the guest that does what the first word of a record says.
func probe(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "no go command to build guests with")
	}
	dir, err := filepath.Abs("../../transforms/wasm/testdata/guests/probe")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// files returns what the files below a folder hold, in the order of their names.
func (p *place) files(dir string) string {
	p.t.Helper()
	var all []byte
	err := filepath.WalkDir(filepath.Join(p.dir, dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	return string(all)
}

// deadLetter is what a test looks at of one.
type deadLetter struct {
	Code    string `json:"errorCode"`
	Message string `json:"errorMessage"`
	Data    string `json:"rawData"`
	Stage   string `json:"stage"`
	Digest  string `json:"moduleDigest"`
}

func (p *place) deadLetters(dir string) map[string]deadLetter {
	p.t.Helper()
	found := map[string]deadLetter{}
	for line := range strings.Lines(p.files(dir)) {
		var l deadLetter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Fatal(err)
		}
		data, err := base64.StdEncoding.DecodeString(l.Data)
		if _, twice := found[string(data)]; err != nil || twice {
			p.t.Fatalf("a dead letter of %q: %v, a second one: %v", data, err, twice)
		}
		found[string(data)] = l
	}
	return found
}

// Whatever a real module does with a record, that record alone goes to the dead letters, with why, and all others arrive
// once and in order.
func TestPoisonGoesToTheDeadLettersAndAllElseArrivesInOrder(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	poison := []struct{ data, code, says string }{
		{"exit", wasm.CodeExit, "code 3: probe says goodbye"},
		{"spin", wasm.CodeTimeout, "longer than 5s"},
		{"hoard", wasm.CodeMemory, "32 MiB"},
		{"huge", wasm.CodeOutputTooLarge, "limit of 6291456"},
		{"panic", "transform.panic", "index out of range"},
		{"fail on purpose", "probe.asked", "on purpose"},
	}
	var in, want strings.Builder
	for i := range 1200 {
		if i%200 == 137 {
			fmt.Fprintln(&in, poison[i/200].data)
		} else if i%10 == 0 {
			fmt.Fprintf(&in, "split a%d b%d\n", i, i)
			fmt.Fprintf(&want, "a%d\nb%d\n", i, i)
		} else {
			fmt.Fprintf(&in, "upper %d\n", i)
			fmt.Fprintf(&want, "UPPER %d\n", i)
		}
	}
	p.write("in.txt", in.String())
	g := p.mustOpen(fmt.Sprintf(`version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt, key: { constant: k } } ] }
transforms: [ { name: probe, wasm: { module: %s, guard: interrupt, timeout: 5s, memory: 32MiB } } ]
sinks: [ { name: out, file: { dir: ./out }, format: lines, buffer: { interval: 900s } } ]
dead_letters: { file: { dir: ./dead } }
`, probe(t)), true)
	if err := g.Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
		t.Fatal(err)
	}
	if got := g.Report()[0].Sinks[0].Counts; got != (delivery.Counts{In: 1200, Delivered: 1200 - 6, Dead: 6}) {
		t.Errorf("counts: %+v", got)
	}
	if got := p.files("out"); got != want.String() {
		t.Errorf("%d bytes arrived in place of %d", len(got), want.Len())
	}
	dead := p.deadLetters("dead")
	for _, want := range poison {
		l := dead[want.data]
		if l.Code != want.code || !strings.Contains(l.Message, want.says) || l.Stage != "probe" || !strings.HasPrefix(l.Digest, "sha256:") {
			t.Errorf("%s: %+v", want.data, l)
		}
	}
	if len(dead) != len(poison) {
		t.Errorf("%d dead letters", len(dead))
	}
}

// failingStage is a pipeline of a stage that fails most records, with a failures setting.
func (p *place) failingStage(failures string) (*Group, *observe.Metrics, *observe.Health, *testenv.Log) {
	p.t.Helper()
	p.write("in.txt", strings.Repeat("fail it\n", 300)+strings.Repeat("fine\n", 100))
	pipelines, err := spec.Parse(filepath.Join(p.dir, "p.yaml"), fmt.Appendf(nil, `version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt, key: { constant: k } } ] }
transforms: [ { name: probe, wasm: { module: %s }, failures: %s } ]
sinks: [ { name: out, file: { dir: ./out }, format: lines, buffer: { interval: 0s } } ]
dead_letters: { file: { dir: ./dead } }
`, probe(p.t), failures), spec.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	metrics, health, log := observe.NewMetrics(), new(observe.Health), new(testenv.Log)
	g, err := Open(p.t.Context(), pipelines, build.Options{
		Data: p.data, Logger: slog.New(slog.NewTextHandler(log, nil)), Stdout: io.Discard, Metrics: metrics, Health: health, UntilIdle: true,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return g, metrics, health, log
}

// metricsWith returns the lines of the metrics that begin with a text. Counters appear with their first count.
func metricsWith(t *testing.T, m *observe.Metrics, prefix string) (lines []string) {
	t.Helper()
	page := httptest.NewRecorder()
	m.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return lines
}

func degraded(t *testing.T, m *observe.Metrics) bool {
	return len(metricsWith(t, m, `leat_transform_degraded{pipeline="p",stage="probe"} 1`)) == 1
}

func TestInstancesThatAreReplacedAreCounted(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", strings.Repeat("upper a\n", 50_000)) // a hundred calls
	pipelines, err := spec.Parse(filepath.Join(p.dir, "p.yaml"), fmt.Appendf(nil, `version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt, key: { constant: k } } ] }
transforms: [ { name: probe, wasm: { module: %s, instances: 1, max_calls: 1 } } ]
sinks: [ { name: out, file: { dir: ./out }, format: lines, buffer: { interval: 900s } } ]
`, probe(t)), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	metrics := observe.NewMetrics()
	g, err := Open(t.Context(), pipelines, build.Options{
		Data: p.data, Logger: slog.New(slog.DiscardHandler), Stdout: io.Discard, Metrics: metrics, UntilIdle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
		t.Fatal(err)
	}
	if got := g.Report()[0].Sinks[0].Counts; got != (delivery.Counts{In: 50_000, Delivered: 50_000}) {
		t.Errorf("counts: %+v", got)
	}
	if n := len(metricsWith(t, metrics, `leat_transform_recycled_total{pipeline="p",reason="calls",stage="probe"} `)); n != 1 {
		t.Errorf("leat_transform_recycled_total is there %d times", n)
	}
}

func TestAStageThatFailsTooOftenIsSeenAndGoesOn(t *testing.T) {
	p := newPlace(t)
	g, metrics, health, log := p.failingStage("{ over: 20%, of: 100 }")
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx, RunOptions{}) }() // not until it is idle: the checks are gone then
	for end := time.Now().Add(time.Minute); (health.Check().Status != "degraded" || !degraded(t, metrics)) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	check := health.Check()
	if c := check.Checks["stage/p/probe"]; c.Status != "degraded" || check.Status != "degraded" || !strings.Contains(c.Error, "probe.asked") {
		t.Errorf("health: %+v", check)
	}
	if !degraded(t, metrics) {
		t.Error("leat_transform_degraded is not 1")
	}
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "a stage fails too many of its records"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, log)
	}
	if _, ok := health.Check().Checks["stage/p/probe"]; ok {
		t.Error("the check outlives its pipeline")
	}
}

func TestAStageThatRestsLeavesItsRecordsInTheStream(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g, metrics, health, _ := p.failingStage("{ over: 20%, of: 100, then: pause }")
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx, RunOptions{}) }()
	for end := time.Now().Add(time.Minute); !degraded(t, metrics) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(1500 * time.Millisecond) // it is tried in between
	if c := health.Check().Checks["stage/p/probe"]; c.Status != "degraded" || !strings.Contains(c.Error, "rests") {
		t.Errorf("health: %+v", c)
	}
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if got := g.Report()[0].Sinks[0].Counts; got.Dead != 0 || got.Delivered != 0 || got.Pending != 400 {
		t.Errorf("counts: %+v", got)
	}
	if dead := p.files("dead"); dead != "" {
		t.Errorf("dead letters: %s", dead)
	}

	// A stage that fails none of them, as after a correction, takes them up.
	text := `version: 1
pipeline: p
source: { stream: s }
transforms: [ { name: probe, append_delimiter: {} } ]
sinks: [ { name: out, file: { dir: ./out }, format: lines, buffer: { interval: 0s } } ]
`
	if err := p.mustOpen(text, true).Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(p.files("out"), "fail it"); n != 300 {
		t.Errorf("%d of 300 arrived", n)
	}
}

func TestAStageThatFailsTooOftenMayEndItsPipeline(t *testing.T) {
	p := newPlace(t)
	g, _, _, _ := p.failingStage("{ over: 20%, of: 100, then: stop }")
	err := g.Run(t.Context(), RunOptions{UntilIdle: true})
	if fault.CodeOf(err) != stage.CodeTooManyFailures || !strings.Contains(err.Error(), "stage probe fails") {
		t.Fatalf("got %v", err)
	}
	if got := g.Report()[0].Sinks[0].Counts; got.Dead != 0 || got.Pending != 400 {
		t.Errorf("counts: %+v", got)
	}
}
