// Package jq gives records their partition keys by jq queries.
//
// A query is compiled once and gets the record's data as one JSON value. Its one result must be a scalar:
//
//   - a string stands for itself;
//   - a number stands in one canonical form, so that 1, 1.0 and 1e0 are the same key: whole numbers as they are, with all
//     their digits however large, -0 as 0; numbers with a fraction or an exponent as the shortest text of the nearest
//     float64 (1e3 is 1000; beyond ±1e308 they are that of the largest);
//   - a boolean is true or false.
//
// Everything else is an error about the record, with a stable code: partition.null, partition.not_scalar (an array or
// object), partition.no_value (no result, or several), partition.not_json, partition.jq_failed, partition.too_long.
//
// Plain paths such as .a, .a.b[0] and ."x y" are looked up by core/jsonpath. Other queries run in gojq, within the
// limits of core/query.
//
// As in encoding/json and gojq, the last of several equal keys of an object wins, and bytes that are not UTF-8 are read as
// U+FFFD.
package jq

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/query"
	"github.com/leatstream/leat/core/record"
)

// MaxValue is the most bytes of a partition value; no prefix takes more than 512.
const MaxValue = 1024

// Query is one partition key: its name and the query that gives its value.
type Query struct{ Name, Text string }

// Partitioner evaluates queries. It is safe for concurrent use.
type Partitioner struct {
	queries []compiled
	paths   *jsonpath.Set // those of all queries that are paths
	limit   time.Duration
	states  sync.Pool // of *state
}

// state is the memory of one evaluation.
type state struct {
	scan  jsonpath.Scan
	guard *query.Guard // nil until a query needs one
}

type compiled struct {
	Query
	path int // its number in the set, -1 if it is none
	code *query.Code
}

// Compile compiles queries; their order is that of the attributes that Eval gives. Errors have the code partition.bad_query
// and name the query.
func Compile(queries []Query) (*Partitioner, error) {
	p := &Partitioner{limit: query.TimeLimit}
	var paths []jsonpath.Path
	for _, q := range queries {
		code, err := query.Compile(q.Text)
		if err != nil {
			return nil, badQuery(q, err)
		}
		at := -1
		if path, err := jsonpath.Parse(strings.TrimSpace(q.Text)); err == nil {
			at, paths = len(paths), append(paths, path)
		}
		p.queries = append(p.queries, compiled{q, at, code})
	}
	p.paths = jsonpath.NewSet(paths...)
	p.states.New = func() any { return new(state) }
	return p, nil
}

func badQuery(q Query, err error) error {
	text := q.Text
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return fault.New(fault.Permanent, "partition.bad_query", "the jq query of partition key %q does not compile: %w (%s)", q.Name, err, text)
}

// Eval sets one attribute of dst for each query, by its name. An attribute that already has the right value is left as it
// is: a caller that keeps dst from record to record saves the allocation of values that repeat. After an error dst holds
// anything.
func (p *Partitioner) Eval(data []byte, dst *record.Attrs) error {
	if len(p.queries) == 0 {
		return nil
	}
	s := p.states.Get().(*state)
	defer func() {
		s.scan.Forget()
		p.states.Put(s)
	}()
	if at, ok := s.scan.Run(p.paths, data); !ok {
		return fault.New(fault.Permanent, "partition.not_json", "the record is not one JSON value: byte %d does not belong there", at)
	}
	var input any // decoded for the first query that is no path
	slow := false
	for i := range p.queries {
		q := &p.queries[i]
		var value []byte
		var err error
		if q.path >= 0 && s.scan.Values[q.path].Kind != jsonpath.Elsewhere {
			value, err = found(s.scan.Values[q.path])
		} else {
			if !slow {
				slow = true
				if input, err = query.Decode(data); err != nil {
					return fail(q, fault.New(fault.Permanent, "partition.not_json", "the record is not one JSON value: %w", err))
				}
				if s.guard == nil {
					s.guard = query.NewGuard(p.limit, query.MemoryLimit)
				}
				s.guard.Begin(context.Background())
				defer s.guard.End()
			}
			value, err = s.scalar(q.code, input)
		}
		if err == nil && len(value) > MaxValue {
			err = fault.New(fault.Permanent, "partition.too_long", "the value has %d bytes; at most %d are allowed", len(value), MaxValue)
		}
		if err != nil {
			return fail(q, err)
		}
		set(dst, q.Name, value)
	}
	return nil
}

func set(dst *record.Attrs, name string, value []byte) {
	for i := range *dst {
		if a := &(*dst)[i]; a.Name == name {
			if a.Value != string(value) {
				a.Value = string(value)
			}
			return
		}
	}
	*dst = append(*dst, record.Attr{Name: name, Value: string(value)})
}

// fail names the query in an error about a record.
func fail(q *compiled, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		f = fault.New(fault.Permanent, "partition.jq_failed", "%w", err)
	}
	text := q.Text
	if len(text) > 100 {
		text = text[:100] + "…"
	}
	return fault.New(fault.Permanent, f.Code, "partition key %q (%s): %w", q.Name, text, f)
}

var (
	errNull      = fault.New(fault.Permanent, "partition.null", "the value is null or missing")
	errNotScalar = fault.New(fault.Permanent, "partition.not_scalar", "the value is an array or an object; want a string, a number or a boolean")
)

// found returns the text of a value that the scanner found. It may share memory with the data.
func found(v jsonpath.Value) ([]byte, error) {
	text, ok := v.Scalar()
	switch {
	case ok:
		return text, nil
	case v.Kind == jsonpath.Missing:
		return nil, errNull
	}
	return nil, errNotScalar
}

// scalar runs a query that must have one result, and returns its text.
func (s *state) scalar(code *query.Code, input any) ([]byte, error) {
	n := 0
	var first any
	err := query.Run(s.guard, code, input, func(v any) bool {
		if n++; n == 1 {
			first = v
		}
		return n == 1
	})
	switch {
	case err != nil && n == 0:
		return nil, fault.New(fault.Permanent, "partition.jq_failed", "%w", err)
	case n == 0:
		return nil, fault.New(fault.Permanent, "partition.no_value", "the query gives no value")
	}
	value, bad := scalarOf(first)
	switch {
	case bad != nil:
		return nil, bad
	case err != nil:
		return nil, fault.New(fault.Permanent, "partition.jq_failed", "%w", err)
	case n > 1:
		return nil, fault.New(fault.Permanent, "partition.no_value", "the query gives more than one value").WithHint("wrap it in first(…)")
	}
	return value, nil
}
