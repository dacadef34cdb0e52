package pipetest

import (
	"context"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
)

// costly is a transform that says what it has spent.
type costly struct {
	words
	spent uint64
}

func (c costly) Fuel() (spent, bytes uint64) { return c.spent, 100 }

// wrapped hides a transform, as a wrapper that measures it does.
type wrapped struct{ stage.Transform }

func (w wrapped) Unwrap() stage.Transform { return w.Transform }

func TestACeilingOfFuelIsChecked(t *testing.T) {
	const tests = "  - { name: costs, input: [ { json: { part: 1 } } ], max_fuel: [ { stage: words, per_byte: 20 } ] }\n"
	pipelines, err := spec.Parse("p.yaml", []byte(file+tests), spec.Options{})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	closed := 0
	for _, c := range []struct {
		transform stage.Transform
		says      string
	}{
		{costly{words{&closed}, 2000}, ""},
		{wrapped{wrapped{costly{words{&closed}, 2000}}}, ""},
		{costly{words{&closed}, 2100}, "stage words spends 21 units of fuel a byte, more than 20"},
		{wrapped{costly{words{&closed}, 1e9}}, "more than 20"},
		{costly{words{&closed}, 0}, "does not count its work"},
		{words{&closed}, "does not count its work"},
	} {
		results, err := runWith(t.Context(), pipelines[0], func(context.Context) (*stage.Chain, error) {
			return stage.NewChain(stage.Link{Name: "words", Transform: c.transform}), nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = results[0].Err()
		if c.says == "" && err != nil {
			t.Errorf("%+v: %v", c.transform, err)
		}
		if c.says != "" && (len(results[0].Failures) != 1 || fault.CodeOf(results[0].Failures[0]) != CodeFuel || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v", c.transform, err)
		}
	}
}
