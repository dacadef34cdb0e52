package dryrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/foreground"
	"github.com/leatstream/leat/pipelines/spec"
)

func TestADryRunStartsWhereItIsTold(t *testing.T) {
	p := newPlace(t)
	d := p.open()
	defer d.Close()
	var early []string
	for i := range 30 {
		early = append(early, fmt.Sprintf(`{"k":"%d"}`, i))
	}
	if _, _, err := p.dry(text, Options{From: Checkpoint}); fault.CodeOf(err) != CodeNoCheckpoint {
		t.Errorf("without a stream: %v", err)
	}
	p.put(d, early...)
	if _, _, err := p.dry(text, Options{From: Checkpoint}); fault.CodeOf(err) != CodeNoCheckpoint {
		t.Errorf("without a checkpoint: %v", err)
	}
	time.Sleep(5 * time.Millisecond)
	since := time.Now()
	p.put(d, `{"k":"late"}`, `{"k":"later"}`)
	for _, test := range []struct {
		o       Options
		records int
		more    bool
		want    string
	}{
		{Options{}, 32, false, `"29"`},
		{Options{Limit: 7}, 7, true, `"0"`},
		{Options{Limit: 32}, 32, false, `"late"`},
		{Options{At: since}, 2, false, `"later"`},
		{Options{From: Latest, Limit: 5}, 5, false, `"late`},
		{Options{From: Latest, Limit: 500}, 32, false, `"0"`},
	} {
		sum, got, err := p.dry(text, test.o)
		if err != nil || sum.Records != test.records || sum.More != test.more || !strings.Contains(got, test.want) {
			t.Errorf("%+v: %+v, %v\n%s", test.o, sum, err, got)
		}
	}
	if sum, got, err := p.dry(text, Options{Sink: "by", Limit: 1}); err != nil || len(sum.Sinks) != 1 || strings.Contains(got, "all:") {
		t.Errorf("one sink: %+v, %v", sum, err)
	}
	if _, _, err := p.dry(text, Options{Sink: "bx"}); fault.CodeOf(err) != CodeNoSink || !strings.Contains(err.Error(), "by") {
		t.Errorf("no such sink: %v", err)
	}
}
func TestTheNewestRecordsAreTakenFromAllShards(t *testing.T) {
	shards := []shardlog.ShardState{
		{Shard: shardlog.Shard{ID: 0}, TrimHorizon: 1, Next: 101}, {Shard: shardlog.Shard{ID: 1}, TrimHorizon: 1, Next: 3}, {Shard: shardlog.Shard{ID: 2}, TrimHorizon: 5, Next: 5},
	}
	for n, want := range map[uint64]shardlog.Positions{
		10: {0: 93, 1: 1, 2: 5}, 1000: {0: 1, 1: 1, 2: 5}, 102: {0: 1, 1: 1, 2: 5},
	} {
		from := shardlog.Positions{}
		newest(from, shards, n)
		if fmt.Sprint(from) != fmt.Sprint(want) {
			t.Errorf("%d: %v, want %v", n, from, want)
		}
	}
	for range 50 { // the order of maps makes no difference to how many
		from := shardlog.Positions{}
		newest(from, shards, 3)
		if n := 101 - from[0] + 3 - from[1] + 5 - from[2]; n != 3 {
			t.Fatalf("%d records: %v", n, from)
		}
	}
}
func TestADryRunReadsFilesWhereThereIsNoStream(t *testing.T) {
	p := newPlace(t)
	p.write("in.txt", "header\n{\"k\":\"x\"}\n{\"k\":\"y\"}\n{\"k\":\"z\"}")
	sum, got, err := p.dry(text, Options{Limit: 2})
	if err != nil || got != "1 all:delivered all/{\"k\":\"x\"} by:delivered k=x/{\"k\":\"x\"}\n2 all:delivered all/{\"k\":\"y\"} by:delivered k=y/{\"k\":\"y\"}\n" || !sum.More {
		t.Errorf("%+v, %v\n%s", sum, err, got)
	}
	if sum, _, err := p.dry(text, Options{}); err != nil || sum.Records != 3 || sum.More || !strings.Contains(sum.Source, "files of the pipeline") {
		t.Errorf("%+v, %v", sum, err)
	}
	p.write("other.txt", "header\n{\"k\":\"o\"}\n")
	if sum, got, err := p.dry(text, Options{Input: filepath.Join(p.dir, "other.txt")}); err != nil || sum.Records != 1 || !strings.Contains(got, "k=o/") {
		t.Errorf("%+v, %v", sum, err)
	}
	if sum, got, err := p.dry(text, Options{Input: "-", Stdin: strings.NewReader("header\n{\"k\":\"i\"}\n")}); err != nil || sum.Records != 1 || !strings.Contains(got, "k=i/") {
		t.Errorf("%+v, %v", sum, err)
	}
	if _, _, err := p.dry(text, Options{Input: filepath.Join(p.dir, "none.txt")}); err == nil || !strings.Contains(err.Error(), "none.txt") {
		t.Errorf("a file that is not there: %v", err)
	}
	none := strings.Replace(text, ", files: [ { path: ./in.txt, skip_lines: 1, key: { json: .k } } ]", "", 1)
	in := strings.NewReader(`{"k":"` + strings.Repeat("x", 5<<20) + `","drop":true}` + "\n{}")
	if sum, got, err := p.dry(none, Options{Input: "-", Stdin: in}); err != nil || sum.Records != 2 || sum.LongLines > 0 || !strings.HasPrefix(got, "1 all:dropped") {
		t.Errorf("lines of a pipeline without files: %+v, %v", sum, err)
	}
	if _, _, err := p.dry(none, Options{}); fault.CodeOf(err) != CodeNoRecords || !strings.Contains(err.Error(), "p.yaml:3:") {
		t.Errorf("nothing to read: %v", err)
	}
}

// Lines longer than a stream takes without being told, and those longer than it is told, are what they are for a run.
func TestADryRunReadsWhatARunReads(t *testing.T) {
	p := newPlace(t)
	long := func(n int) string { return `{"k":"` + strings.Repeat("x", n) + `"}` }
	p.write("in.txt", "header\n"+long(2<<20)+"\r\n"+long(3<<20)+"\n\n"+long(1))
	one := strings.Replace(text[:strings.Index(text, "  - { name: by")], "skip_lines: 1", "skip_lines: 1, max_line: 3MiB", 1)
	for name, o := range map[string]Options{"files": {}, "a file": {Input: filepath.Join(p.dir, "in.txt")}} {
		sum, _, err := p.dry(one, o)
		if err != nil || sum.Records != 2 || sum.LongLines != 1 {
			t.Errorf("%s: %+v, %v", name, sum, err)
		}
	}
	d := p.open()
	g, err := foreground.Open(t.Context(), []*spec.Pipeline{p.parse(one)}, build.Options{Data: d, Logger: slog.New(slog.DiscardHandler), UntilIdle: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.Run(t.Context(), foreground.RunOptions{UntilIdle: true}), d.Close()); err != nil {
		t.Fatal(err)
	}
	if sum, _, err := p.dry(one, Options{}); err != nil || sum.Records != 2 || sum.Source != "stream s in "+p.data {
		t.Errorf("of what a run has fed: %+v, %v", sum, err)
	}
}
func TestADryRunOfAPipeEndsAtTheLimitAndWhenItIsStopped(t *testing.T) {
	p := newPlace(t)
	pipe := func(written string) io.Reader {
		in, lines := io.Pipe()
		t.Cleanup(func() { lines.Close() })
		go io.WriteString(lines, written)
		return in
	}
	in := pipe("header\n{\"k\":\"1\"}\n{\"k\":\"2\"}\nhalf")
	if sum, got, err := p.dry(text, Options{Input: "-", Stdin: in, Limit: 2}); err != nil || sum.Records != 2 || !strings.Contains(got, "k=2/") {
		t.Errorf("%+v, %v", sum, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	o := Options{FS: vfs.OS(), Data: p.data, Input: "-", Stdin: pipe("header\n{\"k\":\"3\"}\n"), See: func(*Record) error { stop(); return nil }}
	if sum, err := Run(ctx, p.parse(text), o); !errors.Is(err, context.Canceled) || sum.Records != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}
