package builtin

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
)

// goValue makes a value of Go of one that a scan has found: nil, bool, int, float64, string, []any or map[string]any. Text shares memory with the
// record. Whole numbers are ints as far as 64 bits hold them.
func goValue(v jsonpath.Value) (any, error) {
	switch v.Kind {
	case jsonpath.Text:
		return record.StringOf(v.Text()), nil
	case jsonpath.Number:
		return goNumber(v.Raw), nil
	case jsonpath.Boolean:
		return v.Raw[0] == 't', nil
	case jsonpath.Composite:
		d := json.NewDecoder(bytes.NewReader(v.Raw))
		d.UseNumber()
		var out any
		if err := d.Decode(&out); err != nil {
			return nil, err
		}
		return goNumbers(out), nil
	}
	return nil, nil
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

// goNumbers replaces the numbers in a decoded value, in place.
func goNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return goNumber([]byte(v))
	case []any:
		for i := range v {
			v[i] = goNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = goNumbers(v[k])
		}
	}
	return v
}
