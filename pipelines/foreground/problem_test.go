package foreground

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
)

// another is a second pipeline of the same input.
func another(text string) string {
	return "---\n" + strings.NewReplacer("pipeline: p", "pipeline: q", "./out", "./out-q", "./two", "./two-q", "stream: s", "stream: q").Replace(text)
}

// wantState compares what /healthz and the report say of a pipeline: the status and parts of the errors.
func (w *watched) wantState(h *observe.Health, pipeline, status, text, newer string) {
	w.t.Helper()
	c, ok := h.Check().Checks["pipeline/"+pipeline]
	if ok != (status != "") || c.Status != status || !strings.Contains(c.Error, text) {
		w.t.Errorf("%s: %v %+v, want %q %q", pipeline, ok, c, status, text)
	}
	for _, r := range w.group.Report() {
		if r.Pipeline == pipeline && !(strings.Contains(r.NewerError, newer) && (r.NewerError == "") == (newer == "") && (r.Error == "") == (status != "failing")) {
			w.t.Errorf("%s: %+v, want %q", pipeline, r, newer)
		}
	}
}

// Why the newest version does not run is seen for as long as it does not, and so is that all is well again.
func TestAProblemIsSeenUntilItIsMended(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("in.txt", "one\n")
	var health observe.Health
	good := fmt.Sprintf(marking, " v0")
	w := watchWith(t, p, good, build.Options{Health: &health})
	p.delivered("out", 1)
	w.wantState(&health, "p", "ok", "", "")

	p.replace("p.yaml", strings.Replace(good, "./in.txt", "./**/in.txt", 1))
	if c := w.next(); c.Err == nil || c.Stopped {
		t.Errorf("%+v", c)
	}
	w.wantState(&health, "p", "degraded", "the newest does not:", "** is not understood")
	p.replace("p.yaml", good)
	if c := w.next(); !c.Back || c.Pipeline != "p" {
		t.Errorf("%+v", c)
	}
	w.wantState(&health, "p", "ok", "", "")

	p.replace("p.yaml", strings.Replace(good, "./out", "./in.txt/out", 1)) // where no folder can be
	if c := w.next(); fault.CodeOf(c.Err) != "sink.file.not_a_directory" || c.Stopped || c.Gap != 0 {
		t.Errorf("%+v", c)
	}
	w.wantState(&health, "p", "degraded", "in.txt", "in.txt")
	p.replace("p.yaml", good)
	if c := w.next(); !c.Back {
		t.Errorf("%+v", c)
	}

	p.replace("p.yaml", "version: [\n")
	if c := w.next(); c.Err == nil || c.Pipeline != "" {
		t.Errorf("%+v", c)
	}
	w.wantState(&health, "p", "ok", "", "p.yaml:")
	if c := health.Check().Checks["files"]; c.Status != "degraded" || !strings.Contains(c.Error, "p.yaml:") {
		t.Errorf("%+v", c)
	}
	p.replace("p.yaml", good)
	if c := w.next(); !c.Back || c.Pipeline != "" {
		t.Errorf("%+v", c)
	}
	if r := health.Check(); r.Status != "ok" || w.group.Report()[0].NewerError != "" {
		t.Errorf("%+v, %+v", r, w.group.Report()[0])
	}

	second := strings.Replace(fmt.Sprintf(marking, ""), `append_delimiter: { delimiter: "" }`, "wasm: { module: ./mark }", 1)
	p.replace("mark/main.go", strings.Replace(fmt.Sprintf(guest, "new"), "leat.Data(", "leat.Date(", 1))
	p.replace("p.yaml", good+another(second))
	for range 2 { // the file of both has changed
		if c := w.next(); c.Stopped != (c.Pipeline == "q") || (c.Err != nil) != c.Stopped {
			t.Errorf("%+v", c)
		}
	}
	w.wantState(&health, "p", "ok", "", "")
	w.wantState(&health, "q", "failing", "does not build", "does not build")
	p.replace("mark/main.go", fmt.Sprintf(guest, "new")) // the file stays as it is
	if c := w.taken(); c.Pipeline != "q" {
		t.Errorf("%+v", c)
	}
	p.delivered("out-q", 1)
	w.wantState(&health, "q", "ok", "", "")
	p.replace("p.yaml", good)
	for range 2 {
		if c := w.next(); c.Err != nil || c.Removed != (c.Pipeline == "q") {
			t.Errorf("%+v", c)
		}
	}
	w.wantState(&health, "q", "", "", "")
	p.replace("p.yaml", strings.Replace(good, "./in.txt", "./**/in.txt", 1))
	w.next()
	if err := w.end(); err != nil { // p ran all the time
		t.Error(err)
	}
	if c := health.Check().Checks; len(c) != 0 {
		t.Errorf("checks are left: %+v", c)
	}
	if r := w.group.Report(); len(r) != 2 || r[0].NewerError == "" || r[0].Error != "" || r[0].Sinks[0].Objects != 1 || r[1].Sinks[0].Objects != 1 {
		t.Errorf("%+v", r)
	}
}

// A build that takes long holds up no other pipeline, and what changes meanwhile is built once more afterwards.
func TestABuildHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("in.txt", "one\n")
	slowly := another(strings.Replace(fmt.Sprintf(marking, ""), `append_delimiter: { delimiter: "" }`, "wasm: { module: ./b }", 1))
	unique := fmt.Sprint("at ", time.Now().UnixNano(), " ") // what the cache does not have
	p.replace("b/main.go", fmt.Sprintf(guest, unique))
	var builds atomic.Int32
	slow, gate := make(chan struct{}), make(chan struct{})
	w := watchWith(t, p, fmt.Sprintf(marking, " first")+another(fmt.Sprintf(marking, " first")), build.Options{Progress: func(what string) {
		if strings.HasSuffix(what, "/b") {
			if builds.Add(1) == 1 {
				close(slow)
			}
			<-gate
		}
	}})
	p.delivered("out-q", 1)
	edit := func(i int) {
		t.Helper()
		p.replace("p.yaml", fmt.Sprintf(marking, fmt.Sprint(" edit ", i))+slowly)
		if c := w.taken(); c.Pipeline != "p" {
			t.Errorf("%+v", c)
		}
	}
	edit(0)
	<-slow
	for i := range 3 {
		p.replace("b/main.go", fmt.Sprintf(guest, fmt.Sprint(unique, i)))
		edit(i + 1)
	}
	close(gate)
	for n := 2; ; n++ {
		p.write("in.txt", "two\n")
		if c := w.taken(); c.Pipeline != "q" {
			t.Errorf("%+v", c)
		}
		if strings.HasSuffix(strings.TrimSpace(p.delivered("out-q", n)), unique+"2") {
			break
		}
	}
	if n := builds.Load(); n > 2 {
		t.Errorf("%d builds", n)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}
