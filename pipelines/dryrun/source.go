package dryrun

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/pipelines/feeder"
	"github.com/leatstream/leat/pipelines/spec"
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

// input reads a file as the first of the pipeline's files would be read.
func (r *run) input(ctx context.Context) error {
	like := spec.FileSource{MaxLine: stream.MinRecordSize}
	if files := r.spec.Source.Files; len(files) > 0 {
		like = files[0]
	}
	if r.opts.Input == "-" {
		return r.lines(ctx, r.opts.Stdin, &like)
	}
	like.Path = r.opts.Input
	return r.files(ctx, []spec.FileSource{like})
}

// lines reads standard input.
func (r *run) lines(ctx context.Context, in io.Reader, like *spec.FileSource) error {
	r.summary.Source = "standard input"
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 0, 64<<10), int(like.MaxLine)+1)
	feed := fed{run: r}
	for skip := like.SkipLines; scan.Scan(); {
		if skip > 0 {
			skip--
			continue
		}
		entry := stream.Entry{Key: "stdin", Data: scan.Bytes()}
		if _, err := feed.PutMarked(ctx, []stream.Entry{entry}, nil); err != nil {
			return err
		}
	}
	if err := scan.Err(); err != nil {
		return fault.New(fault.Permanent, CodeInput, "read standard input: %w", err)
	}
	return nil
}

// files reads files as the pipeline's feeder would, but for their order: one after the other.
func (r *run) files(ctx context.Context, sources []spec.FileSource) error {
	cfg := feeder.Config{Name: r.spec.Name, UntilIdle: true, Parallel: 1, Settle: time.Millisecond}
	for i := range sources {
		f := &sources[i]
		path, err := filepath.Abs(f.Path)
		if err != nil {
			return err
		}
		cfg.Inputs = append(cfg.Inputs, feeder.Input{
			Paths: []string{path}, SkipLines: f.SkipLines, MaxLine: int(f.MaxLine),
			Key: feeder.Key{CSVColumn: f.Key.CSVColumn, JSON: f.Key.JSON, Constant: f.Key.Constant},
		})
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f, err := feeder.New(cfg, &fed{run: r, stop: stop}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if r.opts.Input != "" {
		r.summary.Source = r.opts.Input
	} else {
		r.summary.Source = "files of the pipeline: there is no stream " + r.spec.Source.Stream.Name + " in " + r.opts.Data
	}
	err = f.Run(ctx)
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
			if f.stop != nil {
				f.stop(err)
			}
			return results, err
		}
	}
	return results, nil
}

// Mark implements feeder.Stream.
func (f *fed) Mark(string) (shardlog.Mark, bool) { return shardlog.Mark{}, false }
