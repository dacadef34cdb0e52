package builtin

import (
	"context"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// RemoveFields takes fields out of JSON records.
type RemoveFields struct {
	setting.Node
	Fields []string `yaml:"fields" oneof:"which" items:"1..1000" doc:"Paths of the fields to remove. One that is missing is no fault."`
	Keep   []string `yaml:"keep" oneof:"which" items:"1..1000" doc:"Paths of the fields to keep: all others are removed."`
}

// Open implements Config.
func (c *RemoveFields) Open(context.Context, Env) (stage.Transform, error) {
	key, list := "fields", c.Fields
	if len(c.Keep) > 0 {
		key, list = "keep", c.Keep
	}
	paths, bad := fieldsAt(&c.Node, key, "remove_fields.bad_path", list)
	if bad != nil {
		return nil, bad
	}
	if len(c.Keep) > 0 {
		return keepOnly(paths), nil
	}
	return eachWith(editing(paths), func(e *editor, r *record.Record, w *writer) {
		if err := e.doc.Parse(r.Data); err != nil {
			w.fail("remove_fields.not_json", "%v", err)
			return
		}
		for _, field := range e.fields {
			field.Delete()
		}
		w.edited(r, &e.doc, "remove_fields.not_json")
	}), nil
}

// keepTree has the keys that are kept of an object; a key without a tree below it is kept with all that it holds.
type keepTree map[string]keepTree

func (t keepTree) add(keys []string) {
	below, there := t[keys[0]]
	switch {
	case len(keys) == 1:
		t[keys[0]] = nil
	case !there:
		below = keepTree{}
		t[keys[0]] = below
		below.add(keys[1:])
	case below != nil:
		below.add(keys[1:])
	}
}

// keepOnly keeps some fields, in the order of the record.
func keepOnly(paths [][]string) stage.Transform {
	tree := keepTree{}
	for _, keys := range paths {
		tree.add(keys)
	}
	return eachWith(editing([][]string{nil}), func(e *editor, r *record.Record, w *writer) {
		root := e.fields[0]
		if err := e.doc.Parse(r.Data); err != nil {
			w.fail("remove_fields.not_json", "%v", err)
			return
		}
		if root.Kind() != leatjson.Object {
			w.fail("remove_fields.not_an_object", "the record is %v, and no field of it can be kept", root.Kind())
			return
		}
		w.scratch = tree.appendKept(reuse(w.scratch), root.Value())
		w.data(r, w.scratch)
	})
}

// appendKept writes an object with what is kept of it.
func (t keepTree) appendKept(dst []byte, object leatjson.Value) []byte {
	dst = append(dst, '{')
	first := true
	for key, value := range object.Members() {
		name, _ := key.Text()
		below, ok := t[string(name)]
		if !ok || below != nil && value.Kind() != leatjson.Object {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, key.Raw()...), ':')
		if below == nil {
			dst = append(dst, value.Raw()...)
		} else {
			dst = below.appendKept(dst, value)
		}
	}
	return append(dst, '}')
}

// Doc implements Config.
func (c *RemoveFields) Doc() Doc {
	return Doc{
		Summary: "Removes fields of JSON records, or all but some.",
		Text: "With `fields` the other bytes of the record stay as they are; a field that is there twice goes twice. With `keep` the record is written " +
			"without white space between what is kept; what is kept stays as it is, in its order. An object of which nothing is kept stays as an empty one.",
		Codes: []Code{
			{"remove_fields.not_json", "The record is not JSON."},
			{"remove_fields.not_an_object", "With `keep`: the record is not an object."},
		},
		Examples: []Example{
			{
				Title: "Remove", Config: `{ fields: [ .debug, .user.password ] }`,
				Input:  []string{`{"id": 1.0, "user": {"name": "a", "password": "b"}, "debug": [1, 2]}`, `{"id": 2}`, `{"id":`},
				Output: []string{`{"id": 1.0, "user": {"name": "a"}}`, `{"id": 2}`}, Failed: []string{"remove_fields.not_json"},
			},
			{
				Title: "Keep", Config: `{ keep: [ .id, .user.name ] }`,
				Input:  []string{`{"id": 1.0, "user": {"name": "a", "password": "b"}, "debug": [1, 2]}`, `[1]`},
				Output: []string{`{"id":1.0,"user":{"name":"a"}}`}, Failed: []string{"remove_fields.not_an_object"},
			},
		},
	}
}
