package builtin

import (
	"bytes"
	"context"
	"slices"

	"github.com/leatstream/leat/core/codec/kpl"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// Deaggregate takes records apart that a producer has put together.
type Deaggregate struct {
	setting.Node
	Format    string `yaml:"format" default:"kpl" enum:"kpl|json|delimited" doc:"How records are put together: kpl, by the Kinesis Producer Library; json, as JSON values one after the other; delimited, with a delimiter between them."`
	Delimiter string `yaml:"delimiter" default:"\n" doc:"What stands between records, at most 1 KiB. With format: delimited."`
}

// hashKeyAttribute is the attribute with which the members of an aggregated record keep their explicit hash keys.
const hashKeyAttribute = "explicit_hash_key"

// Open implements Config.
func (c *Deaggregate) Open(context.Context, Env) (stage.Transform, error) {
	if c.Has("delimiter") && c.Format != "delimited" {
		return nil, invalid(&c.Node, "delimiter", "deaggregate.bad_delimiter", "delimiter has no meaning with format: %s", c.Format)
	}
	switch c.Format {
	case "kpl":
		return eachWith(func() *[]kpl.Record { return new([]kpl.Record) }, membersOf), nil
	case "json":
		return each(valuesOf), nil
	}
	if n := len(c.Delimiter); n == 0 || n > maxDelimiter {
		return nil, invalid(&c.Node, "delimiter", "deaggregate.bad_delimiter", "the delimiter has %d bytes; it takes 1 to %d", n, maxDelimiter)
	}
	delimiter := []byte(c.Delimiter)
	return each(func(r *record.Record, w *writer) { piecesOf(delimiter, r, w) }), nil
}

// membersOf writes the members of a record of the Kinesis Producer Library. As for its consumers, a record that is none is one by itself.
func membersOf(members *[]kpl.Record, r *record.Record, w *writer) {
	all, ok := kpl.Decode((*members)[:0], r.Data)
	defer func() {
		clear(all)
		*members = all[:0]
	}()
	switch {
	case !ok:
		w.keep()
		return
	case len(all) > maxOutputs:
		w.tooMany()
		return
	}
	for i := range all {
		m := &all[i]
		out := stage.Out{Key: m.Key, Data: m.Data, Attrs: r.Attrs}
		if m.ExplicitHashKey != "" {
			out.Attrs = slices.Clone(r.Attrs)
			out.Attrs.Set(hashKeyAttribute, m.ExplicitHashKey)
		}
		w.emit(out)
	}
}

// valuesOf writes the JSON values that stand one after the other in a record, with white space between them or without.
func valuesOf(r *record.Record, w *writer) {
	rest, n := r.Data, 0
	for {
		start, end, ok := jsonpath.First(rest)
		switch {
		case !ok && start == len(rest) && start == end && len(bytes.TrimLeft(rest, " \t\r\n")) == 0:
			if n == 0 {
				w.drop()
			}
			return
		case !ok:
			w.fail("deaggregate.not_json", "value %d of the record is not JSON: byte %d does not belong there", n+1, len(r.Data)-len(rest)+start)
			return
		}
		if n++; n > maxOutputs {
			w.tooMany()
			return
		}
		w.emit(stage.Out{Key: r.Key, Data: rest[start:end:end], Attrs: r.Attrs})
		rest = rest[end:]
	}
}

// piecesOf writes what stands between delimiters, but nothing for nothing.
func piecesOf(delimiter []byte, r *record.Record, w *writer) {
	n := 0
	for piece := range bytes.SplitSeq(r.Data, delimiter) {
		if len(piece) == 0 {
			continue
		}
		if n++; n > maxOutputs {
			w.tooMany()
			return
		}
		w.emit(stage.Out{Key: r.Key, Data: piece[:len(piece):len(piece)], Attrs: r.Attrs})
	}
}

func (w *writer) tooMany() {
	w.fail("deaggregate.too_many", "the record holds more than %d", maxOutputs)
}

// Doc implements Config.
func (c *Deaggregate) Doc() Doc {
	return Doc{
		Summary: "Takes records apart that a producer has put together into one.",
		Text: "Members of a record of the Kinesis Producer Library get their own partition keys and, as the attribute `" + hashKeyAttribute + "`, their explicit hash keys; " +
			"a record that is no such one goes on as it is, as in the library for consumers. With `format: json` and `delimited` records keep the partition key, white space between JSON values and empty pieces are no records, " +
			"and what is left of a record without any is dropped. Members are numbered (`sub`) in their order, from 0. " +
			"If a later stage fails one of them the record is dead as a whole: its dead letter, sent in again, makes each member once.",
		Codes: []Code{
			{"deaggregate.not_json", "With `format: json`: the record is not JSON values one after the other."},
			{"deaggregate.too_many", "The record holds more than 100,000."},
		},
		Examples: []Example{
			{
				Title: "Two records of the Kinesis Producer Library, and one that is not", Config: `{ format: kpl }`, Base64: true,
				Input:  []string{"84mawgoBYQoBYhIBNxoHCAAaA29uZRoJCAEQABoDdHdvJMY/wOTDq+5fvrgE8N3JCQ==", "cGxhaW4="},
				Output: []string{"b25l", "dHdv", "cGxhaW4="}, Key: []string{"a", "b", "test"},
			},
			{
				Title: "JSON without delimiters", Config: `{ format: json }`,
				Input:  []string{`{"a":1}{"a":2} {"a":3}`, `{"a":1}{"a":`},
				Output: []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}, Failed: []string{"deaggregate.not_json"},
			},
			{Title: "Lines", Config: `{ format: delimited }`, Input: []string{"one\ntwo\n"}, Output: []string{"one", "two"}},
		},
	}
}
