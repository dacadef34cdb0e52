package builtin

import (
	"bytes"
	"context"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// Join puts texts within a record together.
type Join struct {
	setting.Node
	Array     string   `yaml:"array" oneof:"what" doc:"The path of an array of text, numbers and booleans, which become one text. Null elements are left out."`
	Fields    []string `yaml:"fields" oneof:"what" items:"2..1000" doc:"Paths of fields with text, numbers or booleans, which become one text. Missing and null ones are left out."`
	Lines     string   `yaml:"lines" oneof:"what" doc:"The path of a field with text whose lines become one; a lone dot is a record that is text itself. Empty lines are left out."`
	Delimiter string   `yaml:"delimiter" default:" " doc:"What stands between the parts, at most 1 KiB; may be empty."`
	Into      string   `yaml:"into" doc:"The field that the text goes to. Default: in place of the array or the lines; fields need it."`
}

// Open implements Config.
func (c *Join) Open(context.Context, Env) (stage.Transform, error) {
	if len(c.Delimiter) > maxDelimiter {
		return nil, invalid(&c.Node, "delimiter", "join.bad_delimiter", "the delimiter has %d bytes; at most %d are allowed", len(c.Delimiter), maxDelimiter)
	}
	if c.Lines == "." {
		if c.Into != "" {
			return nil, invalid(&c.Node, "into", "join.bad_settings", "the record is text: it has no field %s", c.Into)
		}
		return each(c.record), nil
	}
	key, texts := "fields", c.Fields
	switch {
	case c.Array != "":
		key, texts = "array", []string{c.Array}
	case c.Lines != "":
		key, texts = "lines", []string{c.Lines}
	}
	from, bad := fieldsAt(&c.Node, key, "join.bad_path", texts)
	if bad != nil {
		return nil, bad
	}
	into := from[0]
	if c.Into != "" {
		keys, err := keysAt(&c.Node, "into", "join.bad_path", c.Into)
		if err != nil {
			return nil, err
		}
		into = keys
	} else if key == "fields" {
		return nil, invalid(&c.Node, "fields", "join.bad_settings", "join needs into: the field that the text of several goes to")
	}
	open := func() *joiner {
		j := &joiner{config: c}
		j.from, j.into = fieldsOf(&j.doc, from), j.doc.Field(into...)
		return j
	}
	return eachWith(open, (*joiner).join), nil
}

// record joins the lines of a record that is text.
func (c *Join) record(r *record.Record, w *writer) {
	if bytes.IndexByte(r.Data, '\n') < 0 {
		w.keep()
		return
	}
	w.scratch = c.appendLines(reuse(w.scratch), r.Data)
	w.data(r, w.scratch)
}

// appendLines writes the lines of a text with the delimiter between them.
func (c *Join) appendLines(dst, text []byte) []byte {
	first := true
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) == 0 {
			continue
		}
		if !first {
			dst = append(dst, c.Delimiter...)
		}
		dst, first = append(dst, line...), false
	}
	return dst
}

// joiner is the memory of one goroutine that joins.
type joiner struct {
	config *Join
	doc    leatjson.Doc
	from   []leatjson.Field
	into   leatjson.Field
	text   []byte
	parts  int
}

func (j *joiner) join(r *record.Record, w *writer) {
	if err := j.doc.Parse(r.Data); err != nil {
		w.fail("join.not_json", "%v", err)
		return
	}
	j.text, j.parts = reuse(j.text), 0
	switch first := j.from[0]; {
	case j.config.Lines != "":
		text, ok := first.Text()
		if !ok {
			w.fail("join.not_text", "%s is %v, not text", j.config.Lines, first.Kind())
			return
		}
		j.text = j.config.appendLines(j.text, text)
	case j.config.Array != "":
		if first.Kind() != leatjson.Array {
			w.fail("join.not_an_array", "%s is %v, not an array", j.config.Array, first.Kind())
			return
		}
		for element := range first.Value().Elements() {
			if !j.add(element) {
				w.fail("join.not_scalar", "an element of %s is %v; only text, numbers and booleans can be joined", j.config.Array, element.Kind())
				return
			}
		}
	default:
		for i, field := range j.from {
			if !j.add(field.Value()) {
				w.fail("join.not_scalar", "%s is %v; only text, numbers and booleans can be joined", j.config.Fields[i], field.Kind())
				return
			}
		}
	}
	j.into.SetText(j.text)
	w.edited(r, &j.doc, "join.no_object")
}

// add appends a part; ok is false if it is none.
func (j *joiner) add(v leatjson.Value) (ok bool) {
	kind := v.Kind()
	switch kind {
	case leatjson.Missing, leatjson.Null:
		return true
	case leatjson.Array, leatjson.Object:
		return false
	}
	if j.parts++; j.parts > 1 {
		j.text = append(j.text, j.config.Delimiter...)
	}
	if kind == leatjson.String {
		j.text, ok = v.AppendText(j.text)
		return ok
	}
	j.text = append(j.text, v.Raw()...)
	return true
}

// Doc implements Config.
func (c *Join) Doc() Doc {
	return Doc{
		Summary: "Joins texts within a record: elements of an array, several fields, or lines.",
		Text: "It does not join several records into one. Every output of a transform has one input: that is how leat knows, after a crash, a dead letter or a replay, which records are delivered. " +
			"One output of many inputs could be delivered twice or in part. Sinks put records together in objects; programs that send lines of one event apart are best joined where they run.",
		Codes: []Code{
			{"join.not_json", "The record is not JSON."},
			{"join.not_an_array", "With `array`: there is none."},
			{"join.not_text", "With `lines`: the field is missing, or is not text."},
			{"join.not_scalar", "A part is an array or an object."},
			{"join.no_object", "What should hold the field `into` is not an object."},
		},
		Examples: []Example{
			{
				Title: "Elements", Config: `{ array: .tags, delimiter: ", " }`,
				Input:  []string{`{"tags": ["a", "\u00e9", 1.0, null], "n": 1}`, `{"tags": []}`, `{"tags": [["a"]]}`, `{"tags": "a"}`},
				Output: []string{`{"tags": "a, é, 1.0", "n": 1}`, `{"tags": ""}`}, Failed: []string{"join.not_scalar", "join.not_an_array"},
			},
			{
				Title: "Fields", Config: `{ fields: [ .name.first, .name.last, .year ], into: .label }`,
				Input: []string{`{"name":{"first":"Ada","last":"L."},"year":1815}`, `{"name":{"last":"L."}}`}, Output: []string{`{"name":{"first":"Ada","last":"L."},"year":1815,"label":"Ada L. 1815"}`, `{"name":{"last":"L."},"label":"L."}`},
			},
			{Title: "Lines of a record that is text", Config: `{ lines: ., delimiter: " | " }`, Input: []string{"Error: no\n  at a\r\n\n  at b\n", "one"}, Output: []string{"Error: no |   at a |   at b", "one"}},
		},
	}
}
