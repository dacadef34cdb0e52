package crashtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

const (
	// childLife ends a child whose parent is gone.
	childLife = time.Minute
	producers = 3
)

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

// work is the child. It returns only on an error, or when nobody killed it.
func work(dir string) error {
	round, bug := os.Getenv(roundEnv), os.Getenv(bugEnv)
	r, err := open(dir, false, slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), childLife)
	defer cancel()
	failed := make(chan error)
	start := func(f func() error) {
		go func() {
			if err := f(); err != nil {
				failed <- err
			}
		}()
	}
	start(func() error { return errors.Join(errors.New("the pipeline ended"), r.runner.Run(ctx, false)) })
	s, err := r.data.Streams.Get(pipelineName)
	if err != nil {
		return err
	}
	start(func() error { return reshard(ctx, s) })
	for p := range producers {
		start(func() error { return produce(ctx, s, fmt.Sprintf("%s/%d", round, p), bug) })
	}
	start(func() error { return r.reportReady() })
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return errors.New("nobody killed this process")
	}
}

var stdout sync.Mutex

// report writes a line to the parent in one write.
func report(format string, args ...any) {
	stdout.Lock()
	defer stdout.Unlock()
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// reportReady tells when every sink's delivery runs and sees records.
func (r *running) reportReady() error {
	for {
		idle := slices.ContainsFunc(r.runner.Stats(), func(s engine.SinkStats) bool { return s.Err != nil || s.In == 0 })
		if !idle {
			report("ready")
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
			report("put %s %d", source, n+perCall)
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
			report("put %s %d", source, n+perCall)
		}
		time.Sleep(rand.N(2 * time.Millisecond))
	}
}

// reshard splits and merges for ever.
func reshard(ctx context.Context, s *stream.Stream) error {
	for {
		time.Sleep(rand.N(100 * time.Millisecond))
		shards, err := s.Shards()
		if err != nil {
			return err
		}
		shards = slices.DeleteFunc(shards, func(sh stream.Shard) bool { return !sh.Closed.IsZero() })
		slices.SortFunc(shards, func(a, b stream.Shard) int { return a.Hash.Start.Compare(b.Hash.Start) })
		i := rand.IntN(len(shards))
		if r := shards[i].Hash; len(shards) < 6 && rand.IntN(2) == 0 && r.End.Hi-r.Start.Hi > 2 {
			_, err = s.Split(ctx, shards[i].ID, stream.HashKey{Hi: r.Start.Hi/2 + r.End.Hi/2})
		} else if i > 0 {
			_, err = s.Merge(ctx, shards[i-1].ID, shards[i].ID)
		} else {
			continue
		}
		if err != nil {
			return err
		}
		report("reshard")
	}
}
