package build

import (
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/lambda"
)

// lambda opens a handler that is written for Firehose.
func (b *builder) lambda(t *spec.Transform, metrics *observe.TransformMetrics, link *stage.Link) error {
	env := lambda.Env{
		Pipeline: b.spec.Name, Stage: t.Name, Logger: b.logger().With("pipeline", b.spec.Name, "stage", t.Name), Dir: b.spec.Dir,
		Count: metrics.Count,
		SequenceNumber: func(r *record.Record) string {
			if b.number == nil {
				return ""
			}
			return b.number(r)
		},
		Owner: b.opts.Owner, Stream: b.spec.Source.Stream.Name,
	}
	if path := t.Lambda.WASI; path != "" {
		var err error
		if env.Module, err = b.module(path, true); err != nil {
			return placed(t.Lambda.PlaceOf("wasi"), err)
		}
	}
	if t.Lambda.URL == "" && b.opts.Progress != nil {
		b.opts.Progress("trying the handler of " + t.Name)
	}
	tr, err := t.Lambda.Open(b.ctx, env)
	if err != nil {
		return err
	}
	b.closers = append(b.closers, tr.Close)
	link.Transform, link.Digest = tr, tr.Digest()
	return nil
}
