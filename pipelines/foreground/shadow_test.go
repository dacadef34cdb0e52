package foreground

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/spec"
)

// A real module runs beside another: what it would do differently is counted and can be tapped, and nothing of it, its traps
// and its loops without end included, is delivered or holds anything back.
func TestAModuleRunsInTheShadowOfAnother(t *testing.T) {
	t.Parallel()
	guests, err := filepath.Abs("../../transforms/wasm/testdata/guests")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	server, err := control.Listen(p.data.Path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	input := []string{"same", "upper a", "drop it", "fail it", "panic", "spin", "split a b", "route x", "same", `{"a": 1}`}
	p.write("in.txt", "first\n")
	pipelines, err := spec.Parse(filepath.Join(p.dir, "p.yaml"), fmt.Appendf(nil, `version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt, key: { constant: k } } ] }
transforms:
  - name: t
    wasm: { module: %[1]s/identity }
    shadow: { wasm: { module: %[1]s/probe, timeout: 2s }, sample: 100%% }
sinks:
  - { name: out, file: { dir: ./out }, format: lines, prefix: "!{timestamp:yyyy}-", buffer: { interval: 0s } }
  - { name: two, file: { dir: ./two }, format: lines, prefix: "!{timestamp:yyyy}-", buffer: { interval: 0s } }
`, guests), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	metrics := observe.NewMetrics()
	g, err := Open(t.Context(), pipelines, build.Options{Data: p.data, Logger: slog.New(slog.DiscardHandler), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx, RunOptions{Control: server}) }()

	client, err := control.Dial(p.data.Path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{} // by data
	fed := false
	err = client.Tap(ctx, control.Request{Pipeline: "p", Stage: "t", Side: control.Shadow}, func(e *control.Event) error {
		if !fed {
			fed = true
			p.write("in.txt", strings.Join(input, "\n")+"\n")
		}
		if e.Event == control.EventRecord {
			found[string(e.In.Data)] = string(e.Difference) + " " + e.Shadow.Code
			if e.Status != control.Unchanged {
				t.Errorf("the stage made %+v", e.Fate)
			}
		}
		if len(found) == 7 {
			return context.Canceled
		}
		return nil
	})
	if err != context.Canceled {
		t.Fatalf("the tap ended with %v, and has found %v", err, found)
	}
	for data, want := range map[string]string{
		"upper a": "data ", "drop it": "status ", "fail it": "error probe.asked", "panic": "error transform.panic", "spin": "error wasm.timeout",
		"split a b": "outputs ", "route x": "key ",
	} {
		if data == "spin" && strings.HasPrefix(found[data], "error wasm.") {
			continue // by fuel or by time, as the default guard has it
		}
		if found[data] != want {
			t.Errorf("%s: %q, want %q", data, found[data], want)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r := g.Report()[0]
		if r.Sinks[0].Delivered >= 11 && r.Sinks[1].Delivered >= 11 && r.Shadows[0].Compared >= 11 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("delivered and compared: %+v", r)
		}
	}
	all, err := client.Pipelines(ctx)
	if err != nil || all[0].Stages[0].Shadow == nil {
		t.Fatalf("%+v, %v", all, err)
	}
	if st := all[0].Stages[0].Shadow; st.Compared != 11 || st.Different["error"] != 3 { // not once for each sink
		t.Errorf("%+v", st)
	}
	page := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`leat_shadow_records_total{pipeline="p",stage="t"} 11`, `leat_shadow_skipped_records_total{pipeline="p",stage="t"} 0`,
		`leat_shadow_differences_total{kind="data",pipeline="p",stage="t"} 1`, `leat_shadow_differences_total{kind="error",pipeline="p",stage="t"} 3`,
		`leat_shadow_differences_total{kind="partition",pipeline="p",stage="t"} 0`, `leat_transform_failed_records_total{pipeline="p",stage="t"} 0`,
	} {
		if !strings.Contains(page.Body.String(), line+"\n") {
			t.Errorf("the metrics have no %s", line)
		}
	}
	if s := g.Report()[0].Shadows; len(s) != 1 || s[0].Stage != "t" || s[0].Compared != 11 {
		t.Errorf("the report has %+v", s)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	got := ""
	files, _ := filepath.Glob(filepath.Join(p.dir, "out", "2*-*"))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got += string(b)
	}
	if len(got) != len("first\n"+strings.Join(input, "\n")+"\n") || strings.Contains(got, "UPPER") {
		t.Errorf("delivered: %q", got)
	}
}

// A shadow that is what the stage runs has been promoted, and does not run; one that cannot be built keeps the pipeline
// from starting, as the stage's own module does.
func TestAPromotedShadowRests(t *testing.T) {
	guests, err := filepath.Abs("../../transforms/wasm/testdata/guests")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	text := func(shadow string) string {
		return strings.Replace(lines, "sinks:", fmt.Sprintf("transforms: [ { name: t, wasm: { module: %s/identity }, shadow: %s } ]\nsinks:", guests, shadow), 1)
	}
	g := p.mustOpen(text(guests+"/identity"), true)
	if s := g.members[0].ready.Deliveries[0].Chain.Shadow(0); s != nil {
		t.Error("it runs")
	}
	p.write("in.txt", "one\n")
	if err := g.Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
		t.Error(err)
	}
	if _, err := p.open(text("./none.wasm"), true); err == nil || !strings.Contains(err.Error(), "pipelines.yaml:4:") {
		t.Errorf("a shadow that is not there: %v", err)
	}
}
