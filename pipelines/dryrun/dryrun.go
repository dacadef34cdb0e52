// Package dryrun shows what a pipeline would make of records that are there already: which object each would go to, in
// which form, what would be dropped and what would be dead. It delivers nothing and changes nothing: streams are read
// from the files of the data directory as they are, without the lock, also while another leat writes them; no checkpoint
// moves, and sinks are not even opened.
package dryrun

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/view"
)

// Codes of errors.
const (
	CodeNoRecords    = "dryrun.no_records" // there is nothing to read from
	CodeNoCheckpoint = "dryrun.no_checkpoint"
	CodeNoSink       = "dryrun.no_sink"
	CodeInput        = "dryrun.input" // the input cannot be read
)

// Places to start from.
const (
	TrimHorizon = "trim_horizon" // the oldest record
	Latest      = "latest"       // the newest ones, as many as the limit
	Checkpoint  = "checkpoint"   // where the pipeline would go on
)

// Options says what to show.
type Options struct {
	// FS and Data are the data directory, which need not be there.
	FS   vfs.FS
	Data string
	// Input, if not empty, is a file or a pipe that is read in place of the stream, as the pipeline's files are; - is Stdin.
	Input string
	Stdin io.Reader
	// From is one of the places above; empty is TrimHorizon. At, if not zero, takes its place: the first record that arrived then
	// or later.
	From string
	At   time.Time
	// Limit is the most records that are read; 0 is no limit.
	Limit int
	// Sink, if not empty, is the only sink that is looked at.
	Sink string
	// Build opens the transforms.
	Build build.Options
	// See is called with each record; its memory is good until it returns.
	See func(*Record) error
}

// Record is a record and what would become of it.
type Record struct {
	Shard    string       `json:"shard"`
	Position uint64       `json:"position"`
	Arrived  time.Time    `json:"arrived"`
	In       view.Payload `json:"in"`
	// Sinks has one outcome for each sink.
	Sinks []Outcome `json:"sinks"`
}

// Outcome is what would become of a record at one sink.
type Outcome struct {
	Sink    string `json:"sink"`
	Outcome string `json:"outcome"`
	// Stage is where it is dropped or dead, empty if that is the sink. Code and Reason say why it is dead or, in a stage that drops what it
	// fails, why it is dropped.
	Stage  string `json:"stage,omitempty"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Out is what would be delivered.
	Out []Output `json:"out,omitempty"`

	place int // of the stage among those of the pipeline, from 1 on
}

// Values of Outcome.Outcome.
const (
	Delivered = "delivered"
	Dropped   = "dropped"
	Dead      = "dead"
)

// Output is one output, as the sink would get it.
type Output struct {
	// Prefix is what the key of its object begins with; empty also for standard output, where nothing has a key.
	Prefix string `json:"prefix,omitempty"`
	// Record has the data in the sink's format.
	Record *view.Payload `json:"record"`
}

// Summary is what would become of all records.
type Summary struct {
	Pipeline string `json:"pipeline"`
	// Source says where the records are from.
	Source  string `json:"source"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
	// More says that the limit kept others from being read.
	More bool `json:"more"`
	// LongLines are lines of files that are too long to become records.
	LongLines int64         `json:"long_lines,omitempty"`
	Sinks     []SinkSummary `json:"sinks"`
	// Stopped says why the pipeline would not go on from here; empty if it would.
	Stopped string `json:"stopped,omitempty"`
}

// SinkSummary is what would become of all records at one sink, counted in input records.
type SinkSummary struct {
	Sink      string `json:"sink"`
	Delivered int    `json:"delivered"`
	Dropped   int    `json:"dropped"`
	Dead      int    `json:"dead"`
	// Outputs and Bytes are what would be delivered, in the sink's format and before compression.
	Outputs int   `json:"outputs"`
	Bytes   int64 `json:"bytes"`
	// Objects is about how many objects they would make, had they been delivered as they arrived. Prefixes is how many prefixes these
	// have, counted up to 10,000. Standard output has neither.
	Objects  int `json:"objects"`
	Prefixes int `json:"prefixes"`
	// Stages are those in which records end, in their order.
	Stages []StageSummary `json:"stages,omitempty"`
}

// StageSummary is how many records a stage keeps from a sink.
type StageSummary struct {
	Stage   string `json:"stage"`
	Dropped int    `json:"dropped"`
	Dead    int    `json:"dead"`
}

// Batches are as large as the calls of most transforms.
const (
	batchRecords = 500
	batchBytes   = 512 << 10
)

// errEnough ends the reading.
var errEnough = errors.New("that is enough")

// run is one dry run.
type run struct {
	opts    *Options
	spec    *spec.Pipeline
	sinks   []*sink
	summary *Summary
}

// Run reads records, shows what would become of them, and sums it up. The summary is not nil if records could be read; an error with
// it says why not all were.
func Run(ctx context.Context, p *spec.Pipeline, o Options) (_ *Summary, err error) {
	pipeline, err := build.Outline(ctx, p, o.Build)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pipeline.Close(context.WithoutCancel(ctx))) }()
	r := &run{opts: &o, spec: p, summary: &Summary{Pipeline: p.Name}}
	if err := r.open(pipeline); err != nil {
		return nil, err
	}
	err = r.read(ctx)
	if errors.Is(err, errEnough) {
		err = nil
	}
	if fault.CodeOf(err) == stage.CodeStopped {
		r.summary.Stopped = err.Error()
	} else if err != nil && r.summary.Records == 0 {
		return nil, err
	}
	for _, s := range r.sinks {
		s.Stages = slices.DeleteFunc(s.Stages, func(st StageSummary) bool { return st.Dropped+st.Dead == 0 })
		r.summary.Sinks = append(r.summary.Sinks, s.SinkSummary)
		s.final.Release()
	}
	return r.summary, err
}

// open picks the sinks.
func (r *run) open(p *engine.Pipeline) error {
	var names []string
	for i := range p.Deliveries {
		cfg := &p.Deliveries[i]
		names = append(names, cfg.Name)
		if r.opts.Sink == "" || r.opts.Sink == cfg.Name {
			r.sinks = append(r.sinks, newSink(cfg, &r.spec.Sinks[i]))
		}
	}
	if len(r.sinks) == 0 {
		e := fault.New(fault.Permanent, CodeNoSink, "pipeline %s has no sink %q", p.Name, r.opts.Sink)
		e.Hint = spec.Suggest(r.opts.Sink, names)
		return e
	}
	return nil
}

// read takes the records from the input, the stream or the pipeline's files, the first that is there.
func (r *run) read(ctx context.Context) error {
	if r.opts.Input != "" {
		return r.input(ctx)
	}
	found, err := r.stream(ctx)
	if found || err != nil {
		return err
	}
	if r.opts.From == Checkpoint {
		return fault.New(fault.Permanent, CodeNoCheckpoint, "pipeline %s has no checkpoint: %s has no stream %s", r.spec.Name, r.opts.Data, r.spec.Source.Stream.Name).
			WithHint("name the data directory with --data, or leave --from away to read the pipeline's files")
	}
	if len(r.spec.Source.Files) > 0 {
		return r.files(ctx)
	}
	return fault.New(fault.Permanent, CodeNoRecords, "%s has no stream %s, and the pipeline has no files", r.opts.Data, r.spec.Source.Stream.Name).
		At(r.spec.Source.PlaceOf("stream")).WithHint("name the data directory with --data, or a file of records with --input")
}

// room is how many more records may be read now.
func (r *run) room(n int) int {
	if r.opts.Limit == 0 {
		return n
	}
	return min(n, r.opts.Limit-r.summary.Records)
}

// pass sends a batch through the transforms of all sinks. It returns errEnough at the limit.
func (r *run) pass(ctx context.Context, in *record.Batch) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if left := r.room(in.Len()); left < in.Len() {
		r.summary.More = true
		in.Records = in.Records[:left]
	}
	if in.Len() == 0 {
		return errEnough
	}
	for i := range in.Records {
		for _, s := range r.sinks {
			if i > 0 && i < s.final.From+len(s.final.Roots) {
				continue
			}
			if err := s.cfg.Chain.Run(ctx, in, &s.final); err != nil {
				return err
			}
		}
		rec := &in.Records[i]
		r.summary.Records++
		r.summary.Bytes += int64(len(rec.Data))
		shown := Record{
			Shard: rec.Shard.String(), Position: rec.Seq, Arrived: rec.ArrivedAt(), In: view.Payload{Key: rec.Key, Data: rec.Data, Attrs: rec.Attrs},
		}
		for _, s := range r.sinks {
			shown.Sinks = append(shown.Sinks, s.outcome(i, rec))
		}
		if err := r.opts.See(&shown); err != nil {
			return err
		}
	}
	if r.summary.More {
		return errEnough
	}
	return nil
}
