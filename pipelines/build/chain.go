package build

import (
	"context"
	"errors"
	"slices"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/builtin"
)

// Chain opens p's transforms alone. The caller closes the chain.
func Chain(ctx context.Context, p *spec.Pipeline, o Options) (*stage.Chain, error) {
	b := &builder{ctx: ctx, spec: p, opts: o}
	links, err := b.links()
	if err != nil {
		return nil, errors.Join(err, b.close(context.WithoutCancel(ctx)))
	}
	return stage.NewChain(links...), nil
}

// links opens the transforms. Its error is that of every stage that cannot be opened.
func (b *builder) links() ([]stage.Link, error) {
	var links []stage.Link
	var errs []error
	for i := range b.spec.Transforms {
		t := &b.spec.Transforms[i]
		link, err := b.transform(t)
		if err = placed(t.Place(), err); err != nil {
			errs = append(errs, err)
		}
		if b.ctx.Err() != nil {
			return nil, errors.Join(append(errs, context.Cause(b.ctx))...)
		}
		links = append(links, link)
	}
	if len(errs) == 1 { // without the wrapping, for what takes errors apart by their type
		return nil, errs[0]
	}
	return links, errors.Join(errs...)
}

// chainOf returns the chain of a sink. Sinks share the transforms, but for those that keep state: each sink reads the stream by
// itself, so that they would see every record once for each sink.
func (b *builder) chainOf(sink int, links []stage.Link) (*stage.Chain, error) {
	s := &b.spec.Sinks[sink]
	if len(s.Routes) > 0 {
		links = append(slices.Clip(links), stage.Link{Name: "routes", Transform: builtin.OnlyRoutes(s.Routes)})
	}
	chain := stage.NewChain(links...)
	if sink == 0 {
		return chain, nil
	}
	var own []stage.Link
	for i := range b.spec.Transforms {
		t := &b.spec.Transforms[i]
		if _, c := t.Builtin(); c != nil && builtin.IsPerSink(c) {
			link, err := b.transform(t)
			if err != nil {
				return nil, placed(t.Place(), err)
			}
			link.Tolerance = links[i].Tolerance
			own = append(own, link)
		}
	}
	return chain.Share(own...), nil
}
