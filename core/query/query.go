// Package query runs jq queries (gojq) over records, one after the other, within bounds: a query that does not end, or that takes too
// much memory, fails the record and nothing else. Queries see no environment, files or other inputs.
package query

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/leatstream/leat/core/jsonpath"
)

const (
	// MaxText is the most bytes of a query.
	MaxText = 16 << 10
	// TimeLimit is how long the queries of one record may take together.
	TimeLimit = time.Second
	// MemoryLimit is how much the heap of the process may grow, in bytes, while the queries of one record run. It is looked at every
	// few milliseconds, and before natives make much: arrays that a query collects may pass it by half for moments.
	MemoryLimit = 256 << 20
	// maxDigits is the longest text of a number, in bytes, that keeps it: to calculate with longer ones takes time that nothing limits.
	maxDigits = 4096
)

// Compile compiles a query. variables are names with a dollar sign, whose values each run gives in this order.
func Compile(text string, variables ...string) (*Code, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("it has %d bytes; at most %d are allowed", len(text), MaxText)
	}
	parsed, err := gojq.Parse(text)
	if bad, ok := errors.AsType[*gojq.ParseError](err); ok {
		return nil, fmt.Errorf("at byte %d: %w", bad.Offset-len(bad.Token), bad)
	}
	if err != nil {
		return nil, err
	}
	if strings.Contains(text, "sub") {
		own, err := gojq.Parse(substitutes)
		if err != nil {
			return nil, err
		}
		parsed.FuncDefs = append(own.FuncDefs, parsed.FuncDefs...)
	}
	plain, err := gojq.Compile(parsed, gojq.WithVariables(variables), withSubstitute)
	if err != nil {
		return nil, err
	}
	return &Code{plain}, nil
}

// Decode reads data as one JSON value for queries: numbers of up to 4096 bytes keep their text. The value may share memory with data.
func Decode(data []byte) (any, error) {
	v, at, ok := jsonpath.Decode(data, number)
	if !ok {
		return nil, fmt.Errorf("byte %d does not belong there", at)
	}
	return v, nil
}

// number is an int where that has the same text, and else the text; the nearest float64 if that is too long.
func number(text []byte) any {
	if len(text) > maxDigits {
		f, _ := strconv.ParseFloat(string(text), 64) // out of range is ±Inf, which gojq writes as the largest
		return f
	}
	const safe = 15 // digits
	digits := text
	if text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) > safe || text[0] == '-' && digits[0] == '0' {
		return json.Number(text)
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return json.Number(text)
		}
		n = n*10 + int(c-'0')
	}
	if text[0] == '-' {
		n = -n
	}
	return n
}

// Run hands the results of a query over input to visit, until it returns false. Errors are about the record: the query's own, of
// at most 300 bytes, because it may quote the data, or that it goes beyond a limit.
func Run(g *Guard, code *Code, input any, visit func(any) bool, values ...any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the query panicked: %v", p)
		}
	}()
	results := g.code(code).RunWithContext(g, input, values...)
	for {
		v, ok := results.Next()
		if !ok {
			return nil
		}
		if err, bad := v.(error); bad {
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil { // halt ends a query, halt_error fails it
				return nil
			}
			if failed, ok := errors.AsType[gojq.ValueError](err); ok { // its text is that of the value
				if err := g.writes(failed.Value(), 0); err != nil {
					return fmt.Errorf("error of a value: %w", err)
				}
			}
			return brief(err)
		}
		if !visit(v) {
			return nil
		}
	}
}

func brief(err error) error {
	text := err.Error()
	if len(text) <= 300 {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:300], "") + "…")
}
