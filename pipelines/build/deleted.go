package build

import (
	"context"
	"errors"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

// errDeleted is in the error with which a pipeline ends whose stream is deleted.
var errDeleted = errors.New("the stream was deleted")

// codeDeleted is the code of core/stream's errors for it, which puts meet.
const codeDeleted = "stream.deleted"

// StreamDeleted reports whether a pipeline has ended because its stream was deleted, as clients of the API may do. It can be
// built again once there is a stream of that name; building it before makes one.
func StreamDeleted(err error) bool {
	return errors.Is(err, errDeleted) || fault.CodeOf(err) == codeDeleted
}

// endsWithStream is the log of a stream, whose readers get a permanent error when the stream is deleted: a closed log alone
// may be one that is opened again.
type endsWithStream struct {
	shardlog.Log
	stream *stream.Stream
}

func (l endsWithStream) explain(err error) error {
	if errors.Is(err, shardlog.ErrClosed) && l.stream.Deleted() {
		return fault.New(fault.Permanent, codeDeleted, "stream %s: %w", l.stream.Name(), errDeleted)
	}
	return err
}

func (l endsWithStream) Read(ctx context.Context, shard record.ShardID, from uint64, limit shardlog.ReadLimit, dst *record.Batch) (uint64, error) {
	next, err := l.Log.Read(ctx, shard, from, limit, dst)
	return next, l.explain(err)
}

func (l endsWithStream) Scan(from shardlog.Positions) (shardlog.Scanner, error) {
	scan, err := l.Log.Scan(from)
	if err != nil {
		return nil, l.explain(err)
	}
	return endingScan{scan, l}, nil
}

type endingScan struct {
	shardlog.Scanner
	log endsWithStream
}

func (s endingScan) Next(ctx context.Context, limit shardlog.ReadLimit, dst *record.Batch) error {
	return s.log.explain(s.Scanner.Next(ctx, limit, dst))
}

func (s endingScan) Wait(ctx context.Context) error { return s.log.explain(s.Scanner.Wait(ctx)) }
