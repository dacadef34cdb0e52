package crashtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/killtest"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

const producers = 3

// bugAckEarly makes a child report each put before it makes the one before.
const bugAckEarly = "ack early"

// running is a data directory with its pipeline.
type running struct {
	data     *datadir.Dir
	pipeline *engine.Pipeline
	runner   *engine.Runner
}

// open opens the data directory of a world and builds its pipeline.
func open(dir string, untilIdle bool, log slog.Handler) (*running, error) {
	logger := slog.New(log)
	pipelines, err := spec.Load(pipelineFile(dir), spec.Options{})
	if err != nil {
		return nil, err
	}
	data, err := datadir.Open(vfs.OS(), dataDir(dir), logger)
	if err != nil {
		return nil, err
	}
	p, err := build.Pipeline(context.Background(), pipelines[0], build.Options{Data: data, Logger: logger, UntilIdle: untilIdle})
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	return &running{data, p, engine.New(*p, logger)}, nil
}

// work is the child. It returns only on an error.
func work(c killtest.Child) error {
	r, err := open(c.Dir, false, slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if err != nil {
		return err
	}
	s, err := r.data.Streams.Get(pipelineName)
	if err != nil {
		return err
	}
	all := []func(context.Context) error{
		func(ctx context.Context) error {
			return errors.Join(errors.New("the pipeline ended"), r.runner.Run(ctx, false))
		},
		func(ctx context.Context) error { return killtest.Reshard(ctx, s, 100*time.Millisecond) },
		func(context.Context) error { return r.reportReady() },
	}
	for p := range producers {
		all = append(all, func(ctx context.Context) error { return produce(ctx, s, fmt.Sprintf("%d/%d", c.Round, p), c.Bug) })
	}
	return killtest.Together(all...)
}

// reportReady tells when every sink's delivery runs and sees records.
func (r *running) reportReady() error {
	for {
		idle := slices.ContainsFunc(r.runner.Stats(), func(s engine.SinkStats) bool { return s.Err != nil || s.In == 0 })
		if !idle {
			killtest.Report("ready")
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// produce puts numbered records for ever, each call after the one before was acked and reported.
func produce(ctx context.Context, s *stream.Stream, source, bug string) error {
	var held []stream.Entry // of a call that was acked too early
	for n := 0; ; n += perCall {
		var entries []stream.Entry
		for i := n; i < n+perCall; i++ {
			entries = append(entries, stream.Entry{Key: keyOf(source, i), Data: []byte(lineOf(source, i))})
		}
		if bug == bugAckEarly {
			killtest.Report("put %s %d", source, n+perCall)
			entries, held = held, entries
		}
		results, err := s.Put(ctx, entries)
		if err != nil {
			return err
		}
		for i := range results {
			if results[i].Err != nil {
				return results[i].Err
			}
		}
		if bug != bugAckEarly {
			killtest.Report("put %s %d", source, n+perCall)
		}
		time.Sleep(rand.N(2 * time.Millisecond))
	}
}
