package build

import (
	"context"
	"errors"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
)

// Chain opens p's transforms alone. The caller closes the chain.
func Chain(ctx context.Context, p *spec.Pipeline, o Options) (*stage.Chain, error) {
	b := &builder{ctx: ctx, spec: p, opts: o}
	chain, err := b.chain()
	if err != nil {
		return nil, errors.Join(err, b.close(context.WithoutCancel(ctx)))
	}
	return chain, nil
}
