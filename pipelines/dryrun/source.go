package dryrun

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/feeder"
)

// stream reads the pipeline's stream from the data directory, if it is there.
func (r *run) stream(ctx context.Context) (found bool, err error) {
	fsys, name := r.opts.FS, r.spec.Source.Stream.Name
	if _, err := fsys.Stat(filepath.Join(r.opts.Data, "VERSION")); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	store, err := state.OpenReadOnly(fsys, filepath.Join(r.opts.Data, "state"))
	if err != nil {
		return false, err
	}
	incarnation, ok, err := stream.Lookup(store, name)
	if !ok || err != nil {
		return false, err
	}
	log, err := disk.OpenReadOnly(fsys, filepath.Join(r.opts.Data, "streams", incarnation.String()))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	from, err := r.positions(ctx, store, log, incarnation.String())
	if err != nil {
		return false, err
	}
	scan, err := log.Scan(from)
	if err != nil {
		return false, err
	}
	defer scan.Close()
	r.summary.Source = "stream " + name + " in " + r.opts.Data
	batch := record.NewBatch()
	defer batch.Release()
	for {
		batch.Reset()
		limit := shardlog.ReadLimit{Records: max(1, r.room(batchRecords)), Bytes: batchBytes}
		if err := scan.Next(ctx, limit, batch); err != nil {
			return true, err
		}
		if batch.Len() == 0 { // the end, as it was when the log was opened
			return true, nil
		}
		if err := r.pass(ctx, batch); err != nil {
			return true, err
		}
	}
}

// positions is where reading starts. A shard that is missing starts at its trim horizon.
func (r *run) positions(ctx context.Context, store *state.Store, log shardlog.Log, incarnation string) (shardlog.Positions, error) {
	shards := log.Shards()
	from := shardlog.Positions{}
	switch {
	case !r.opts.At.IsZero():
		for _, s := range shards {
			at, err := log.SeekTime(ctx, s.ID, r.opts.At)
			if err != nil {
				return nil, err
			}
			from[s.ID] = at
		}
	case r.opts.From == Latest && r.opts.Limit > 0:
		newest(from, shards, uint64(r.opts.Limit))
	case r.opts.From == Checkpoint:
		return r.checkpoint(store, log, incarnation)
	}
	return from, nil
}

// newest makes from the place of the last n records: of each shard about as many.
func newest(from shardlog.Positions, shards []shardlog.ShardState, n uint64) {
	have := map[record.ShardID]uint64{} // not taken yet
	for _, s := range shards {
		have[s.ID], from[s.ID] = s.Next-s.TrimHorizon, s.Next
	}
	for n > 0 && len(have) > 0 {
		share := max(1, n/uint64(len(have)))
		for id, left := range have {
			take := min(share, left, n)
			from[id] -= take
			n -= take
			if have[id] = left - take; left == take {
				delete(have, id)
			}
		}
	}
}

// checkpoint is where the slowest of the sinks would go on.
func (r *run) checkpoint(store *state.Store, log shardlog.Log, incarnation string) (shardlog.Positions, error) {
	from := shardlog.Positions{}
	for _, s := range r.sinks {
		id := delivery.ID{Pipeline: r.spec.Name, Sink: s.Sink, Incarnation: incarnation}
		report, err := delivery.Audit(store, id, log.Shards(), r.opts.FS, "")
		if err != nil {
			return nil, err
		}
		if report.Stream == "" {
			return nil, fault.New(fault.Permanent, CodeNoCheckpoint, "sink %s of pipeline %s has no checkpoint: it has not run yet", s.Sink, r.spec.Name).
				WithHint("start --from trim_horizon")
		}
		for _, s := range report.Shards {
			if at, ok := from[s.Shard]; !ok || s.Checkpoint < at {
				from[s.Shard] = s.Checkpoint
			}
		}
	}
	return from, nil
}

// input reads a file, a pipe or standard input as the first of the pipeline's files is read.
func (r *run) input(ctx context.Context) error {
	cfg, err := build.Feeder(r.spec)
	if err != nil {
		return err
	}
	if len(cfg.Inputs) == 0 { // whatever a stream may be told to take; the path is not looked at
		cfg.MaxRecord = stream.MaxRecordSize
		cfg.Inputs = []feeder.Input{{Paths: []string{"/"}, MaxLine: feeder.MaxMaxLine, Key: feeder.Key{Constant: feeder.Keyless}}}
	}
	cfg.Inputs = cfg.Inputs[:1]
	name, in := "standard input", r.opts.Stdin
	if r.opts.Input != "-" {
		f, err := os.Open(r.opts.Input)
		if err != nil {
			return fault.New(fault.Permanent, CodeInput, "open the input: %w", err)
		}
		defer f.Close()
		name, in = r.opts.Input, f
	}
	r.summary.Source = name
	return r.feed(ctx, cfg, func(ctx context.Context, f *feeder.Feeder) error { return f.Read(ctx, name, in) })
}

// files reads the pipeline's files as its feeder would, but for their order: one after the other.
func (r *run) files(ctx context.Context) error {
	cfg, err := build.Feeder(r.spec)
	if err != nil {
		return err
	}
	cfg.UntilIdle, cfg.Parallel, cfg.Settle = true, 1, time.Millisecond
	r.summary.Source = "files of the pipeline: there is no stream " + r.spec.Source.Stream.Name + " in " + r.opts.Data
	return r.feed(ctx, cfg, func(ctx context.Context, f *feeder.Feeder) error { return f.Run(ctx) })
}

// feed passes on what a feeder reads.
func (r *run) feed(ctx context.Context, cfg feeder.Config, read func(context.Context, *feeder.Feeder) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	logger := cmp.Or(r.opts.Build.Logger, slog.New(slog.DiscardHandler))
	f, err := feeder.New(cfg, &fed{run: r, stop: stop}, logger)
	if err != nil {
		return err
	}
	err = read(ctx, f)
	r.summary.LongLines = f.Stats().LongLines
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// fed is a stream that keeps nothing: what the feeder puts into it passes the pipeline at once.
type fed struct {
	run  *run
	stop context.CancelCauseFunc
	next uint64
}

// PutMarked implements feeder.Stream.
func (f *fed) PutMarked(ctx context.Context, entries []stream.Entry, _ *shardlog.Mark) ([]stream.PutResult, error) {
	results := make([]stream.PutResult, len(entries))
	batch := record.NewBatch()
	defer batch.Release()
	for len(entries) > 0 {
		batch.Reset()
		now := time.Now().UnixNano()
		n := 0
		for n < len(entries) && n < batchRecords && (n == 0 || batch.Size() < batchBytes) {
			f.next++
			batch.Records = append(batch.Records, record.Record{Seq: f.next, Arrived: now, Key: entries[n].Key, Data: entries[n].Data})
			n++
		}
		entries = entries[n:]
		if err := f.run.pass(ctx, batch); err != nil {
			f.stop(err) // or the feeder would try again
			return results, err
		}
	}
	if f.run.opts.Input != "" && f.run.room(1) == 0 { // what a pipe may have one day is not waited for
		f.stop(errEnough)
	}
	return results, nil
}

// Mark implements feeder.Stream.
func (f *fed) Mark(string) (shardlog.Mark, bool) { return shardlog.Mark{}, false }
