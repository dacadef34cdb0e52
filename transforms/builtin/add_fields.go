package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// AddFields gives fields of JSON records values.
type AddFields struct {
	setting.Node
	Fields    setting.Value `yaml:"fields" doc:"A mapping of paths to the values that they get: any JSON."`
	Metadata  setting.Pairs `yaml:"metadata" items:"0..100" doc:"A mapping of paths to what is known about the record: partition_key, sequence_number (as decimal text), sub_sequence_number, shard_id, arrived (RFC 3339), arrived_ms (milliseconds since 1970), pipeline, stage, or attribute:NAME."`
	Overwrite bool          `yaml:"overwrite" default:"true" doc:"Replace what is there already; otherwise only missing fields are added. Null counts as there."`
}

// maxFields bounds the fields that one stage changes.
const maxFields = 1000

// addition is one field and its value.
type addition struct {
	keys  []string
	value leatjson.Value
	// meta sets a value that each record has of its own, if it has it.
	meta func(f leatjson.Field, r *record.Record)
}

// Open implements Config.
func (c *AddFields) Open(_ context.Context, env Env) (stage.Transform, error) {
	all, err := c.constants()
	if err != nil {
		return nil, err
	}
	for _, pair := range c.Metadata {
		keys, err := keysAt(&c.Node, "metadata", "add_fields.bad_path", pair.Name)
		if err != nil {
			return nil, err.At(pair.Place)
		}
		meta, ok := metadata(pair.Value, env)
		if !ok {
			return nil, invalid(&c.Node, "metadata", "add_fields.bad_metadata", "metadata: there is no %q", pair.Value).At(pair.Place).
				WithHint("write partition_key, sequence_number, sub_sequence_number, shard_id, arrived, arrived_ms, pipeline, stage or attribute:NAME")
		}
		all = append(all, addition{keys: keys, meta: meta})
	}
	var paths [][]string
	for _, a := range all {
		paths = append(paths, a.keys)
	}
	if len(all) == 0 {
		return nil, invalid(&c.Node, "fields", "add_fields.no_fields", "add_fields needs fields or metadata")
	}
	if err := apart(&c.Node, "fields", "add_fields.bad_path", paths...); err != nil {
		return nil, err
	}
	return eachWith(editing(paths), func(e *editor, r *record.Record, w *writer) {
		if err := e.doc.Parse(r.Data); err != nil {
			w.fail("add_fields.not_json", "%v", err)
			return
		}
		for i := range all {
			a, field := &all[i], e.fields[i]
			if !c.Overwrite && field.Exists() {
				continue
			}
			if a.meta != nil {
				a.meta(field, r)
			} else {
				field.SetValue(a.value)
			}
		}
		w.edited(r, &e.doc, "add_fields.no_object")
	}), nil
}

// constants reads the mapping of paths to values, whose order is that of the file.
func (c *AddFields) constants() ([]addition, error) {
	if len(c.Fields) == 0 {
		return nil, nil
	}
	var all []addition
	d := json.NewDecoder(bytes.NewReader(c.Fields))
	d.UseNumber()
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, invalid(&c.Node, "fields", "add_fields.bad_fields", "fields is not a mapping of paths to values")
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, invalid(&c.Node, "fields", "add_fields.bad_fields", "fields: %w", err)
		}
		keys, bad := keysAt(&c.Node, "fields", "add_fields.bad_path", token.(string))
		if bad != nil {
			return nil, bad
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, invalid(&c.Node, "fields", "add_fields.bad_fields", "fields: %w", err)
		}
		value, err := leatjson.Get(raw)
		if err != nil {
			return nil, invalid(&c.Node, "fields", "add_fields.bad_fields", "fields: %w", err)
		}
		if all = append(all, addition{keys: keys, value: value}); len(all) > maxFields {
			return nil, invalid(&c.Node, "fields", "add_fields.bad_fields", "fields has more than %d items", maxFields)
		}
	}
	return all, nil
}

// metadata returns what sets a field to a piece of metadata.
func metadata(name string, env Env) (set func(f leatjson.Field, r *record.Record), ok bool) {
	if attr, ok := strings.CutPrefix(name, "attribute:"); ok && attr != "" {
		return func(f leatjson.Field, r *record.Record) {
			if value, ok := r.Attrs.Get(attr); ok {
				f.SetString(value)
			}
		}, true
	}
	switch name {
	case "partition_key":
		set = func(f leatjson.Field, r *record.Record) { f.SetString(r.Key) }
	case "sequence_number": // as text: it may have more digits than a float64 holds
		set = func(f leatjson.Field, r *record.Record) {
			var digits [20]byte
			f.SetText(strconv.AppendUint(digits[:0], r.Seq, 10))
		}
	case "sub_sequence_number":
		set = func(f leatjson.Field, r *record.Record) { f.SetInt(int64(r.Sub)) }
	case "shard_id":
		set = func(f leatjson.Field, r *record.Record) { f.SetString(r.Shard.String()) }
	case "arrived":
		set = func(f leatjson.Field, r *record.Record) {
			var text [len(time.RFC3339Nano)]byte
			f.SetText(r.ArrivedAt().AppendFormat(text[:0], time.RFC3339Nano))
		}
	case "arrived_ms":
		set = func(f leatjson.Field, r *record.Record) { f.SetInt(r.ArrivedAt().UnixMilli()) }
	case "pipeline":
		set = func(f leatjson.Field, _ *record.Record) { f.SetString(env.Pipeline) }
	case "stage":
		set = func(f leatjson.Field, _ *record.Record) { f.SetString(env.Stage) }
	}
	return set, set != nil
}

// Doc implements Config.
func (c *AddFields) Doc() Doc {
	return Doc{
		Summary: "Adds fields to JSON records: constants, and what is known about the record.",
		Text: "A missing field comes behind the last one of its object, and missing objects on the way to it are made. The sequence number is the record's position in its shard. " +
			"An attribute that a record does not have adds nothing.",
		Codes: []Code{
			{"add_fields.not_json", "The record is not JSON."},
			{"add_fields.no_object", "What should hold the field is not an object."},
		},
		Examples: []Example{
			{
				Title: "Constants and metadata", Config: "fields:\n  .env: prod\n  .source.tags: [ web, eu ]\nmetadata:\n  .source.key: partition_key\n  .source.arrived: arrived\n",
				Input: []string{`{"id": 1}`, `{"id": 2, "source": {"name": "a"}, "env": "test"}`, `{"id": 3, "source": "a"}`},
				Output: []string{
					`{"id": 1,"env":"prod","source":{"tags":["web","eu"],"key":"test","arrived":"2000-01-01T00:00:00Z"}}`,
					`{"id": 2, "source": {"name": "a","tags":["web","eu"],"key":"test","arrived":"2000-01-01T00:00:00Z"}, "env": "prod"}`,
				},
				Failed: []string{"add_fields.no_object"},
			},
			{
				Title: "A default for a field that may be missing", Config: "fields: { .level: info }\noverwrite: false\n",
				Input:  []string{`{"level":"warn"}`, `{"text":"x"}`, `plain text`},
				Output: []string{`{"level":"warn"}`, `{"text":"x","level":"info"}`},
				Failed: []string{"add_fields.not_json"},
			},
		},
	}
}
