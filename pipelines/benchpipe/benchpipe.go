// Package benchpipe measures pipelines against bare programs that do the same to the bytes and nothing more, in the same
// run on the same machine, so that the ratios mean something where the figures do not.
//
//	whole     lines of a file -> stream -> identity transform -> gzip level 1 -> files
//	          bare: read the file, append and fdatasync it, gzip on all cores, write durable objects
//	delivery  the filled stream -> identity transform -> gzip level 1 -> files
//	          bare: gzip on all cores, from memory to nowhere
package benchpipe

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/foreground"
	"github.com/leatstream/leat/pipelines/spec"
)

// Options says what is measured.
type Options struct {
	// Dir is a folder on the disk to measure; a folder is made in it and removed at the end.
	Dir string
	// Size of the input in bytes, at least 1 MiB.
	Size int64
	// Rounds is how often everything is measured; the result is the median of the ratios.
	Rounds int
	// Input is a file of lines in place of generated ones; it is repeated up to Size.
	Input string
	// Module is the transform: a .wasm file or a folder of Go source. Empty: the identity.
	Module string
	// Config is the transform's config as JSON; empty: none.
	Config string
	// Progress is told what goes on; nil: nobody is.
	Progress func(what string)
}

// Result is a comparison. Figures are MB/s of input of the median round.
type Result struct {
	Name  string  `json:"name"`
	Leat  float64 `json:"leat_mb_per_s"`
	Bare  float64 `json:"bare_mb_per_s"`
	Ratio float64 `json:"ratio"`
}

// Identity is the smallest module there can be, so that the host is measured and not a guest; see identity.wat.
//
//go:embed identity.wasm
var Identity []byte

// bench is one measurement.
type bench struct {
	Options
	dir     string
	input   string
	content []byte
	lines   uint64
}

// Run measures.
func Run(ctx context.Context, o Options) (_ []Result, err error) {
	if o.Size < 1<<20 {
		return nil, fault.New(fault.Permanent, "bench.size", "an input of %d bytes is too little to measure: want at least 1 MiB", o.Size)
	}
	b := &bench{Options: o}
	if b.Progress == nil {
		b.Progress = func(string) {}
	}
	if b.dir, err = os.MkdirTemp(o.Dir, "leat-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.prepare(); err != nil {
		return nil, err
	}
	var wholes, deliveries []Result
	for round := range max(o.Rounds, 1) {
		w, d, err := b.round(ctx, round)
		if err != nil {
			return nil, err
		}
		wholes, deliveries = append(wholes, w), append(deliveries, d)
	}
	return []Result{median("whole pipeline", wholes), median("delivery alone", deliveries)}, nil
}

func median(name string, rounds []Result) Result {
	slices.SortFunc(rounds, func(a, b Result) int { return cmp.Compare(a.Ratio, b.Ratio) })
	middle := rounds[len(rounds)/2]
	middle.Name = name
	return middle
}

// prepare writes the input and the transform.
func (b *bench) prepare() error {
	b.Progress("writing the input")
	if b.Module == "" {
		b.Module = filepath.Join(b.dir, "identity.wasm")
		if err := os.WriteFile(b.Module, Identity, 0o666); err != nil {
			return err
		}
	}
	var err error
	if b.Module, err = filepath.Abs(b.Module); err != nil {
		return err
	}
	var text []byte
	if b.Input != "" {
		if text, err = os.ReadFile(b.Input); err != nil {
			return err
		}
		if len(text) == 0 {
			return fmt.Errorf("%s is empty", b.Input)
		}
		if text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
	}
	b.input = filepath.Join(b.dir, "input.txt")
	f, err := os.Create(b.input)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for size, n := int64(0), uint64(0); size < b.Size; n++ {
		line := text
		if text == nil {
			line = LogLine(n)
		}
		size += int64(len(line))
		if _, err := w.Write(line); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if b.content, err = os.ReadFile(b.input); err != nil {
		return err
	}
	for line := range strings.Lines(string(b.content)) {
		if strings.TrimRight(line, "\r\n") != "" {
			b.lines++
		}
	}
	return nil
}

// LogLine is a line of an access log, about 250 bytes, that compresses as such lines do.
func LogLine(n uint64) []byte {
	r := n * 0x9E3779B97F4A7C15
	pick := func(shift uint, from ...string) string { return from[(r>>shift)%uint64(len(from))] }
	return fmt.Appendf(nil, `{"ts":"2026-11-%02dT%02d:%02d:%02d.%03dZ","level":%q,"service":%q,"method":%q,"path":"/v1/orders/%d/items/%d","status":%s,"bytes":%d,"ms":%d.%d,"trace":"%016x","user":"u-%d","agent":%q}`+"\n",
		1+n/86400%28, n/3600%24, n/60%60, n%60, r>>50%1000, pick(3, "info", "info", "info", "warn", "error"), pick(7, "checkout", "catalog", "search", "auth"),
		pick(11, "GET", "GET", "POST", "PUT"), r>>20%100000, r>>13%50, pick(17, "200", "200", "200", "201", "404", "500"), r>>23%90000, r>>29%300, r>>31%10, r,
		r>>37%20000, pick(41, "Mozilla/5.0 (X11; Linux x86_64)", "okhttp/4.12", "curl/8.5.0", "python-requests/2.32"))
}

func (b *bench) round(ctx context.Context, round int) (whole, delivery Result, err error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("round-%d", round))
	bare := filepath.Join(dir, "bare")
	if err := os.MkdirAll(bare, 0o777); err != nil {
		return whole, delivery, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	mb := float64(len(b.content)) / 1e6

	b.Progress(fmt.Sprintf("round %d: bare program", round+1))
	took, err := timed(func() error { return bareWhole(b.input, bare) })
	if err != nil {
		return whole, delivery, err
	}
	whole.Bare = mb / took.Seconds()
	b.Progress(fmt.Sprintf("round %d: pipeline", round+1))
	if whole.Leat, err = b.pipeline(ctx, dir, "whole", fmt.Sprintf("  files: [ { path: %q } ]\n", b.input)); err != nil {
		return whole, delivery, err
	}
	b.Progress(fmt.Sprintf("round %d: gzip", round+1))
	if took, err = timed(func() error { return bareGzip(b.content) }); err != nil {
		return whole, delivery, err
	}
	delivery.Bare = mb / took.Seconds()
	b.Progress(fmt.Sprintf("round %d: delivery", round+1))
	if delivery.Leat, err = b.pipeline(ctx, dir, "delivery", ""); err != nil {
		return whole, delivery, err
	}
	whole.Ratio, delivery.Ratio = whole.Leat/whole.Bare, delivery.Leat/delivery.Bare
	return whole, delivery, nil
}

func timed(work func() error) (time.Duration, error) {
	began := time.Now()
	err := work()
	return time.Since(began), err
}

// pipeline runs a pipeline over the stream of the round, checks that it delivered everything, and returns MB/s.
func (b *bench) pipeline(ctx context.Context, dir, name, files string) (rate float64, err error) {
	config := ""
	if b.Config != "" {
		config = ", config: " + b.Config
	}
	text := fmt.Sprintf(`version: 1
pipeline: %s
source:
  stream: { name: bench, shards: 16 }
%stransforms:
  - { name: transform, wasm: { module: %q, guard: none }%s }
sinks:
  - { name: out, file: { dir: %q }, prefix: "!{timestamp:yyyy}/", format: lines, compression: gzip, compression_level: 1 }
`, name, files, b.Module, config, filepath.Join(dir, name))
	took, counts, err := Drain(ctx, text, filepath.Join(dir, "data"))
	if err != nil {
		return 0, err
	}
	if counts.In != b.lines || counts.Pending > 0 {
		return 0, fmt.Errorf("the pipeline %s has delivered %d of %d lines", name, counts.Delivered, b.lines)
	}
	return float64(len(b.content)) / 1e6 / took.Seconds(), nil
}

// Drain runs the pipeline of a file's text, with its data in a folder, until all is delivered. It returns how long that took and
// what the first sink counts.
func Drain(ctx context.Context, text, dir string) (took time.Duration, counts delivery.Counts, err error) {
	pipelines, err := spec.Parse("bench.yaml", []byte(text), spec.Options{})
	if err != nil {
		return 0, counts, err
	}
	logger := slog.New(slog.DiscardHandler)
	data, err := datadir.Open(vfs.OS(), dir, logger)
	if err != nil {
		return 0, counts, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	group, err := foreground.Open(ctx, pipelines, build.Options{Data: data, Logger: logger, UntilIdle: true})
	if err != nil {
		return 0, counts, err
	}
	took, err = timed(func() error { return group.Run(ctx, foreground.RunOptions{UntilIdle: true}) })
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return took, group.Report()[0].Sinks[0].Counts, err
}
