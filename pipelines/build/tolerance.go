package build

import (
	"context"
	"strconv"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/stage"
)

// tolerate has the pipeline's stages watched for failing too many records. Stages that are made by no transform of the
// file, such as routes, fail none.
func (b *builder) tolerate(links []stage.Link) error {
	for i := range b.spec.Transforms {
		t := &b.spec.Transforms[i]
		over, err := share(t.Failures.Over)
		if err != nil {
			return fault.New(fault.Permanent, "spec.bad_value", "failures: %w", err).At(t.Failures.PlaceOf("over"))
		}
		links[i].Tolerance = stage.NewTolerance(stage.ToleranceConfig{
			Over: over, Of: t.Failures.Of, Then: stage.Reaction(t.Failures.Then), Stage: t.Name,
			Logger: b.logger().With("pipeline", b.spec.Name), Degraded: b.opts.Metrics.Transform(b.spec.Name, t.Name).Degraded,
		})
	}
	return nil
}

// watchStages shows in /healthz which stages fail too many records.
func (b *builder) watchStages() {
	if b.opts.Health == nil {
		return
	}
	for _, l := range b.stages {
		remove := b.opts.Health.Register("stage/"+b.spec.Name+"/"+l.Name, func() error { return observe.Degraded(l.Tolerance.Check()) })
		b.closers = append(b.closers, func(context.Context) error { remove(); return nil })
	}
}

// share is a share of a percentage as the pipeline file writes it: 0.5% is 0.005.
func share(percent string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
	return v / 100, err
}
