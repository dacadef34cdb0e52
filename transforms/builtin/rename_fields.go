package builtin

import (
	"context"
	"slices"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// RenameFields gives fields of JSON records other names or places.
type RenameFields struct {
	setting.Node
	Fields    setting.Pairs `yaml:"fields,required" items:"1..1000" doc:"A mapping of paths to the paths that the fields get."`
	Overwrite bool          `yaml:"overwrite" default:"true" doc:"Replace a field that has the new name already; otherwise the field keeps its old one."`
	Missing   string        `yaml:"missing" default:"ignore" enum:"ignore|fail" doc:"What happens to a record without one of the fields."`
}

// move is one field that is renamed or moved.
type move struct {
	from, to []string
	// within says that the field only gets another key, in its place.
	within bool
}

// Open implements Config.
func (c *RenameFields) Open(context.Context, Env) (stage.Transform, error) {
	var moves []move
	var targets, sources [][]string
	for _, pair := range c.Fields {
		from, err := keysAt(&c.Node, "fields", "rename_fields.bad_path", pair.Name)
		if err != nil {
			return nil, err.At(pair.Place)
		}
		to, err := keysAt(&c.Node, "fields", "rename_fields.bad_path", pair.Value)
		if err != nil {
			return nil, err.At(pair.Place)
		}
		if err := apart(&c.Node, "fields", "rename_fields.bad_path", from, to); err != nil {
			return nil, err.At(pair.Place)
		}
		within := len(from) == len(to) && slices.Equal(from[:len(from)-1], to[:len(to)-1])
		moves = append(moves, move{from, to, within})
		targets, sources = append(targets, to), append(sources, from)
	}
	for _, paths := range [][][]string{targets, sources} {
		if err := apart(&c.Node, "fields", "rename_fields.bad_path", paths...); err != nil {
			return nil, err
		}
	}
	leavePlaces(moves)
	open := func() *renamer {
		n := &renamer{config: c, moves: moves}
		for _, m := range moves {
			n.from, n.to = append(n.from, n.doc.Field(m.from...)), append(n.to, n.doc.Field(m.to...))
		}
		return n
	}
	return eachWith(open, (*renamer).rename), nil
}

// leavePlaces makes moves of those renames whose place another field comes to from another object: both cannot have it.
func leavePlaces(moves []move) {
	for changed := true; changed; {
		changed = false
		for i := range moves {
			taken := func(m move) bool { return !m.within && slices.Equal(m.to, moves[i].from) }
			if moves[i].within && slices.ContainsFunc(moves, taken) {
				moves[i].within, changed = false, true
			}
		}
	}
}

// renamer is the memory of one goroutine that renames.
type renamer struct {
	config   *RenameFields
	moves    []move
	doc      leatjson.Doc
	from, to []leatjson.Field
}

func (n *renamer) rename(r *record.Record, w *writer) {
	if err := n.doc.Parse(r.Data); err != nil {
		w.fail("rename_fields.not_json", "%v", err)
		return
	}
	for i, from := range n.from {
		switch {
		case !from.Exists() && n.config.Missing == "fail":
			w.fail("rename_fields.missing", "there is no %s", keyPath(n.moves[i].from))
			return
		case n.moves[i].within && n.made(i):
			from.Rename(n.moves[i].to[len(n.moves[i].to)-1])
		case n.made(i):
			from.Delete()
		}
	}
	// Fields come to their places when all have left theirs, so that two can change places.
	for i, to := range n.to {
		if !n.moves[i].within && n.made(i) {
			to.SetValue(n.from[i].Value())
		}
	}
	w.edited(r, &n.doc, "rename_fields.no_object")
}

// made reports whether move i is made.
func (n *renamer) made(i int) bool {
	return n.from[i].Exists() && (n.config.Overwrite || !n.to[i].Exists())
}

// Doc implements Config.
func (c *RenameFields) Doc() Doc {
	return Doc{
		Summary: "Renames fields of JSON records, or moves them into and out of objects.",
		Text: "A field that is renamed within its object keeps its place there; one that moves comes behind the last field of its new object, which is made if it is missing. " +
			"All other bytes of the record stay as they are. Two fields can change places.",
		Codes: []Code{
			{"rename_fields.not_json", "The record is not JSON."},
			{"rename_fields.missing", "With `missing: fail`: the record lacks a field."},
			{"rename_fields.no_object", "What should hold the field is not an object."},
		},
		Examples: []Example{
			{
				Title: "A new name and a new place", Config: "fields:\n  .ts: .timestamp\n  .user_id: .user.id\n",
				Input:  []string{`{"ts": 7, "user_id": "a", "text": "x"}`, `{"text": "x"}`, `{"user_id": 1, "user": "a"}`},
				Output: []string{`{"timestamp": 7, "text": "x","user":{"id":"a"}}`, `{"text": "x"}`}, Failed: []string{"rename_fields.no_object"},
			},
			{
				Title: "Two fields change places", Config: "fields: { .a: .b, .b: .a }\nmissing: fail\n",
				Input: []string{`{"a":1,"b":2}`, `{"a":1}`}, Output: []string{`{"b":1,"a":2}`}, Failed: []string{"rename_fields.missing"},
			},
		},
	}
}
