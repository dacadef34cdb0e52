package spec

import (
	"reflect"
	"slices"

	"github.com/leatstream/leat/core/setting"
)

// Shadow is a second transform beside a stage. In the file it is
//
//	shadow: ./v2                                    another module, everything else as the stage has it
//	shadow: { module: ./v2, sample: 50% }           the same, on more of the records
//	shadow: { wasm: { module: ./v2 }, config: {} }  any transform, with settings of its own
//
// so that promoting it is to write its module where the stage's is, one line.
type Shadow struct {
	Node
	// Sample is the part of the records that it sees, more than 0.
	Sample Share
	// Module, if not empty, takes the place of the stage's own.
	Module string
	// Transform is what runs. It has the name of the stage; its on_error, failures and shadow are without meaning.
	Transform *Transform
}

// defaultSample is the sample of a shadow that does not say.
const defaultSample = "10%"

// notInShadow are the keys of a transform that are not its shadow's.
var notInShadow = []string{"name", "on_error", "failures", "shadow"}

func (s *Shadow) decode(d *decoder, n *node, f *field) {
	switch n.kind {
	case scalarKind:
		n = &node{kind: mappingKind, place: n.place, entries: []entry{{"module", n.place, n}}}
	case mappingKind:
	default:
		d.wrongType(n, f, "the path of a module or a mapping")
		return
	}
	places := map[string]string{}
	rest := &node{kind: mappingKind, place: n.place}
	sample := &node{kind: scalarKind, text: defaultSample, place: n.place}
	for _, e := range n.entries {
		places[e.key] = e.value.place
		switch {
		case e.key == "sample":
			sample = e.value
		case e.key == "module":
			d.value(e.value, reflect.ValueOf(&s.Module).Elem(), &field{key: "module", required: true, path: "file"})
		case slices.Contains(notInShadow, e.key):
			d.fail(e.value, "spec.unknown_key", "a shadow has no key %q: it is that of its stage", e.key)
		default:
			rest.entries = append(rest.entries, e)
		}
	}
	s.Node = setting.At(n.place, places)
	s.sample(d, sample)
	if n.get("module") != nil {
		for _, e := range rest.entries {
			d.fail(e.value, "spec.exclusive_keys", "a shadow with a module of its own has everything else from its stage, and no %s", e.key).
				Hint = "write wasm: { module: … } to give it settings of its own"
		}
		return
	}
	rest.set("name", n.place, &node{kind: scalarKind, place: n.place, text: "shadow", free: true})
	s.Transform = &Transform{}
	d.value(rest, reflect.ValueOf(s.Transform).Elem(), &field{key: "shadow"})
}

func (s *Shadow) sample(d *decoder, n *node) {
	s.Sample = -1 // where it cannot be read, which is said
	d.value(n, reflect.ValueOf(&s.Sample).Elem(), &field{key: "sample"})
	if s.Sample == 0 {
		d.fail(n, "spec.bad_value", "sample: of no records, a shadow sees nothing; want a part of them, such as 10%%")
	}
}

// shadow makes the transform of a shadow that names a module alone, and gives one that runs a module the stage's config if it has none of its own.
func (c *checker) shadow(t *Transform) {
	s := t.Shadow
	if s == nil {
		return
	}
	if s.Transform == nil {
		if t.Wasm == nil {
			if s.Module != "" {
				c.fail(s.PlaceOf("module"), "spec.bad_value", "shadow names a module, but the stage %q runs none", t.Name).
					Hint = "write what runs beside it as the stage does, such as shadow: { wasm: { module: … } }"
			}
			return
		}
		wasm := *t.Wasm
		wasm.Module = s.Module
		s.Transform = &Transform{Node: s.Node, Wasm: &wasm}
	}
	if s.Transform.Wasm != nil && !s.Transform.Has("config") {
		s.Transform.Config = t.Config
	}
	s.Transform.Name = t.Name
	c.transform(s.Transform)
}

// schemaOfShadow is the schema of what decode takes.
func (g *generator) schemaOfShadow() map[string]any {
	ref := map[string]any{"$ref": "#/$defs/shadow"}
	if _, ok := g.defs["shadow"]; ok {
		return ref
	}
	g.defs["shadow"] = nil // the transform refers to it
	path := map[string]any{"type": "string", "minLength": 1}
	sample := g.value(shareType, nil)
	sample["default"], sample["description"] = defaultSample, "The part of the records that the shadow sees, such as 10% or 0.1."
	full := g.object(reflect.TypeFor[Transform]())
	properties := full["properties"].(map[string]any)
	for _, key := range notInShadow {
		delete(properties, key)
	}
	properties["sample"] = sample
	delete(full, "required")
	for _, group := range full["allOf"].([]any) { // a shadow's sample is not the transform of that name
		one := group.(map[string]any)
		one["oneOf"] = slices.DeleteFunc(one["oneOf"].([]any), func(key any) bool {
			required, _ := key.(map[string]any)["required"].([]string)
			return slices.Equal(required, []string{"sample"})
		})
	}
	short := map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"module"},
		"properties": map[string]any{"module": path, "sample": sample},
	}
	g.defs["shadow"] = map[string]any{"anyOf": []any{path, short, full}}
	return ref
}
