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
// Plain paths such as .a, .a.b[0] and ."x y" are looked up by core/jsonpath. Other queries run in gojq, for at most [TimeLimit] a record. They see no environment, files or other
// inputs. gojq has no memory limit: a query that multiplies text or lists by numbers from the data can use much.
//
// As in encoding/json and gojq, the last of several equal keys of an object wins, and bytes that are not UTF-8 are read as
// U+FFFD.
package jq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/itchyny/gojq"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
)

const (
	// TimeLimit is how long all queries of one record may take together.
	TimeLimit = time.Second
	// MaxValue is the most bytes of a partition value; no prefix takes more than 512.
	MaxValue = 1024
	// MaxQuery is the most bytes of a query.
	MaxQuery = 16 << 10
)

// Query is one partition key: its name and the query that gives its value.
type Query struct{ Name, Text string }

// Partitioner evaluates queries. It is safe for concurrent use.
type Partitioner struct {
	queries []query
	paths   *jsonpath.Set // those of all queries that are paths
	limit   time.Duration
	scans   sync.Pool
}

type query struct {
	Query
	path int // its number in the set, -1 if it is none
	code *gojq.Code
}

// Compile compiles queries; their order is that of the attributes that Eval gives. Errors have the code partition.bad_query
// and name the query.
func Compile(queries []Query) (*Partitioner, error) {
	p := &Partitioner{limit: TimeLimit}
	var paths []jsonpath.Path
	for _, q := range queries {
		if len(q.Text) > MaxQuery {
			return nil, badQuery(q, fmt.Errorf("it has %d bytes; at most %d are allowed", len(q.Text), MaxQuery))
		}
		parsed, err := gojq.Parse(q.Text)
		if err != nil {
			return nil, badQuery(q, err)
		}
		code, err := gojq.Compile(parsed)
		if err != nil {
			return nil, badQuery(q, err)
		}
		at := -1
		if path, err := jsonpath.Parse(strings.TrimSpace(q.Text)); err == nil {
			at, paths = len(paths), append(paths, path)
		}
		p.queries = append(p.queries, query{q, at, code})
	}
	p.paths = jsonpath.NewSet(paths...)
	p.scans.New = func() any { return new(jsonpath.Scan) }
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
	s := p.scans.Get().(*jsonpath.Scan)
	defer func() {
		s.Forget()
		p.scans.Put(s)
	}()
	if at, ok := s.Run(p.paths, data); !ok {
		return fault.New(fault.Permanent, "partition.not_json", "the record is not one JSON value: byte %d does not belong there", at)
	}
	var slow *evaluation
	defer func() {
		if slow != nil {
			slow.cancel()
		}
	}()
	for i := range p.queries {
		q := &p.queries[i]
		var value []byte
		var err error
		if q.path >= 0 && s.Values[q.path].Kind != jsonpath.Elsewhere {
			value, err = found(s.Values[q.path])
		} else {
			if slow == nil {
				if slow, err = newEvaluation(data, p.limit); err != nil {
					return fail(q, err)
				}
			}
			value, err = slow.scalar(q.code)
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
func fail(q *query, err error) error {
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

// evaluation runs queries over the decoded data of one record.
type evaluation struct {
	input  any
	ctx    context.Context
	cancel context.CancelFunc
}

func newEvaluation(data []byte, limit time.Duration) (*evaluation, error) {
	input, err := decode(data)
	if err != nil {
		return nil, fault.New(fault.Permanent, "partition.not_json", "the record is not one JSON value: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	return &evaluation{input, ctx, cancel}, nil
}

func (e *evaluation) scalar(code *gojq.Code) (value []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Permanent, "partition.jq_failed", "the query panicked: %v", p)
		}
	}()
	results := code.RunWithContext(e.ctx, e.input)
	v, ok := results.Next()
	if !ok {
		return nil, fault.New(fault.Permanent, "partition.no_value", "the query gives no value")
	}
	if value, err = scalarOf(v); err != nil {
		return nil, err
	}
	if next, more := results.Next(); more {
		if err, bad := next.(error); bad {
			return nil, jqError(err)
		}
		return nil, fault.New(fault.Permanent, "partition.no_value", "the query gives more than one value").WithHint("wrap it in first(…)")
	}
	return value, nil
}

func jqError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Permanent, "partition.jq_failed", "the query takes longer than %v", TimeLimit)
	}
	text := err.Error() // may quote the data
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return fault.New(fault.Permanent, "partition.jq_failed", "%s", text)
}
