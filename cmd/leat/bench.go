package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/leatstream/leat/core/shardlog/disk/diskbench"
	"github.com/leatstream/leat/pipelines/benchpipe"
	"github.com/leatstream/leat/pipelines/spec"
)

type benchCmd struct {
	Log      benchLogCmd      `cmd:"" help:"Measure the log."`
	Pipeline benchPipelineCmd `cmd:"" help:"Measure whole pipelines and delivery alone."`
	Kinesis  benchKinesisCmd  `cmd:"" help:"Measure a Kinesis Data Streams API."`

	Transforms benchTransformsCmd `cmd:"" help:"Measure transforms in WebAssembly."`

	KinesisBare    benchKinesisBareCmd    `cmd:"" hidden:"" help:"The bare program of bench kinesis."`
	TransformsCold benchTransformsColdCmd `cmd:"" hidden:"" help:"The cold start of bench transforms."`
}

// Help is shown by leat bench --help.
func (benchCmd) Help() string {
	return `Each figure is measured next to a bare program that does the same to the bytes and nothing more, in the same run: take the ratios. Let nothing else run meanwhile.

Example:

  leat bench log --dir /var/lib/leat`
}

// benchFlags are common to all benchmarks.
type benchFlags struct {
	Dir        string `help:"Folder on the disk to measure; what is written there is removed." default:"." placeholder:"DIR"`
	Rounds     int    `help:"How often both sides take turns; the median counts." default:"3"`
	CPUProfile string `name:"cpu-profile" help:"Write a CPU profile of the whole run to this file." placeholder:"FILE"`
	jsonFlag
}

// measure runs work, under the profiler if one is wanted.
func (f *benchFlags) measure(a *app, work func(j *job) error) (err error) {
	if f.CPUProfile != "" {
		file, err := os.Create(f.CPUProfile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	j := a.begin(f.JSON, endsWork)
	defer j.status.Clear()
	if err = work(j); err != nil && j.interrupted() != nil {
		return j.interrupted()
	}
	return err
}

type benchLogCmd struct {
	Only []string      `help:"Measure these figures alone: append-512k, ack-1k, spread-256, tail, read-shard, scan, open-clean, open-killed." placeholder:"NAME"`
	Time spec.Duration `help:"How long each side of a figure runs in a round." default:"2s"`
	Open spec.Bytes    `help:"Also measure how long a log of this size takes to open." default:"0B" placeholder:"SIZE"`
	benchFlags
}

// Help is shown by leat bench log --help.
func (benchLogCmd) Help() string {
	return `Exit codes: 0 measured, 1 failed, 2 wrong use, 130 and 143 stopped by SIGINT and SIGTERM.

Example:

  leat bench log --only append-512k,ack-1k`
}

// Run measures the log.
func (c *benchLogCmd) Run(a *app) error {
	var rows []diskbench.Row
	err := c.measure(a, func(j *job) (err error) {
		rows, err = diskbench.Run(j.ctx, diskbench.Options{
			Dir: c.Dir, Round: c.Time.Std(), Rounds: c.Rounds, OpenBytes: int64(c.Open), Only: c.Only, Progress: j.doing,
		})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(rows)
	}
	w := a.table()
	fmt.Fprintln(w, "FIGURE\tLEAT\tBARE\tUNIT\tRATIO\tP50\tP99")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.4g\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Leat, orDash(r.Bare, "%.4g"), r.Unit, orDash(r.Ratio, "%.2f"),
			timeText(r.P50), timeText(r.P99))
	}
	return w.Flush()
}

func orDash(v float64, format string) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func timeText(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Microsecond).String()
}

type benchPipelineCmd struct {
	Size   spec.Bytes `help:"Size of the input, at least 1MiB." default:"512MiB"`
	Input  string     `help:"A file of lines to use, repeated up to the size, in place of generated log lines." placeholder:"FILE"`
	Module string     `help:"Transform to use, a .wasm file or a folder of Go source, in place of the identity." placeholder:"PATH"`
	Config string     `help:"The transform's config, as JSON." placeholder:"JSON"`
	benchFlags
}

// Help is shown by leat bench pipeline --help.
func (benchPipelineCmd) Help() string {
	return `"whole pipeline": lines of a file go into a stream of 16 shards, through a transform (the identity, guard off), and gzip level 1 into files; the bare program reads the file, appends and fdatasyncs it, compresses on all cores and writes durable objects. "delivery alone": from the filled stream into files; the bare program compresses on all cores, from memory to nowhere.

Needs three times the size on the disk, and Go on PATH for a transform from source.

Exit codes: 0 measured, 1 failed, 2 wrong use, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat bench pipeline --size 1GiB
  leat bench pipeline --input rows.csv --module ./csv2json --config '{"columns":[{"name":"a"}]}'`
}

// Run measures pipelines.
func (c *benchPipelineCmd) Run(a *app) error {
	var results []benchpipe.Result
	err := c.measure(a, func(j *job) (err error) {
		results, err = benchpipe.Run(j.ctx, benchpipe.Options{
			Dir: c.Dir, Size: int64(c.Size), Rounds: c.Rounds, Input: c.Input, Module: c.Module, Config: c.Config, Progress: j.doing,
		})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(results)
	}
	w := a.table()
	fmt.Fprintln(w, "FIGURE\tLEAT\tBARE\tUNIT\tRATIO")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\tMB/s\t%.2f\n", r.Name, r.Leat, r.Bare, r.Ratio)
	}
	return w.Flush()
}
