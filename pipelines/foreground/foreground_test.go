package foreground

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

func TestMain(m *testing.M) {
	if os.Getenv(asHandler) != "" {
		handler()
		return
	}
	goleak.VerifyTestMain(m)
}

// place is a folder with a data directory and files.
type place struct {
	t    *testing.T
	dir  string
	data *datadir.Dir
}

func newPlace(t *testing.T) *place {
	p := &place{t: t, dir: t.TempDir()}
	data, err := datadir.Open(vfs.OS(), filepath.Join(p.dir, "data"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p.data = data
	t.Cleanup(func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *place) open(text string, untilIdle bool) (*Group, error) {
	p.t.Helper()
	pipelines, err := spec.Parse(filepath.Join(p.dir, "pipelines.yaml"), []byte(text), spec.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	return Open(p.t.Context(), pipelines, build.Options{
		Data: p.data, Logger: slog.New(slog.DiscardHandler), Stdout: io.Discard, UntilIdle: untilIdle,
	})
}

func (p *place) mustOpen(text string, untilIdle bool) *Group {
	p.t.Helper()
	g, err := p.open(text, untilIdle)
	if err != nil {
		p.t.Fatal(err)
	}
	return g
}

// ran reports whether the pipeline has run before.
func (p *place) ran(text string) bool {
	p.t.Helper()
	pipelines, err := spec.Parse(filepath.Join(p.dir, "pipelines.yaml"), []byte(text), spec.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	next, err := build.Prepare(p.t.Context(), pipelines[0], build.Options{Data: p.data, Stdout: io.Discard})
	if err != nil {
		p.t.Fatal(err)
	}
	defer next.Close(p.t.Context())
	return next.Ran()
}

func (p *place) write(name, text string) {
	p.t.Helper()
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		p.t.Fatal(err)
	}
}

const lines = `version: 1
pipeline: lines
source: { stream: lines, files: [ { path: ./in.txt } ] }
sinks: [ { name: out, file: { dir: ./out }, format: lines, buffer: { interval: 900s } } ]
`

func TestReportCountsThisRunAlone(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "one\ntwo\n")
	run := func(want delivery.Counts) {
		t.Helper()
		g := p.mustOpen(lines, true)
		if err := g.Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
			t.Fatal(err)
		}
		r := g.Report()[0]
		if got := r.Sinks[0].Counts; got != want || !got.Holds() {
			t.Errorf("counts: %+v, want %+v", got, want)
		}
		if r.Pipeline != "lines" || r.Seconds <= 0 || r.DeadLetters != p.data.DeadLetters("lines") {
			t.Errorf("report: %+v", r)
		}
	}
	run(delivery.Counts{In: 2, Delivered: 2})
	run(delivery.Counts{})
	p.write("in.txt", "three\n")
	run(delivery.Counts{In: 1, Delivered: 1})
}

func TestAStopLeavesOpenBuffersToTheLogAndADrainDoesNot(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "one\ntwo\n")
	stopWhenRead := func(g *Group, o RunOptions) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for end := time.Now().Add(time.Minute); time.Now().Before(end) && g.Report()[0].Sinks[0].In < 2; {
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
		}()
		return g.Run(ctx, o)
	}
	g := p.mustOpen(lines, false)
	if err := stopWhenRead(g, RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := g.Report()[0].Sinks[0].Counts; got != (delivery.Counts{In: 2, Pending: 2}) {
		t.Errorf("after a stop: %+v", got)
	}
	g = p.mustOpen(lines, false)
	if err := stopWhenRead(g, RunOptions{Drain: true}); err != nil {
		t.Fatal(err)
	}
	if got := g.Report()[0].Sinks[0].Counts; got != (delivery.Counts{In: 2, Delivered: 2}) {
		t.Errorf("after a drain: %+v", got)
	}
}

// What a destination says is known before anything is fed. One that does not answer may be there by the time it is needed.
func TestADestinationThatRefusesKeepsAllFromStarting(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "one\n")
	for ran := range 2 { // also where the pipeline has run before
		if got := p.ran(lines); got != (ran == 1) {
			t.Errorf("ran before: %v", got)
		}
		_, err := p.open(strings.Replace(lines, "./out", "./in.txt/out", 1), true)
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Code != "sink.file.not_a_directory" || !strings.Contains(e.Place, "pipelines.yaml:4:") {
			t.Fatalf("Open: %v", err)
		}
		if err := p.mustOpen(lines, true).Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	silent := `s3: { endpoint: "http://127.0.0.1:1", bucket: bbb }`
	g := p.mustOpen(strings.Replace(lines, "file: { dir: ./out }", silent, 1), false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx, RunOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestOnePipelineThatCannotBeBuiltKeepsAllFromStarting(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "one\n")
	_, err := p.open(lines+"---\n"+strings.NewReplacer("pipeline: lines", "pipeline: other", "stream: lines,", "stream: other,").Replace(lines)+
		"transforms: [ { name: t, wasm: { module: ./none.wasm } } ]\n", true)
	if fault.CodeOf(err) != "build.no_module" {
		t.Fatalf("Open: %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "out", "lines")); err == nil {
		t.Error("something was delivered")
	}
}

func TestAPipelineThatFailsLeavesTheOthersAlone(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "one\n")
	p.write("archive.txt", "\x1f\x8b\x08\x00not lines\n") // as gzip begins: refused
	g := p.mustOpen(lines+"---\n"+strings.NewReplacer("pipeline: lines", "pipeline: other", "stream: lines,", "stream: other,", "in.txt", "archive.txt").Replace(lines), true)
	err := g.Run(t.Context(), RunOptions{UntilIdle: true})
	if err == nil || !strings.Contains(err.Error(), "pipeline other") {
		t.Errorf("Run: %v", err)
	}
	r := g.Report()
	if r[0].Error != "" || r[0].Sinks[0].Delivered != 1 || r[1].Error == "" {
		t.Errorf("reports: %+v", r)
	}
}

func TestSinceKeepsTheLedger(t *testing.T) {
	before := delivery.Counts{In: 10, Delivered: 4, Dropped: 1, Dead: 1, Expired: 1, Skipped: 1, Pending: 2}
	now := delivery.Counts{In: 15, Delivered: 8, Dropped: 2, Dead: 1, Expired: 1, Skipped: 1, Pending: 2}
	got := since(now, before)
	if want := (delivery.Counts{In: 7, Delivered: 4, Dropped: 1, Pending: 2}); got != want || !got.Holds() {
		t.Errorf("since: %+v, want %+v", got, want)
	}
	if got := since(delivery.Counts{}, before); !got.Holds() || got.Pending != 2 {
		t.Errorf("before the start: %+v", got)
	}
}

func TestStoppedKeepsClassCodeAndHint(t *testing.T) {
	missing := fault.New(fault.Permanent, "test.code", "no room").WithHint("make room")
	var e *fault.Error
	if err := stopped("p", missing); !errors.As(err, &e) || e.Code != "test.code" || e.Hint != "make room" || e.Message != "pipeline p: no room" {
		t.Errorf("stopped: %#v", err)
	}
	if err := stopped("p", io.EOF); !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "pipeline p") {
		t.Errorf("stopped: %v", err)
	}
}

// A pipeline that was renamed feeds its files again, and says so.
func TestARenamedPipelineSaysWhatItFeedsAgain(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "one\n")
	var log testenv.Log
	run := func(text string) {
		t.Helper()
		pipelines, err := spec.Parse(filepath.Join(p.dir, "pipelines.yaml"), []byte(text), spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := Open(t.Context(), pipelines, build.Options{Data: p.data, Logger: slog.New(slog.NewTextHandler(&log, nil)), UntilIdle: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Run(t.Context(), RunOptions{UntilIdle: true}); err != nil {
			t.Fatal(err)
		}
	}
	run(lines)
	run(lines)
	if strings.Contains(log.String(), "old_name") {
		t.Errorf("it has its name: %s", log.String())
	}
	run(strings.Replace(lines, "pipeline: lines", "pipeline: rows", 1))
	if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "old_name=lines") {
		t.Errorf("renamed: %s", text)
	}
}
