package serve

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/follow"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
)

// sources is what the transforms of a file's pipelines are made of.
type sources struct {
	set     follow.Set
	watcher follow.Watcher
	digest  [sha256.Size]byte // of the file and of them, as they were when they were taken
}

// changed reports, once, that they are others than those that were taken.
func (s *sources) changed() bool { return !s.set.Empty() && s.watcher.Changed(s.set) }

// take makes the content of a file and what its pipelines are made of the present one. It reports whether there is anything new.
func (s *sources) take(content []byte, pipelines []*spec.Pipeline) bool {
	s.set = follow.Set{}
	for _, p := range pipelines {
		s.set = s.set.With(p)
	}
	s.watcher.Take(s.set)
	before := s.digest
	s.digest = sha256.Sum256(append([]byte(s.set.Digest()), content...))
	return s.digest != before
}

// try builds and tests pipelines while others run in their place.
func (s *Server) try(ctx context.Context, pipelines []*spec.Pipeline) error {
	var errs []error
	for _, p := range pipelines {
		errs = append(errs, s.opts.check(ctx, p, build.Options{Logger: s.log}))
	}
	return errors.Join(errs...)
}

// good reports what keeps a pipeline from running, or which of its tests fail.
func good(ctx context.Context, p *spec.Pipeline, o build.Options) error {
	if err := build.Probe(ctx, p, o); err != nil {
		return err
	}
	results, err := pipetest.Run(ctx, p, func(ctx context.Context) (*stage.Chain, error) { return build.Chain(ctx, p, o) }, nil)
	for i := range results {
		err = errors.Join(err, results[i].Err())
	}
	return err
}
