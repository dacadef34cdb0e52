package builtin

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// JSONToCSV makes rows of CSV of JSON records.
type JSONToCSV struct {
	setting.Node
	Columns   []string `yaml:"columns,required" items:"1..2000" doc:"Paths of the columns' values, in order; items of arrays may be on them, as in .tags[0]."`
	Required  []string `yaml:"required" items:"0..2000" doc:"Those of the columns without which, or with null in which, a record fails."`
	Delimiter string   `yaml:"delimiter" default:"," doc:"What separates fields: one ASCII character."`
	Quote     string   `yaml:"quote" default:"\"" doc:"What encloses fields that hold delimiters, quotes or line breaks: one ASCII character; empty for none, then such a field fails the record."`
	QuoteAll  bool     `yaml:"quote_all" default:"false" doc:"Enclose every field but null."`
	NullText  string   `yaml:"null_text" doc:"What null and missing values become; it is never in quotes. A text that is the same is in quotes, so that the two can be told apart."`
}

// maxNullText bounds the text for null, in bytes.
const maxNullText = 64

// Open implements Config.
func (c *JSONToCSV) Open(context.Context, Env) (stage.Transform, error) {
	f := &jsonRows{config: c}
	delimiter, bad := csvDelimiter(&c.Node, "json_to_csv.bad_delimiter", c.Delimiter)
	if bad != nil {
		return nil, bad
	}
	f.delimiter = delimiter
	var ok bool
	if f.quote, ok = csvCharacter(c.Quote); !ok || f.quote == f.delimiter {
		return nil, invalid(&c.Node, "quote", "json_to_csv.bad_quote", "the quote %q is not one ASCII character other than the delimiter and a line break", c.Quote)
	}
	if f.quote == 0 && c.QuoteAll {
		return nil, invalid(&c.Node, "quote_all", "json_to_csv.bad_quote", "quote_all needs a quote")
	}
	if len(c.NullText) > maxNullText || strings.ContainsAny(c.NullText, "\r\n"+c.Delimiter+c.Quote) {
		return nil, invalid(&c.Node, "null_text", "json_to_csv.bad_null_text", "null_text has at most %d bytes, and neither delimiters, quotes nor line breaks", maxNullText)
	}
	var paths []jsonpath.Path
	begins := "" // what records begin with that a column can be in
	for _, text := range c.Columns {
		p, err := pathAt(&c.Node, "columns", "json_to_csv.bad_path", text)
		if err != nil {
			return nil, err
		}
		paths = append(paths, p)
		switch {
		case len(p) == 0:
			f.any = true
		case p[0].Item:
			begins += "["
		default:
			begins += "{"
		}
		f.required = append(f.required, slices.Contains(c.Required, text))
	}
	for _, text := range c.Required {
		if !slices.Contains(c.Columns, text) {
			return nil, invalid(&c.Node, "required", "json_to_csv.bad_path", "required: %s is not one of the columns", text)
		}
	}
	set := jsonpath.NewSet(paths...)
	return eachWith(func() *jsonpath.Scan { return new(jsonpath.Scan) }, func(s *jsonpath.Scan, r *record.Record, w *writer) {
		if at, ok := s.Run(set, r.Data); !ok {
			w.fail("json_to_csv.not_json", "the record is not one JSON value: byte %d does not belong there", at)
			return
		}
		if document := bytes.TrimLeft(r.Data, " \t\r\n"); !f.any && strings.IndexByte(begins, document[0]) < 0 {
			w.fail("json_to_csv.not_an_object", "the record is %s: none of the columns can be in it", excerpt(document))
			return
		}
		if w.failed(f.row(s.Values, w)) {
			return
		}
		w.data(r, w.scratch)
	}), nil
}

// jsonRows is a configuration, ready for records.
type jsonRows struct {
	config           *JSONToCSV
	required         []bool // by column
	any              bool   // a column is the record itself, whatever it is
	delimiter, quote byte
}

// row writes a row to w.scratch.
func (f *jsonRows) row(values []jsonpath.Value, w *writer) failure {
	row := reuse(w.scratch)
	for i, v := range values {
		if i > 0 {
			row = append(row, f.delimiter)
		}
		text := v.Raw
		switch v.Kind {
		case jsonpath.Missing, jsonpath.Elsewhere:
			if f.required[i] {
				return failure{"json_to_csv.missing", "there is no " + f.config.Columns[i]}
			}
			row = append(row, f.config.NullText...)
			continue
		case jsonpath.Text:
			text = v.Text()
		}
		switch special := !f.plain(text) || string(text) == f.config.NullText; {
		case !special && !f.config.QuoteAll:
			row = append(row, text...)
		case f.quote != 0:
			row = f.appendQuoted(row, text)
		case len(text) == 0 && f.config.NullText == "":
			// Without quotes an empty text and null are the same.
		default:
			return failure{"json_to_csv.needs_quotes", f.config.Columns[i] + ": " + excerpt(text) + " cannot be written without quotes"}
		}
	}
	w.scratch = row
	return failure{}
}

// plain reports whether a text needs no quotes.
func (f *jsonRows) plain(text []byte) bool {
	for _, c := range text {
		if c == f.delimiter || c == '\n' || c == '\r' || c == f.quote && c != 0 {
			return false
		}
	}
	return true
}

// appendQuoted writes a text in quotes; those in it are doubled.
func (f *jsonRows) appendQuoted(dst, text []byte) []byte {
	dst = append(dst, f.quote)
	for {
		n := bytes.IndexByte(text, f.quote)
		if n < 0 {
			break
		}
		dst = append(append(dst, text[:n+1]...), f.quote)
		text = text[n+1:]
	}
	return append(append(dst, text...), f.quote)
}

// Doc implements Config.
func (c *JSONToCSV) Doc() Doc {
	return Doc{
		Summary: "Makes rows of CSV of JSON records: a column for each of some paths.",
		Text: "Fields are quoted as RFC 4180 says. Numbers keep their text; arrays and objects are written as JSON, as they stand in the record. The row has no line break at its end: a sink with `format: lines` adds it, and " +
			"`append_delimiter` does. An empty text is written as two quotes, so that [csv_to_json](csv_to_json.md) can tell it from null.",
		Codes: []Code{
			{"json_to_csv.not_json", "The record is not JSON."},
			{"json_to_csv.not_an_object", "The record is not an object, nor an array with columns such as `.[0]`: no column can be in it."},
			{"json_to_csv.missing", "A value that is `required` is missing or null."},
			{"json_to_csv.needs_quotes", "With an empty `quote`: a field holds what would have to be in quotes."},
		},
		Examples: []Example{
			{
				Title: "Columns", Config: "columns: [ .id, .user.name, '.tags[0]', .user ]\n",
				Input:  []string{`{"id": 1.50, "user": {"name":"A, \"b\""}, "tags":["x","y"]}`, `{"id": null, "user": {"name":""}}`, `[`, `1`},
				Output: []string{`1.50,"A, ""b""",x,"{""name"":""A, \""b\""""}"`, `,"",,"{""name"":""""}"`},
				Failed: []string{"json_to_csv.not_json", "json_to_csv.not_an_object"},
			},
			{
				Title: "Tab-separated values", Config: "columns: [ .id, .text ]\nrequired: [ .id ]\ndelimiter: \"\\t\"\nquote: \"\"\nnull_text: '\\N'\n",
				Input:  []string{`{"id":"a","text":"b c"}`, `{"id":"a"}`, `{"text":"b"}`, `{"id":"a","text":"b\tc"}`},
				Output: []string{"a\tb c", "a\t\\N"}, Failed: []string{"json_to_csv.missing", "json_to_csv.needs_quotes"},
			},
		},
	}
}
