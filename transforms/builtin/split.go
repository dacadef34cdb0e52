package builtin

import (
	"bytes"
	"context"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// Split makes several records of one.
type Split struct {
	setting.Node
	Delimiter  string `yaml:"delimiter" oneof:"at" doc:"Cut the record's data at every such text, which goes away; \\n also takes the carriage return before it. At most 1 KiB."`
	Array      string `yaml:"array" oneof:"at" doc:"Make a record of each element of the array at this path; a lone dot is a record that is an array itself."`
	KeepRecord bool   `yaml:"keep_record" default:"false" doc:"With array: each output is the whole record with one element in place of the array, rather than the element."`
	KeepEmpty  bool   `yaml:"keep_empty" default:"false" doc:"With delimiter: empty parts become records too, but for one after the last delimiter."`
	Max        int    `yaml:"max" default:"10000" range:"1..100000" doc:"A record of more parts fails."`
}

// Open implements Config.
func (c *Split) Open(context.Context, Env) (stage.Transform, error) {
	if c.Array == "" {
		if n := len(c.Delimiter); n == 0 || n > maxDelimiter {
			return nil, invalid(&c.Node, "delimiter", "split.bad_delimiter", "the delimiter has %d bytes; it takes 1 to %d", n, maxDelimiter)
		}
		if c.KeepRecord {
			return nil, invalid(&c.Node, "keep_record", "split.bad_settings", "keep_record is for arrays: a part of a text has no place in the record")
		}
		return each(c.text), nil
	}
	if c.Has("keep_empty") {
		return nil, invalid(&c.Node, "keep_empty", "split.bad_settings", "keep_empty is for delimiters")
	}
	var keys []string
	if c.Array != "." {
		var err *fault.Error
		if keys, err = keysAt(&c.Node, "array", "split.bad_path", c.Array); err != nil {
			return nil, err
		}
	} else if c.KeepRecord {
		return nil, invalid(&c.Node, "keep_record", "split.bad_settings", "the array is the record: there is nothing to keep around its elements")
	}
	open := func() *splitter {
		s := &splitter{config: c}
		s.array = s.doc.Field(keys...)
		return s
	}
	return eachWith(open, (*splitter).elements), nil
}

// text cuts at the delimiter. The parts are the record's own memory.
func (c *Split) text(r *record.Record, w *writer) {
	delimiter, line := []byte(c.Delimiter), c.Delimiter == "\n"
	n := 0
	for rest := r.Data; len(rest) > 0; {
		part, after, _ := bytes.Cut(rest, delimiter)
		rest = after
		if line {
			part = bytes.TrimSuffix(part, []byte{'\r'})
		}
		if len(part) == 0 && !c.KeepEmpty {
			continue
		}
		if n++; n > c.Max {
			w.fail("split.too_many", "the record has more than %d parts", c.Max)
			return
		}
		w.emit(stage.Out{Key: r.Key, Data: part, Attrs: r.Attrs})
	}
}

// splitter is the memory of one goroutine that splits arrays.
type splitter struct {
	config *Split
	doc    leatjson.Doc
	array  leatjson.Field
}

func (s *splitter) elements(r *record.Record, w *writer) {
	if err := s.doc.Parse(r.Data); err != nil {
		w.fail("split.not_json", "%v", err)
		return
	}
	if s.array.Kind() != leatjson.Array {
		w.fail("split.not_an_array", "%s is %v, not an array", s.config.Array, s.array.Kind())
		return
	}
	n := 0
	for element := range s.array.Value().Elements() {
		if n++; n > s.config.Max {
			w.fail("split.too_many", "%s has more than %d elements", s.config.Array, s.config.Max)
			return
		}
		if !s.config.KeepRecord {
			w.data(r, element.Raw())
			continue
		}
		if n > 1 && len(r.Data)*n > max(maxSplit, 2*len(r.Data)) {
			w.fail("split.too_large", "the outputs of %d elements have more than %d bytes together", n, maxSplit)
			return
		}
		s.array.SetValue(element)
		patched, err := s.doc.AppendPatched(reuse(w.scratch))
		if err != nil {
			w.fail("split.not_json", "%v", err)
			return
		}
		w.scratch = patched
		w.data(r, patched)
	}
}

// maxSplit bounds what copies of one record take together, in bytes, unless it is twice the record: their sum grows with the square of its
// size. It is what a module may return.
const maxSplit = 6 << 20

// Doc implements Config.
func (c *Split) Doc() Doc {
	return Doc{
		Summary: "Makes several records of one: its lines, other parts of its text, or the elements of an array.",
		Text: "The outputs keep the order of the parts and the record's partition key. A record without parts, such as an empty array, is dropped. " +
			"If a later stage fails one of the outputs the record is dead as a whole: its dead letter, sent in again, makes each output once.",
		Codes: []Code{
			{"split.too_many", "The record has more than `max` parts."},
			{"split.too_large", "With `keep_record`: the outputs have more than 6 MiB together, and more than twice the record."},
			{"split.not_json", "With `array`: the record is not JSON."},
			{"split.not_an_array", "With `array`: there is none."},
		},
		Examples: []Example{
			{Title: "Lines", Config: `{ delimiter: "\n" }`, Input: []string{"one\r\n\ntwo\n"}, Output: []string{"one", "two"}},
			{
				Title: "Elements of an array", Config: `{ array: .events, max: 3 }`,
				Input:  []string{`{"events":[{"id":1}, "x", 2.0]}`, `{"events":[]}`, `{"events":[1,2,3,4]}`, `{"events":7}`},
				Output: []string{`{"id":1}`, `"x"`, `2.0`}, Dropped: 1, Failed: []string{"split.too_many", "split.not_an_array"},
			},
			{
				Title: "Elements with the record around them", Config: `{ array: .events, keep_record: true }`,
				Input:  []string{`{"host": "a", "events": [{"id":1}, {"id":2}]}`},
				Output: []string{`{"host": "a", "events": {"id":1}}`, `{"host": "a", "events": {"id":2}}`},
			},
		},
	}
}
