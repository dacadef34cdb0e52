package observe

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// MeasureAppends returns log, with what is appended counted in m, and its state shown there until it is closed.
func MeasureAppends(log shardlog.Log, m *StreamMetrics) shardlog.Log {
	if m == nil {
		return log
	}
	return measuredAppends{log, m, m.metrics.watchLog(m.stream, log)}
}

type measuredAppends struct {
	shardlog.Log
	metrics *StreamMetrics
	unwatch func()
}

func (l measuredAppends) Close() error {
	l.unwatch()
	return l.Log.Close()
}

func (l measuredAppends) Append(ctx context.Context, runs []shardlog.Run, mark *shardlog.Mark) ([]shardlog.RunResult, error) {
	started := time.Now()
	results, err := l.Log.Append(ctx, runs, mark)
	l.metrics.Appended(time.Since(started), err)
	if err != nil {
		return results, err
	}
	for i := range runs {
		if results[i].Err != nil {
			continue
		}
		bytes := 0
		for j := range runs[i].Entries {
			bytes += len(runs[i].Entries[j].Key) + len(runs[i].Entries[j].Data)
		}
		l.metrics.Incoming(runs[i].Shard, len(runs[i].Entries), int64(bytes))
	}
	return results, nil
}

// MeasureReads returns log, with what is read through it counted in m.
func MeasureReads(log shardlog.Log, m *ReaderMetrics) shardlog.Log {
	if m == nil {
		return log
	}
	return measuredReads{log, m}
}

type measuredReads struct {
	shardlog.Log
	metrics *ReaderMetrics
}

func (l measuredReads) Read(ctx context.Context, shard record.ShardID, from uint64, limit shardlog.ReadLimit, dst *record.Batch) (uint64, error) {
	had, started := len(dst.Records), time.Now()
	next, err := l.Log.Read(ctx, shard, from, limit, dst)
	if err == nil {
		l.metrics.Read(dst.Records[had:], time.Since(started))
	}
	return next, err
}

func (l measuredReads) Scan(from shardlog.Positions) (shardlog.Scanner, error) {
	scan, err := l.Log.Scan(from)
	if err != nil {
		return nil, err
	}
	return measuredScan{scan, l.metrics}, nil
}

type measuredScan struct {
	shardlog.Scanner
	metrics *ReaderMetrics
}

func (s measuredScan) Next(ctx context.Context, limit shardlog.ReadLimit, dst *record.Batch) error {
	had, started := len(dst.Records), time.Now()
	err := s.Scanner.Next(ctx, limit, dst)
	if err == nil {
		s.metrics.Read(dst.Records[had:], time.Since(started))
	}
	return err
}
