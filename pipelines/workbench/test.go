package workbench

import (
	"context"
	"errors"

	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
)

// Test runs the tests of a transform whose names match returns true for, each on instances of its own under the limits that pipelines have by
// default; a nil match runs all. done is called after each. The error says that nothing could be run: the folder does not build, or a
// table is wrong, in which case it is a [*spec.Errors].
func Test(ctx context.Context, transform string, o build.Options, match func(name string) bool, done func(*pipetest.Result)) error {
	files, err := tablesOf(transform)
	if err != nil {
		return err
	}
	name := nameOf(transform)
	var tests []*spec.Pipeline
	for _, file := range files {
		ps, wrong := spec.LoadTable(file, name, transform, spec.Options{})
		tests, err = append(tests, ps...), errors.Join(err, wrong)
	}
	if err != nil {
		return err
	}
	module, err := moduleOf(ctx, transform, o.Progress) // once, and not once for each test
	if err != nil {
		return err
	}
	o.Modules = map[string]string{transform: module}
	for _, p := range tests {
		results, err := pipetest.Run(ctx, p, o, match)
		if err != nil {
			return err
		}
		for i := range results {
			done(&results[i])
		}
	}
	return nil
}
