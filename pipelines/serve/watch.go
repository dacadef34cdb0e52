package serve

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/follow"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
)

// version is a pipeline as a file has it.
type version struct {
	spec    *spec.Pipeline
	content [sha256.Size]byte // digest of the file
}

// digest is of the file and of what the transforms are made of.
func (v *version) digest() string { return string(v.content[:]) + follow.Set{}.With(v.spec).Digest() }

// sources is what the transforms of a version are made of.
type sources struct {
	set     follow.Set
	watcher follow.Watcher
}

// changed reports, once, that they are others than those that were taken.
func (s *sources) changed() bool { return !s.set.Empty() && s.watcher.Changed(s.set) }

// take makes what a version is made of the present one, and returns its digest. A change that comes after it shows as one later.
func (s *sources) take(v *version) string {
	s.set = follow.Set{}.With(v.spec)
	s.watcher.Take(s.set)
	return v.digest()
}

// prepared is a build.Prepared.
type prepared interface {
	Modules() map[string]string
	Ran() bool
	Ask(ctx context.Context, running *engine.Pipeline) error
	Pipeline(context.Context) (*engine.Pipeline, error)
	Close(context.Context) error
}

func prepare(ctx context.Context, p *spec.Pipeline, o build.Options) (prepared, error) {
	return build.Prepare(ctx, p, o)
}

// test reports which tests of a pipeline fail.
func test(ctx context.Context, p *spec.Pipeline, o build.Options) error {
	results, err := pipetest.Run(ctx, p, o, nil)
	for i := range results {
		err = errors.Join(err, results[i].Err())
	}
	return err
}
