package foreground

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/audit"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

// A change that comes while the first versions are being built is not forgotten.
func TestAChangeBeforeTheStartIsTaken(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("in.txt", "one\n")
	p.replace("p.yaml", fmt.Sprintf(marking, " v0"))
	file := filepath.Join(p.dir, "p.yaml")
	load := func() ([]*spec.Pipeline, error) { return spec.Load(file, spec.Options{}) }
	pipelines, seen, err := See([]string{file}, load)
	if err != nil {
		t.Fatal(err)
	}
	p.replace("p.yaml", fmt.Sprintf(marking, " v1"))
	o := build.Options{Data: p.data, Logger: slog.New(slog.DiscardHandler)}
	g, err := Open(t.Context(), pipelines, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	told := make(chan Change, 10)
	ended := make(chan error, 1)
	go func() {
		ended <- g.Watch(ctx, WatchOptions{Files: []string{file}, Load: load, Seen: seen, Build: o, Tell: func(c Change) { told <- c }})
	}()
	if c := <-told; c.Err != nil || c.Pipeline != "p" {
		t.Errorf("%+v", c)
	}
	if got := p.delivered("out", 1); got != "one v1\n" {
		t.Errorf("delivered: %q", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// watched is a group that follows p.yaml.
type watched struct {
	*place
	group *Group
	told  chan Change
	stop  context.CancelFunc
	ended chan error
}

// replace writes a file as a careful editor does.
func (p *place) replace(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path+"~", []byte(text), 0o666); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		p.t.Fatal(err)
	}
}

func watchFile(t *testing.T, p *place, text string) *watched {
	t.Helper()
	return watchWith(t, p, text, build.Options{})
}

func watchWith(t *testing.T, p *place, text string, o build.Options) *watched {
	t.Helper()
	p.replace("p.yaml", text)
	file := filepath.Join(p.dir, "p.yaml")
	load := func() ([]*spec.Pipeline, error) { return spec.Load(file, spec.Options{}) }
	pipelines, seen, err := See([]string{file}, load)
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	o.Data, o.Logger = p.data, slog.New(slog.DiscardHandler)
	g, err := Open(t.Context(), pipelines, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	w := &watched{place: p, group: g, told: make(chan Change, 100), stop: stop, ended: make(chan error, 1)}
	go func() {
		w.ended <- g.Watch(ctx, WatchOptions{
			Files: []string{file}, Load: load, Seen: seen, Build: o, Poll: 10 * time.Millisecond, Tell: func(c Change) { w.told <- c },
		})
	}()
	t.Cleanup(func() { stop() })
	return w
}

// next is what came of the last change.
func (w *watched) next() Change {
	w.t.Helper()
	select {
	case c := <-w.told:
		return c
	case <-time.After(2 * time.Minute): // a build on a busy machine
		w.t.Fatal("nothing came of the change")
		return Change{}
	}
}

func (w *watched) taken() Change {
	w.t.Helper()
	c := w.next()
	if c.Err != nil || c.Stopped || c.Pipeline == "" {
		w.t.Fatalf("the change is not taken: %+v", c)
	}
	return c
}

func (w *watched) end() error {
	w.t.Helper()
	w.stop()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(2 * time.Minute):
		w.t.Fatal("Watch does not end")
		return nil
	}
}

// delivered returns all that lies below a folder, once there are n lines.
func (p *place) delivered(dir string, n int) string {
	p.t.Helper()
	var all strings.Builder
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		all.Reset()
		names, _ := filepath.Glob(filepath.Join(p.dir, dir, "2*-*"))
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				p.t.Fatal(err)
			}
			all.Write(b)
		}
		if strings.Count(all.String(), "\n") >= n {
			return all.String()
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s has %d lines, want %d", dir, strings.Count(all.String(), "\n"), n)
		}
	}
}

const marking = `version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt } ] }
transforms: [ { name: mark, append_delimiter: { delimiter: "%s" } } ]
sinks:
  - { name: out, file: { dir: ./out }, format: lines, prefix: "!{timestamp:yyyy}-", buffer: { interval: 0s } }
  - { name: two, file: { dir: ./two }, format: lines, prefix: "!{timestamp:yyyy}-", buffer: { interval: 0s } }
`

// Twenty versions take over from one another while records keep coming: each record is delivered once to each sink, and
// the ledgers hold.
func TestNoRecordIsLostOrDoubledAcrossTwentySwaps(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("in.txt", "")
	w := watchFile(t, p, fmt.Sprintf(marking, " v0"))
	var wg sync.WaitGroup
	writing, enough := context.WithCancel(t.Context())
	n := 0
	wg.Go(func() {
		for writing.Err() == nil {
			var b strings.Builder
			for range 50 {
				fmt.Fprintf(&b, "record %d\n", n)
				n++
			}
			p.write("in.txt", b.String())
			time.Sleep(2 * time.Millisecond)
		}
	})
	swaps := testenv.Count(20, 200)
	longest := time.Duration(0)
	for i := range swaps {
		if time.Sleep(20 * time.Millisecond); i%7 == 6 { // long enough for objects to become complete
			time.Sleep(1500 * time.Millisecond)
		}
		p.replace("p.yaml", fmt.Sprintf(marking, fmt.Sprint(" v", i+1)))
		longest = max(longest, w.taken().Gap)
	}
	enough()
	wg.Wait()
	t.Logf("%d records, %d swaps, the longest gap was %v", n, swaps, longest)
	for _, dir := range []string{"out", "two"} {
		seen, versions := map[string]int{}, map[string]bool{}
		for line := range strings.Lines(p.delivered(dir, n)) {
			record, version, _ := strings.Cut(strings.TrimSpace(line), " v")
			seen[record]++
			versions[version] = true
		}
		if len(seen) != n {
			t.Errorf("%s: %d records of %d are there", dir, len(seen), n)
		}
		for record, times := range seen {
			if times > 1 {
				t.Fatalf("%s: %s is there %d times", dir, record, times)
			}
		}
		if len(versions) < 3 {
			t.Errorf("%s: only %d versions have delivered", dir, len(versions))
		}
	}
	for _, s := range w.group.Report()[0].Sinks {
		if int(s.Delivered) != n || !s.Holds() || s.Objects == 0 {
			t.Errorf("the report of the whole run: %+v", s)
		}
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	reports, err := audit.Run(t.Context(), vfs.OS(), p.data.Path, "p")
	if err != nil || !audit.Holds(reports) || len(reports) != 2 {
		t.Errorf("%+v, %v", reports, err)
	}
}

const guest = `package main

import leat "github.com/leatstream/leat/transforms/sdk/go"

func init() {
	leat.Each(func(r leat.Record) leat.Result { return leat.Data(append(r.Data, " %s"...)) })
}

func main() {}
`

const guested = `version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt } ] }
transforms: [ { name: mark, wasm: { module: ./mark } } ]
sinks: [ { name: out, file: { dir: ./out }, format: lines, prefix: "!{timestamp:yyyy}-", buffer: { interval: 0s } } ]
tests: [ { name: it marks, input: [ { data: x } ], output: { out: [ { data: "x %s\n" } ] } } ]
`

// What does not compile, fails its tests or is wrong in the file changes nothing, and says why; what is good takes over.
func TestOnlyWhatIsGoodTakesOver(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("in.txt", "one\n")
	p.replace("mark/main.go", fmt.Sprintf(guest, "first"))
	w := watchFile(t, p, fmt.Sprintf(guested, "first"))
	p.delivered("out", 1)

	p.replace("mark/main.go", strings.Replace(fmt.Sprintf(guest, "second"), "leat.Data(", "leat.Date(", 1))
	if c := w.next(); fault.CodeOf(c.Err) != "wasm.build.failed" || c.Stopped || !strings.Contains(c.Err.Error(), "mark/main.go:6:") {
		t.Errorf("what does not compile: %+v", c)
	}
	p.replace("mark/main.go", fmt.Sprintf(guest, "second"))
	if c := w.next(); c.Err == nil || c.Stopped || len(c.Tests) != 1 || c.Tests[0].Passed() {
		t.Errorf("what fails its test: %+v", c)
	}
	p.replace("p.yaml", "pipelin: p\n")
	if c := w.next(); c.Pipeline != "" || !strings.Contains(c.Err.Error(), "pipelin") {
		t.Errorf("a file that is wrong: %+v", c)
	}
	p.write("in.txt", "two\n")
	if got := p.delivered("out", 2); strings.Count(got, " first\n") != 2 {
		t.Errorf("delivered meanwhile: %q", got)
	}

	p.replace("p.yaml", fmt.Sprintf(guested, "second"))
	if c := w.taken(); len(c.Tests) != 1 || c.Gap <= 0 {
		t.Errorf("%+v", c)
	}
	p.write("in.txt", "three\n")
	if got := p.delivered("out", 3); !strings.Contains(got, "three second\n") {
		t.Errorf("delivered: %q", got)
	}

	p.replace("mark/main.go", fmt.Sprintf(guest, "second")) // the same again
	p.replace("mark/README.md", "no part of the module")
	select {
	case c := <-w.told:
		t.Errorf("what makes no difference: %+v", c)
	case <-time.After(time.Second):
	}
	p.replace("p.yaml", fmt.Sprintf(guested, "second")+"---\n"+strings.NewReplacer("pipeline: p", "pipeline: q", "./out", "./other", "stream: s", "stream: q").Replace(fmt.Sprintf(marking, " q")))
	names := w.taken().Pipeline + w.taken().Pipeline
	if names != "pq" && names != "qp" {
		t.Errorf("taken: %s", names)
	}
	p.delivered("other", 3)
	p.replace("p.yaml", fmt.Sprintf(guested, "second"))
	for range 2 {
		if c := w.next(); c.Err != nil || c.Removed != (c.Pipeline == "q") {
			t.Errorf("%+v", c)
		}
	}
	if len(w.told) > 0 {
		t.Errorf("and %+v", <-w.told)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	reports := w.group.Report()
	if len(reports) != 2 || reports[0].Sinks[0].Delivered != 3 || reports[1].Sinks[0].Delivered != 3 {
		t.Errorf("%+v", reports)
	}
}

// A pipeline that cannot go on rests until something changes; one that cannot be tied to its stream gives way to the version
// before.
func TestAPipelineThatStopsGoesOnWithTheNextChange(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("in.txt", `{"n":"text"}`+"\n")
	strict := strings.Replace(fmt.Sprintf(marking, ""), `append_delimiter: { delimiter: "" }`, `filter: { when: "n > 1" }, on_error: %s`, 1)
	w := watchFile(t, p, fmt.Sprintf(strict, "stop"))
	if c := w.next(); !c.Stopped || fault.CodeOf(c.Err) != "stage.stopped" {
		t.Fatalf("%+v", c)
	}
	if r := w.group.Report()[0]; r.Error == "" {
		t.Errorf("%+v", r)
	}
	p.replace("p.yaml", fmt.Sprintf(strict, "drop"))
	w.taken()
	p.write("in.txt", `{"n":2}`+"\n")
	p.delivered("out", 1)
	p.replace("p.yaml", strings.Replace(fmt.Sprintf(strict, "drop"), "./in.txt", "./**/in.txt", 1))
	if c := w.next(); fault.CodeOf(c.Err) != "feeder.invalid_config" || c.Stopped || c.Gap == 0 {
		t.Errorf("%+v", c)
	}
	p.write("in.txt", `{"n":3}`+"\n")
	p.delivered("out", 2)
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if r := w.group.Report()[0]; r.Error != "" || r.Sinks[0].Delivered != 2 || r.Sinks[0].Dropped != 1 {
		t.Errorf("%+v", r)
	}
}

// If the version before cannot come back either, that is seen until something changes, and no failure is left of a pipeline that is
// taken from the files.
func TestAFailureIsSeenAsLongAsItLasts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("in.txt", "one\n")
	identity, err := os.ReadFile("../benchpipe/identity.wasm")
	if err != nil {
		t.Fatal(err)
	}
	p.replace("m.wasm", string(identity))
	stays := strings.NewReplacer("pipeline: p", "pipeline: q", "stream: s", "stream: q").Replace(fmt.Sprintf(marking, " v0"))
	first := strings.Replace(fmt.Sprintf(marking, " v0"), `append_delimiter: { delimiter: " v0" }`, "wasm: { module: ./m.wasm }", 1)
	w := watchFile(t, p, stays+"---\n"+first)
	if err := os.Remove(filepath.Join(p.dir, "m.wasm")); err != nil {
		t.Fatal(err)
	}
	if c := w.next(); fault.CodeOf(c.Err) != "build.no_module" || c.Stopped {
		t.Errorf("%+v", c)
	}
	p.replace("p.yaml", stays+"---\n"+strings.Replace(fmt.Sprintf(marking, " v0"), "./in.txt", "./**/in.txt", 1))
	c := w.next()
	for c.Pipeline == "q" && c.Err == nil { // is in the file that has changed
		c = w.next()
	}
	if text := fmt.Sprint(c.Err); !c.Stopped || !strings.Contains(text, "**") || !strings.Contains(text, "m.wasm") {
		t.Errorf("%+v", c)
	}
	if r := w.group.Report()[1]; !strings.Contains(r.Error, "m.wasm") {
		t.Errorf("%+v", r)
	}
	p.replace("p.yaml", stays)
	for c = w.next(); !c.Removed; {
		c = w.next()
	}
	if err := w.end(); err != nil {
		t.Errorf("of a pipeline that is not there: %v", err)
	}
}
