package dryrun

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/foreground"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const text = `version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt, skip_lines: 1, key: { json: .k } } ] }
transforms:
  - { name: keep, filter: { when: "drop != true" } }
sinks:
  - { name: all, file: { dir: ./out }, format: lines, prefix: "!{timestamp:'all'}/" }
  - { name: by, s3: { bucket: nowhere, endpoint: "http://127.0.0.1:1" }, partition: { k: .k }, prefix: "k=!{partitionKeyFromQuery:k}/", buffer: { interval: 60s, size: 1MiB } }
`

// place is a folder with a data directory and files.
type place struct {
	t    *testing.T
	dir  string
	data string
}

func newPlace(t *testing.T) *place {
	dir := t.TempDir()
	return &place{t: t, dir: dir, data: filepath.Join(dir, "data")}
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o666); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) parse(text string) *spec.Pipeline {
	p.t.Helper()
	all, err := spec.Parse(filepath.Join(p.dir, "p.yaml"), []byte(text), spec.Options{})
	if err != nil {
		p.t.Fatal(spec.Render(err, false))
	}
	return all[0]
}

func (p *place) open() *datadir.Dir {
	p.t.Helper()
	d, err := datadir.Open(vfs.OS(), p.data, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// put stores records in the stream s, which it makes if it is missing.
func (p *place) put(d *datadir.Dir, data ...string) {
	p.t.Helper()
	s, err := d.Streams.Get("s")
	if fault.CodeOf(err) == "stream.not_found" {
		s, err = d.Streams.Create(p.t.Context(), "s", stream.Config{Shards: 2, Retention: shardlog.Retention{Age: 24 * time.Hour}})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for _, one := range data {
		results, err := s.Put(p.t.Context(), []stream.Entry{{Key: one, Data: []byte(one)}})
		if err != nil || results[0].Err != nil {
			p.t.Fatal(err, results)
		}
	}
}

// dry runs and returns what it shows, a line a record.
func (p *place) dry(text string, o Options) (*Summary, string, error) {
	p.t.Helper()
	var b strings.Builder
	o.FS, o.Data = vfs.OS(), p.data
	o.See = func(r *Record) error {
		fmt.Fprintf(&b, "%d", r.Position)
		for _, s := range r.Sinks {
			fmt.Fprintf(&b, " %s:%s", s.Sink, s.Outcome)
			if s.Outcome == Dropped {
				fmt.Fprint(&b, " by ", s.Stage)
			}
			if s.Code != "" {
				fmt.Fprintf(&b, "(%s)", s.Code)
			}
			for _, out := range s.Out {
				fmt.Fprintf(&b, " %s%s", out.Prefix, strings.TrimSpace(string(out.Record.Data)))
			}
		}
		b.WriteString("\n")
		return nil
	}
	sum, err := Run(p.t.Context(), p.parse(text), o)
	return sum, b.String(), err
}

// content is a digest of everything in the data directory: names, kinds, sizes, times and bytes.
func (p *place) content() string {
	p.t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(p.data, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, name, info.Mode(), info.ModTime().UnixNano())
		if !info.Mode().IsRegular() {
			return nil
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(h, f)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Whatever is asked, and whether or not a leat uses the data directory, not a byte of it changes, and nothing is made elsewhere.
func TestADryRunChangesNothing(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "header\n{\"k\":\"file\"}\n")
	d := p.open()
	p.put(d, `{"k":"a"}`, `{"k":"b","drop":true}`, `no json`)
	g, err := foreground.Open(t.Context(), []*spec.Pipeline{p.parse(strings.Replace(text, "s3: { bucket: nowhere, endpoint: \"http://127.0.0.1:1\" }", "file: { dir: ./by }", 1))},
		build.Options{Data: d, Logger: slog.New(slog.DiscardHandler), UntilIdle: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context(), foreground.RunOptions{UntilIdle: true}); err != nil {
		t.Fatal(err)
	}
	p.put(d, `{"k":"c"}`)
	try := func(when string) {
		t.Helper()
		before := p.content()
		for _, o := range []Options{{}, {From: Latest, Limit: 2}, {From: Checkpoint}, {At: time.Now()}, {Limit: 1}, {Input: filepath.Join(p.dir, "in.txt")}} {
			if _, _, err := p.dry(text, o); err != nil {
				t.Errorf("%s, %+v: %v", when, o, err)
			}
		}
		if p.content() != before {
			t.Errorf("%s: the data directory has changed", when)
		}
	}
	try("while the directory is open")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	try("while it is closed")
	if _, err := os.Stat(filepath.Join(p.dir, "data2")); err == nil {
		t.Error("something was made")
	}
	p.data = filepath.Join(p.dir, "data2")
	if _, _, err := p.dry(text, Options{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.data); err == nil {
		t.Error("a data directory was made")
	}
	if err := os.RemoveAll(filepath.Join(p.dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.dry(text, Options{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "out")); err == nil {
		t.Error("the folder of a sink was made")
	}
}
func TestADryRunShowsWhereRecordsWouldGo(t *testing.T) {
	p := newPlace(t)
	d := p.open()
	p.put(d, `{"k":"a"}`, `{"k":"b","drop":true}`, `{"no":"k"}`, `{"k":"a","n":2}`)
	sum, got, err := p.dry(text+"  - { name: here, stdout: {}, format: lines }\n", Options{})
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		` all:delivered all/{"k":"a"} by:delivered k=a/{"k":"a"} here:delivered {"k":"a"}` + "\n",
		` all:dropped by keep by:dropped by keep here:dropped by keep` + "\n",
		` all:delivered all/{"no":"k"} by:dead(`,
		` by:delivered k=a/{"k":"a","n":2} here:delivered {"k":"a","n":2}` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if sum.Records != 4 || sum.More || sum.Source != "stream s in "+p.data {
		t.Errorf("%+v", sum)
	}
	kept := []StageSummary{{Stage: "keep", Dropped: 1}}
	for i, want := range []SinkSummary{
		{Sink: "all", Delivered: 3, Dropped: 1, Outputs: 3, Bytes: 37, Objects: 1, Prefixes: 1, Stages: kept},
		{Sink: "by", Delivered: 2, Dropped: 1, Dead: 1, Outputs: 2, Bytes: 26, Objects: 1, Prefixes: 1, Stages: kept},
		{Sink: "here", Delivered: 3, Dropped: 1, Outputs: 3, Bytes: 37, Stages: kept},
	} {
		if got := sum.Sinks[i]; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
func TestADryRunSaysWhereThePipelineWouldStop(t *testing.T) {
	p := newPlace(t)
	sum, _, err := p.dry(strings.Replace(text, `when: "drop != true" }`, `when: "n > 1" }, on_error: stop`, 1),
		Options{Input: "-", Stdin: strings.NewReader("header\n{\"k\":\"i\",\"n\":\"text\"}\n")})
	if fault.CodeOf(err) != stage.CodeStopped || sum == nil || sum.Stopped == "" {
		t.Errorf("%+v, %v", sum, err)
	}
}
func TestAnErrorOfWhoeverLooksEndsADryRun(t *testing.T) {
	p := newPlace(t)
	gone := errors.New("the pipe is gone")
	o := Options{FS: vfs.OS(), Data: p.data, Input: "-", Stdin: strings.NewReader("header\n{}\n{}\n"), See: func(*Record) error { return gone }}
	if _, err := Run(t.Context(), p.parse(text), o); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.Stdin = strings.NewReader("header\n{}\n")
	if _, err := Run(ctx, p.parse(text), o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Objects are counted as they would have been delivered: by size and by age, for each prefix.
func TestObjectsAreEstimated(t *testing.T) {
	p := newPlace(t)
	out, err := build.Outline(t.Context(), p.parse(text), build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close(t.Context())
	s := newSink(&out.Deliveries[1], &spec.Sink{})
	at := time.Now().UnixNano()
	for range 3 {
		s.collect("a", 600<<10, at) // two do not fit into 1 MiB
		s.collect("b", 1, at)
	}
	s.collect("b", 1, at+int64(61*time.Second))
	if s.Objects != 3+2 || s.Prefixes != 2 {
		t.Errorf("%d objects, %d prefixes", s.Objects, s.Prefixes)
	}
	for i := range 3 * maxPrefixes {
		s.collect(fmt.Sprint(i), 1, at)
	}
	if len(s.buffers) > maxPrefixes || s.Prefixes != maxPrefixes {
		t.Errorf("%d are remembered, %d prefixes", len(s.buffers), s.Prefixes)
	}
}
func TestSinksOfTheSameOutcomeAreNamedTogether(t *testing.T) {
	out := func(data string) []Output {
		return []Output{{Prefix: "p/", Record: &view.Payload{Data: []byte(data)}}}
	}
	var w view.Writer
	Print(&w, &Record{Shard: record.ShardID(1).String(), Position: 7, Arrived: time.Unix(0, 0).UTC(), In: view.Payload{Key: "k", Data: []byte("in")}, Sinks: []Outcome{
		{Sink: "a", Outcome: Delivered, Out: out("x")}, {Sink: "b", Outcome: Delivered, Out: out("x")}, {Sink: "c", Outcome: Delivered, Out: out("y")},
		{Sink: "d", Outcome: Dead, Stage: "s", place: 2, Code: "c", Reason: "r"}, {Sink: "e", Outcome: Dropped, Stage: "t", place: 3},
		{Sink: "f", Outcome: Dropped, Stage: "t", place: 3, Code: "c", Reason: "r"}, {Sink: "g", Outcome: Dead, Code: "c", Reason: "r"}, {Sink: "h", Outcome: Delivered, Out: []Output{{Record: &view.Payload{Data: []byte("z")}}}},
	}})
	want := `shardId-000000000001 #7  1970-01-01 00:00:00.000  key "k"
  a, b -> p/
  x
  c -> p/
  y
  d: dead in stage 2 (s): c: r
  e: dropped by stage 3 (t)
  f: dropped by stage 3 (t), which fails it: c: r
  g: dead: c: r
  h
  z
  the record:
  in
`
	if string(w.Bytes()) != want {
		t.Errorf("%s", w.Bytes())
	}
}
