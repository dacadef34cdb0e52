package workbench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/benchpipe"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/wasm"
)

// BenchOptions say how to measure a transform.
type BenchOptions struct {
	// Transform is a folder of source or a .wasm file.
	Transform string
	// Input is a file whose lines are the records; empty takes the inputs of the transform's tests.
	Input string
	// Config is the config as JSON; empty takes that of the first test, if the input is that of the tests, else none.
	Config string
	// Guard is how calls are kept from running for ever; empty is that of pipelines.
	Guard wasm.Guard
	// Time is how long each side runs, in turns.
	Time time.Duration
	// Progress is told what goes on; nil: nobody is.
	Progress func(what string)
}

// Figures are what records cost on one side.
type Figures struct {
	NanosPerRecord float64 `json:"ns_per_record"`
	MBPerSecond    float64 `json:"mb_per_s"` // of input
	// FuelPerRecord and FuelPerByte count the work in units of about one instruction; 0 under another guard than metered. They are the
	// same on every machine. The bytes are those of the frames: data, keys and 48 bytes for each record.
	FuelPerRecord float64 `json:"fuel_per_record"`
	FuelPerByte   float64 `json:"fuel_per_byte"`
}

// Report is what a transform costs.
type Report struct {
	Records      int     `json:"records"`          // in the input, which is run again and again
	RecordBytes  float64 `json:"bytes_per_record"` // of data
	Transform    Figures `json:"transform"`
	Identity     Figures `json:"identity"` // a module that keeps every record
	Ratio        float64 `json:"ratio"`    // of the times: transform to identity
	OutPerRecord float64 `json:"out_per_record"`
	// Dropped and Failed are parts of the input.
	Dropped float64 `json:"dropped"`
	Failed  float64 `json:"failed"`
	// FirstFailure is the code and reason of the first record that failed.
	FirstFailure string `json:"first_failure,omitempty"`
	// Memory is what an instance has after the first batch, in bytes, and Growth what it got more after that.
	Memory int64 `json:"memory_bytes"`
	Growth int64 `json:"memory_growth_bytes"`
	// Allocations is how many objects the transform allocated for each record; null if the module does not tell. Those that leat builds do.
	Allocations *float64 `json:"allocations_per_record"`
	// Runs is how often the input went through the transform.
	Runs int `json:"runs"`
}

// side is one of the modules that take turns.
type side struct {
	module *wasm.Module
	nanos  []float64 // a record, of each turn
	runs   int       // of the input
	// fuel and bytes are what the module had spent and got before.
	fuel, bytes uint64
}

// turn is how long a side runs at a time. Turns are short, so that both sides have the same disturbances.
const turn = 20 * time.Millisecond

// Bench measures a transform next to the identity, in turns and in the same run: take the ratio, and the fuel.
func Bench(ctx context.Context, o BenchOptions) (_ *Report, err error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	in, err := o.records()
	if err != nil {
		return nil, err
	}
	defer in.Release()
	path, err := moduleOf(ctx, o.Transform, o.Progress)
	if err != nil {
		return nil, err
	}
	o.Progress("measuring")
	sides := make([]*side, 2)
	for i, c := range []wasm.Config{{Path: path, Name: o.Transform, Config: json.RawMessage(o.Config)}, {Bytes: benchpipe.Identity, Name: "the identity"}} {
		c.Guard, c.Instances, c.Pipeline, c.Stage = o.Guard, 1, "bench", "bench"
		m, err := wasm.Open(ctx, c)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, m.Close(context.WithoutCancel(ctx))) }()
		sides[i] = &side{module: m}
	}
	r := &Report{Records: in.Len()}
	size := 0
	for i := range in.Records {
		size += len(in.Records[i].Data)
	}
	r.RecordBytes = float64(size) / float64(in.Len())
	if err := r.look(ctx, sides[0].module, in); err != nil {
		return nil, err
	}
	sides[0].fuel, sides[0].bytes = sides[0].module.Fuel()
	out := new(stage.Output)
	for end := time.Now().Add(2 * o.Time); time.Now().Before(end) || len(sides[1].nanos) == 0; {
		for _, s := range sides {
			if err := s.run(ctx, in, out); err != nil {
				return nil, err
			}
		}
	}
	r.Transform, r.Identity = sides[0].figures(r), sides[1].figures(r)
	r.Ratio = r.Transform.NanosPerRecord / r.Identity.NanosPerRecord
	r.Growth, r.Runs = sides[0].module.Footprint()-r.Memory, sides[0].runs
	return r, r.allocations(ctx, sides[0].module, in)
}

// look runs the input once and notes what becomes of it.
func (r *Report) look(ctx context.Context, m *wasm.Module, in *record.Batch) error {
	chain := stage.NewChain(stage.Link{Name: "bench", Transform: open{m}})
	var f stage.Final
	defer f.Release()
	outs, dropped, failed, n := 0, 0, 0, float64(in.Len())
	for done := false; !done; done = f.Left() == 0 {
		if err := chain.Run(ctx, in, &f); err != nil {
			return err
		}
		for _, root := range f.Roots {
			outs += root.N
			switch {
			case root.Fail != nil:
				if failed++; r.FirstFailure == "" {
					r.FirstFailure = root.Fail.Code + ": " + root.Fail.Reason
				}
			case root.N == 0:
				dropped++
			}
		}
	}
	r.OutPerRecord, r.Dropped, r.Failed = float64(outs)/n, float64(dropped)/n, float64(failed)/n
	r.Memory = m.Footprint()
	return nil
}

// allocations runs the input once more and counts what the module allocates for it.
func (r *Report) allocations(ctx context.Context, m *wasm.Module, in *record.Batch) error {
	before, ok, err := m.Allocations(ctx)
	if err != nil || !ok {
		return err
	}
	out := new(stage.Output)
	out.Reset()
	if err := m.Apply(ctx, in, out); err != nil {
		return err
	}
	after, _, err := m.Allocations(ctx)
	if after >= before { // else another instance took over
		each := float64(after-before) / float64(in.Len())
		r.Allocations = &each
	}
	return err
}

// open is a module that its chain does not close.
type open struct{ *wasm.Module }

func (open) Close(context.Context) error { return nil }

func (s *side) run(ctx context.Context, in *record.Batch, out *stage.Output) error {
	began, n := time.Now(), 0
	for n == 0 || time.Since(began) < turn {
		out.Reset()
		if err := s.module.Apply(ctx, in, out); err != nil {
			return err
		}
		n++
	}
	s.runs += n
	s.nanos = append(s.nanos, float64(time.Since(began).Nanoseconds())/float64(n*in.Len()))
	return nil
}

// figures are those of the median turn.
func (s *side) figures(r *Report) Figures {
	slices.Sort(s.nanos)
	f := Figures{NanosPerRecord: s.nanos[len(s.nanos)/2]}
	f.MBPerSecond = r.RecordBytes / f.NanosPerRecord * 1e3
	if fuel, bytes := s.module.Fuel(); bytes > s.bytes {
		f.FuelPerRecord = float64(fuel-s.fuel) / float64(s.runs*r.Records)
		f.FuelPerByte = float64(fuel-s.fuel) / float64(bytes-s.bytes)
	}
	return f
}

// maxInput bounds what is read of the input, in bytes: far more than the records that are taken of it.
const maxInput = 64 << 20

// records are those of the input, as many as fill eight calls.
func (o *BenchOptions) records() (*record.Batch, error) {
	var from []record.Record
	if o.Input != "" {
		f, err := os.Open(o.Input)
		if err != nil {
			return nil, fault.New(fault.Permanent, CodeInput, "%w", err)
		}
		raw, err := io.ReadAll(io.LimitReader(f, maxInput))
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fault.New(fault.Permanent, CodeInput, "%w", err)
		}
		for line := range bytes.Lines(raw) {
			from = append(from, record.Record{Key: "bench", Data: bytes.TrimRight(line, "\r\n")})
		}
	} else {
		files, err := tablesOf(o.Transform)
		if fault.CodeOf(err) == CodeNoTests {
			return nil, fault.New(fault.Permanent, CodeInput, "there are no records to measure %s with", o.Transform).
				WithHint("give a file of lines by --input, or write tests for the transform: their inputs are taken")
		}
		if err != nil {
			return nil, err
		}
		if from, err = o.inputs(files); err != nil {
			return nil, err
		}
	}
	if len(from) == 0 {
		return nil, fault.New(fault.Permanent, CodeInput, "%s is empty", o.Input)
	}
	in := record.NewBatch()
	for n := 0; n < max(len(from), wasm.MaxBatchRecords) && in.Size() < 8*wasm.MaxBatchBytes; n++ {
		r := from[n%len(from)]
		r.Seq = uint64(n) + 1
		in.Add(r)
	}
	return in, nil
}

// inputs are those of the tests, and sets the config unless there is one.
func (o *BenchOptions) inputs(tables []string) ([]record.Record, error) {
	var from []record.Record
	for _, file := range tables {
		tests, err := spec.LoadTable(file, nameOf(o.Transform), o.Transform, spec.Options{})
		if err != nil {
			return nil, err
		}
		for _, p := range tests {
			if config := p.Transforms[0].Config; o.Config == "" && len(config) > 0 {
				o.Config = string(config)
			}
			t := &p.Tests[0]
			for i := range t.Input {
				r := record.Record{Key: "bench", Data: t.Input[i].Bytes()}
				if key := t.Input[i].Key; key != nil {
					r.Key = *key
				}
				from = append(from, r)
			}
		}
	}
	return from, nil
}
