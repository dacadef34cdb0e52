package builtin

import (
	"strconv"

	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
)

// goValue makes a value of Go of one that a scan has found: nil, bool, int, float64, string, []any or map[string]any. Text shares memory with the
// record. Whole numbers are ints as far as 64 bits hold them.
func goValue(v jsonpath.Value) any {
	switch v.Kind {
	case jsonpath.Text:
		return record.StringOf(v.Text())
	case jsonpath.Number:
		return goNumber(v.Raw)
	case jsonpath.Boolean:
		return v.Raw[0] == 't'
	case jsonpath.Composite:
		v, _, _ := jsonpath.Decode(v.Raw, goNumber) // the scan has checked it
		return v
	}
	return nil
}

// goNumber reads a number of JSON. One beyond float64 is the infinity of its sign.
func goNumber(text []byte) any {
	if n, ok := smallInt(text); ok {
		return n
	}
	s := record.StringOf(text)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return int(n)
	}
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// smallInt reads up to 18 digits.
func smallInt(text []byte) (n int, ok bool) {
	digits := text
	if text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if text[0] == '-' {
		n = -n
	}
	return n, true
}
