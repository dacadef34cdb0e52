package kinesis

import (
	"context"

	"github.com/leatstream/leat/core/wire"
)

// streamOperations are the operations on whole streams.
func (a *API) streamOperations(ops map[string]wire.Handler) {
	ops["ListStreams"] = operation(a.listStreams)
}

func (in *ListStreamsInput) validate(v *violations) {
	within(v, "limit", in.Limit, 1, 10_000)
	nextToken.check(v, "nextToken", in.NextToken)
	streamName.check(v, "exclusiveStartStreamName", in.ExclusiveStartStreamName)
}

func (a *API) listStreams(ctx context.Context, in *ListStreamsInput) (*ListStreamsOutput, error) {
	return &ListStreamsOutput{StreamNames: a.cfg.Streams.List()}, nil
}
