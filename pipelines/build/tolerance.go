package build

import (
	"context"

	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/stage"
)

// tolerate has the pipeline's stages watched for failing too many records, and for not working. Stages that are made by no transform of the
// file, such as routes, fail none.
func (b *builder) tolerate(links []stage.Link) {
	for i := range b.spec.Transforms {
		t := &b.spec.Transforms[i]
		links[i].Tolerance = stage.NewTolerance(stage.ToleranceConfig{
			Over: t.Failures.Over, Of: t.Failures.Of, Then: stage.Reaction(t.Failures.Then), Stage: t.Name,
			Logger: b.logger().With("pipeline", b.spec.Name), Degraded: b.opts.Metrics.Transform(b.spec.Name, t.Name).Degraded,
		})
	}
}

// watchStages shows in /healthz which stages fail too many records, or cannot work.
func (b *builder) watchStages() {
	if b.opts.Health == nil {
		return
	}
	for _, l := range b.stages {
		remove := b.opts.Health.Register("stage/"+b.spec.Name+"/"+l.Name, func() error { return observe.Degraded(l.Tolerance.Check()) })
		b.closers = append(b.closers, func(context.Context) error { remove(); return nil })
	}
}
