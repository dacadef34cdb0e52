package builtin

import (
	"bytes"
	"context"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// AppendDelimiter ends records with a delimiter.
type AppendDelimiter struct {
	setting.Node
	Delimiter string `yaml:"delimiter" default:"\n" doc:"What every record ends with afterwards; at most 1 KiB."`
	Always    bool   `yaml:"always" default:"false" doc:"Append it also to a record that ends with it already."`
}

// maxDelimiter bounds a delimiter, in bytes.
const maxDelimiter = 1 << 10

// Open implements Config.
func (c *AppendDelimiter) Open(context.Context, Env) (stage.Transform, error) {
	if n := len(c.Delimiter); n == 0 || n > maxDelimiter {
		return nil, invalid(&c.Node, "delimiter", "append_delimiter.bad_delimiter", "the delimiter has %d bytes; it takes 1 to %d", n, maxDelimiter)
	}
	delimiter := []byte(c.Delimiter)
	return each(func(r *record.Record, w *writer) {
		if !c.Always && bytes.HasSuffix(r.Data, delimiter) {
			w.keep()
			return
		}
		data := w.out.Arena.Alloc(len(r.Data) + len(delimiter))
		copy(data[copy(data, r.Data):], delimiter)
		w.emit(stage.Out{Key: r.Key, Data: data, Attrs: r.Attrs})
	}), nil
}

// Doc implements Config.
func (c *AppendDelimiter) Doc() Doc {
	return Doc{
		Summary: "Ends records with a delimiter, so that a sink with `format: raw` makes readable objects.",
		Text:    "A sink with `format: lines` or `json_lines` ends records with a newline by itself. Firehose calls this AppendDelimiterToRecord.",
		Examples: []Example{
			{Title: "A newline, once", Input: []string{"one", "two\n"}, Output: []string{"one\n", "two\n"}},
			{Title: "Another delimiter", Config: `{ delimiter: "|" }`, Input: []string{"one"}, Output: []string{"one|"}},
		},
	}
}
