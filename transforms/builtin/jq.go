package builtin

import (
	"context"
	"math"
	"strings"

	"github.com/leatstream/leat/core/query"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// JQ makes what a jq query says of a record.
type JQ struct {
	setting.Node
	Query string `yaml:"query,required" doc:"The query. Each of its results becomes a record; a query without results drops the record."`
	Raw   bool   `yaml:"raw" default:"false" doc:"A result that is text becomes the data as it is, without quotes, as with jq -r."`
	Input string `yaml:"input" default:"json" enum:"json|text" doc:"What the query gets: the data as one JSON value, or as text, as with jq -R."`
}

const (
	// maxOutput is the most bytes that all outputs of one record may have together, in transforms that can make much of little.
	maxOutput = 16 << 20
	// maxOutputs is how many outputs one record may have in such transforms.
	maxOutputs = 100_000
)

// jqVariables are what queries know of a record besides its data.
var jqVariables = []struct {
	name  string
	value func(r *record.Record) any
}{
	{"$_key", func(r *record.Record) any { return r.Key }},
	{"$_attrs", func(r *record.Record) any {
		attrs := make(map[string]any, len(r.Attrs))
		for _, a := range r.Attrs {
			attrs[a.Name] = a.Value
		}
		return attrs
	}},
	{"$_arrived", func(r *record.Record) any { return float64(r.Arrived) / 1e9 }},
	{"$_shard", func(r *record.Record) any { return r.Shard.String() }},
	{"$_seq", func(r *record.Record) any { return int(min(r.Seq, math.MaxInt)) }},
	{"$_sub", func(r *record.Record) any { return int(r.Sub) }},
}

// Open implements Config.
func (c *JQ) Open(context.Context, Env) (stage.Transform, error) {
	j := &jq{raw: c.Raw, text: c.Input == "text"}
	var names []string
	for _, v := range jqVariables {
		if strings.Contains(c.Query, v.name) {
			names, j.values = append(names, v.name), append(j.values, v.value)
		}
	}
	var err error
	if j.code, err = query.Compile(c.Query, names...); err != nil {
		return nil, invalid(&c.Node, "query", "jq.bad_query", "the jq query does not compile: %w", err)
	}
	return eachWith(func() *jqState { return &jqState{guard: query.NewGuard(query.TimeLimit, query.MemoryLimit)} }, j.apply), nil
}

type jq struct {
	code      *query.Code
	values    []func(r *record.Record) any
	raw, text bool
}

type jqState struct {
	guard  *query.Guard
	values []any
}

func (j *jq) apply(s *jqState, r *record.Record, w *writer) {
	var input any
	if j.text {
		input = strings.ToValidUTF8(string(r.Data), "\uFFFD")
	} else {
		var err error
		if input, err = query.Decode(r.Data); err != nil {
			w.fail("jq.not_json", "the record is not one JSON value: %v", err)
			return
		}
	}
	s.values = s.values[:0]
	for _, v := range j.values {
		s.values = append(s.values, v(r))
	}
	n, size := 0, 0
	s.guard.Begin(context.Background())
	err := query.Run(s.guard, j.code, input, func(v any) bool {
		var out []byte
		if text, ok := v.(string); ok && j.raw {
			out = []byte(strings.ToValidUTF8(text, "\uFFFD"))
		} else {
			var err error
			if out, err = s.guard.Marshal(v); err != nil {
				w.fail("jq.failed", "a result: %v", err)
				return false
			}
		}
		if n, size = n+1, size+len(out); n > maxOutputs || size > maxOutput {
			w.fail("jq.too_large", "the query gives more than %d results, or %d MiB", maxOutputs, maxOutput>>20)
			return false
		}
		w.data(r, out)
		return true
	}, s.values...)
	s.guard.End()
	clear(s.values)
	if err != nil {
		w.fail("jq.failed", "%v", err)
	}
}

// Doc implements Config.
func (c *JQ) Doc() Doc {
	return Doc{
		Summary: "Runs a jq query over records.",
		Text: "The language is that of [jq](https://jqlang.github.io/jq/manual/). Objects are written without white space and with their keys sorted; numbers that the query does not calculate with keep their text. " +
			"Besides the data the query has `$_key` (the partition key), `$_attrs`, `$_arrived` (seconds since 1970), `$_shard`, `$_seq` and `$_sub`; it has no environment, files or other inputs. " +
			"A query may take a second a record and may not let memory grow by more than 256 MiB, half as much again for moments. It is some ten times slower than transforms that do one thing: prefer `filter` for `select`.",
		Codes: []Code{
			{"jq.not_json", "The record is not one JSON value."},
			{"jq.failed", "The query failed for the record, or took too long or too much memory."},
			{"jq.too_large", "The results are too many, or too large together."},
		},
		Examples: []Example{
			{
				Title: "Another shape", Config: `{ query: '{ id: .user.id, total: (.items | map(.price * .n) | add) }' }`,
				Input:  []string{`{"user":{"id":12345678901234567890},"items":[{"price":2.5,"n":2},{"price":1,"n":1}]}`},
				Output: []string{`{"id":12345678901234567890,"total":6}`},
			},
			{
				Title: "A record for each element, and the partition key", Config: `{ query: '.events[] | select(.keep) | { name, from: $_key }' }`,
				Input:  []string{`{"events":[{"name":"a","keep":true},{"name":"b"},{"name":"c","keep":true}]}`, `{"events":[]}`, `{}`},
				Output: []string{`{"from":"test","name":"a"}`, `{"from":"test","name":"c"}`}, Dropped: 1, Failed: []string{"jq.failed"},
			},
			{Title: "Text in and out", Config: `{ query: 'split(" ")[0] | ascii_upcase', input: text, raw: true }`, Input: []string{"warn disk"}, Output: []string{"WARN"}},
		},
	}
}
