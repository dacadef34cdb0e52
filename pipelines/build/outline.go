package build

import (
	"context"
	"errors"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/pipelines/spec"
)

// Outline opens what decides which of p's records go where, and in which form: transforms, layouts and formats. Its
// deliveries have no sinks, no stream and no state, so that nothing can be delivered or changed. The caller closes it.
func Outline(ctx context.Context, p *spec.Pipeline, o Options) (*engine.Pipeline, error) {
	b := &builder{ctx: ctx, spec: p, opts: o}
	out := &engine.Pipeline{Name: p.Name, Close: b.close}
	err := func() error {
		links, err := b.links()
		if err != nil {
			return err
		}
		for i := range p.Sinks {
			cfg, err := b.form(&p.Sinks[i])
			if err != nil {
				return err
			}
			if cfg.Chain, err = b.chainOf(i, links); err != nil {
				return err
			}
			out.Deliveries = append(out.Deliveries, cfg)
		}
		return nil
	}()
	if err != nil {
		return nil, errors.Join(err, b.close(context.WithoutCancel(ctx)))
	}
	return out, nil
}
