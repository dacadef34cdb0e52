package build

import (
	"bytes"
	"context"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
)

// shadows starts what runs beside stages, of which links are.
func (b *builder) shadows(links []stage.Link) error {
	for i := range b.spec.Transforms {
		if t := &b.spec.Transforms[i]; t.Shadow != nil {
			if err := b.shadow(t, &links[i]); err != nil {
				return placed(t.Shadow.Place(), err)
			}
		}
	}
	return nil
}

func (b *builder) shadow(t *spec.Transform, link *stage.Link) error {
	beside := *t.Shadow.Transform
	if beside.Wasm != nil { // it works on one batch at a time
		wasm := *beside.Wasm
		wasm.Pool = 1
		beside.Wasm = &wasm
	}
	second := &builder{ctx: b.ctx, spec: b.spec, opts: b.opts}
	second.opts.Metrics, second.opts.Logger = nil, b.logger().With("shadow", true) // the metrics are those of the stage
	b.closers = append(b.closers, second.close)
	made, err := second.transform(&beside)
	if err != nil {
		return err
	}
	if link.Digest != "" && link.Digest == made.Digest && bytes.Equal(t.Config, beside.Config) {
		b.logger().Info("the stage runs what its shadow would: it is promoted, and can go from the file", "pipeline", b.spec.Name, "stage", t.Name)
		return second.close(b.ctx)
	}
	var kinds []string
	for _, kind := range stage.Differences {
		kinds = append(kinds, string(kind))
	}
	shadow := stage.NewShadow(stage.ShadowConfig{
		Name: t.Name, Transform: made.Transform, Sample: t.Shadow.Sample, Counter: b.opts.Metrics.Shadow(b.spec.Name, t.Name, kinds...),
	})
	b.closers = append(b.closers, func(context.Context) error { shadow.Close(); return nil })
	link.Shadow = shadow
	return nil
}
