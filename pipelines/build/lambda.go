package build

import (
	"time"

	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/lambda"
)

// patience is how long records wait inside a stage for a handler that cannot be asked. Then the delivery starts again and reads them
// anew: visible to whoever looks at its state, and at the cost of the buffers that were open. Outages are mostly shorter.
const patience = 10 * time.Minute

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
	if b.opts.Data != nil { // a test, which has no data, fails rather than to wait
		env.Patience = patience
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
