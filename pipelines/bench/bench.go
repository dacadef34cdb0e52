// Package bench measures whole pipelines against bare programs that do the same work with nothing around it, in the same
// run: ratios hold on a noisy machine, seconds do not.
package bench

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

// Options of a benchmark.
type Options struct {
	// Dir is where the benchmark works; it makes a folder of its own below it and removes that. Empty is the system's
	// temporary folder. It should be on the disk that is to be measured.
	Dir string
	// Size is the size of the input in bytes.
	Size int64
	// Rounds is how often leat and the bare program run in turn; figures are medians.
	Rounds int
	// Progress is told what is being done; nil: nobody is.
	Progress func(string)
}

// Row is one figure.
type Row struct {
	Name string `json:"name"`
	// Leat and Bare are in MB/s of input (10^6 bytes); Bare is 0 where there is nothing to compare with.
	Leat float64 `json:"leat_mb_s"`
	Bare float64 `json:"bare_mb_s,omitempty"`
	// Ratio is Leat / Bare, the median over rounds.
	Ratio  float64 `json:"ratio,omitempty"`
	Target float64 `json:"target,omitempty"`
	Note   string  `json:"note"`
}

// identity is the smallest module there can be; see identity.wat.
//
//go:embed identity.wasm
var identity []byte

type bench struct {
	Options
	ctx   context.Context
	work  string
	input string
}

// Pipeline measures
//
//   - the whole pipeline: lines of NDJSON from a file through the feeder, the log, an identity module without a guard,
//     gzip level 1 and the file sink; against a program that reads the file, appends it to a log with fdatasync, gzips on
//     all cores and writes the objects;
//   - delivery alone, from a log that is filled already; against gzip on all cores, from memory to nowhere;
//   - with csv2json, a folder of Go source, the same pipeline turning rows of CSV into JSON; empty: left out.
func Pipeline(ctx context.Context, o Options, csv2json, csv string) (rows []Row, err error) {
	b := &bench{Options: o, ctx: ctx}
	if b.Progress == nil {
		b.Progress = func(string) {}
	}
	if b.work, err = os.MkdirTemp(o.Dir, "leat-bench-"); err != nil {
		return nil, fault.New(fault.Unavailable, "bench.no_dir", "make a folder to work in: %w", err)
	}
	defer os.RemoveAll(b.work)
	if err := os.WriteFile(filepath.Join(b.work, "identity.wasm"), identity, 0o644); err != nil {
		return nil, err
	}
	b.input = filepath.Join(b.work, "input.ndjson")
	b.Progress("writing the input")
	if err := writeLines(b.input, o.Size); err != nil {
		return nil, err
	}
	b.Progress("building the transforms")
	if err := b.warm(); err != nil {
		return nil, err
	}
	whole := Row{Name: "whole pipeline", Target: 0.7, Note: "NDJSON lines, identity module, gzip 1, file sink / read, append + fdatasync, gzip on all cores, write"}
	alone := Row{Name: "delivery alone", Target: 0.8, Note: "from a filled log, identity module, gzip 1, file sink / gzip on all cores"}
	if err := b.compare(&whole, &alone); err != nil {
		return nil, err
	}
	rows = append(rows, whole, alone)
	if csv2json != "" {
		row, err := b.csv(csv2json, csv)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (b *bench) compare(whole, alone *Row) error {
	var leat, bare, ratio, deliver, zip, share []float64
	for round := range b.Rounds {
		b.Progress(fmt.Sprintf("round %d of %d", round+1, b.Rounds))
		dir := filepath.Join(b.work, fmt.Sprint("round", round))
		first, second, err := b.leat(dir)
		if err != nil {
			return err
		}
		runtime.GC()
		all, err := bareProgram(b.input, filepath.Join(dir, "bare"))
		if err != nil {
			return err
		}
		only, err := bareGzip(b.input)
		if err != nil {
			return err
		}
		leat, bare, ratio = append(leat, b.rate(first)), append(bare, b.rate(all)), append(ratio, all.Seconds()/first.Seconds())
		deliver, zip, share = append(deliver, b.rate(second)), append(zip, b.rate(only)), append(share, only.Seconds()/second.Seconds())
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	whole.Leat, whole.Bare, whole.Ratio = median(leat), median(bare), median(ratio)
	alone.Leat, alone.Bare, alone.Ratio = median(deliver), median(zip), median(share)
	return nil
}

// rate is MB of input a second.
func (b *bench) rate(d time.Duration) float64 { return float64(b.Size) / 1e6 / d.Seconds() }

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// leat runs the whole pipeline, and then a second one that delivers the same stream again.
func (b *bench) leat(dir string) (whole, alone time.Duration, err error) {
	data, err := datadir.Open(vfs.OS(), filepath.Join(dir, "data"), nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if cerr := data.Close(); err == nil {
			err = cerr
		}
	}()
	feed := fmt.Sprintf("  files: [ { path: %q } ]", b.input)
	if whole, err = b.run(data, pipelineFile("whole", feed, "./identity.wasm", "null", "lines", filepath.Join(dir, "out1"))); err != nil {
		return 0, 0, err
	}
	alone, err = b.run(data, pipelineFile("alone", "  from: trim_horizon", "./identity.wasm", "null", "lines", filepath.Join(dir, "out2")))
	return whole, alone, err
}

// pipelineFile is a pipeline over the stream bench. Relative paths are below the folder of the benchmark.
func pipelineFile(name, source, module, config, format, out string) string {
	return fmt.Sprintf(`version: 1
pipeline: %s
source:
  stream: { name: bench, shards: 4 }
%s
transforms:
  - { name: t, wasm: { module: %q, guard: none }, config: %s, on_error: stop }
sinks:
  - name: out
    file: { dir: %q }
    prefix: "all/!{timestamp:yyyy}/"
    buffer: { size: 64MiB, interval: 900s }
    format: %s
    compression: gzip
    compression_level: 1
`, name, source, module, config, out, format)
}

// run runs a pipeline until it is idle and returns how long that took, from a graph that is ready to the last commit.
func (b *bench) run(data *datadir.Dir, file string) (time.Duration, error) {
	pipelines, err := spec.Parse(filepath.Join(b.work, "bench.yaml"), []byte(file), spec.Options{})
	if err != nil {
		return 0, err
	}
	ready, err := build.Pipeline(b.ctx, pipelines[0], build.Options{Data: data, UntilIdle: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	runner := engine.New(*ready, slog.New(slog.DiscardHandler))
	runtime.GC()
	began := time.Now()
	if err := runner.Run(b.ctx, true); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	s := runner.Stats()[0]
	if s.Pending > 0 || s.Dead > 0 || s.In == 0 || s.Delivered != s.In {
		return 0, fault.New(fault.Permanent, "bench.wrong", "the pipeline did not deliver its input: %+v", s.Counts)
	}
	return took, nil
}

// warm builds and compiles the module, so that no round pays for it.
func (b *bench) warm() error {
	pipelines, err := spec.Parse(filepath.Join(b.work, "bench.yaml"),
		[]byte(pipelineFile("warm", "", "./identity.wasm", "null", "lines", filepath.Join(b.work, "out"))), spec.Options{})
	if err != nil {
		return err
	}
	return build.Probe(b.ctx, pipelines[0], build.Options{})
}
