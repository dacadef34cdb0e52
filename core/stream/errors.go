package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// explain turns an error of the log into one for users. doing says what was being done, as in "put records".
func (s *Stream) explain(err error, doing string) error {
	switch {
	case errors.Is(err, shardlog.ErrClosed) && s.deleted.Load():
		return fault.New(fault.Permanent, "stream.deleted", "%s: stream %s was deleted: %w", doing, s.name, err)
	case errors.Is(err, shardlog.ErrClosed):
		return fault.New(fault.Unavailable, "stream.closed", "%s: stream %s is closed: %w", doing, s.name, err)
	}
	return explainLog(err, fmt.Sprintf("%s: stream %s", doing, s.name))
}

// explainLog gives an error of a log a class and a code, unless it has them.
func explainLog(err error, doing string) error {
	var known *fault.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &known):
		return fault.New(known.Class, known.Code, "%s: %w", doing, err)
	case errors.Is(err, shardlog.ErrCorrupt):
		return fault.New(fault.Permanent, "stream.corrupt", "%s: %w", doing, err)
	default:
		return fault.New(fault.Retryable, "stream.io", "%s: %w", doing, err)
	}
}

// check fails once the stream is deleted or closed.
func (s *Stream) check(doing string) error {
	if s.deleted.Load() || s.closed.Load() {
		return s.explain(shardlog.ErrClosed, doing)
	}
	return nil
}

func (s *Stream) errNoShard(id record.ShardID) error {
	return fault.New(fault.Permanent, "stream.no_shard", "%v in stream %s does not exist", id, s.name)
}

func errThroughput(name string, id record.ShardID, l WriteLimit) error {
	return fault.New(fault.Throttled, "stream.throughput_exceeded",
		"%v of stream %s is over its write limit of %d bytes and %d records per second", id, name, l.BytesPerSecond, l.RecordsPerSecond).
		WithHint("put it again later, spread the partition keys, or split the shard")
}
