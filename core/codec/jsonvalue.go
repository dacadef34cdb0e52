package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
)

// JSONValue reads one JSON value for a comparison. Numbers become float64, so that 1 and 1.0 are equal, but for whole
// numbers that float64 cannot tell apart from their neighbours: these keep their text.
func JSONValue(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return withNumbers(v), nil
}

// JSONEqual reports whether a and b are the same JSON value, however they are written; false if one of them is no JSON.
func JSONEqual(a, b []byte) bool {
	v, err := JSONValue(a)
	if err != nil {
		return false
	}
	w, err := JSONValue(b)
	return err == nil && reflect.DeepEqual(v, w)
}

func withNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = withNumbers(value)
		}
	case []any:
		for i := range v {
			v[i] = withNumbers(v[i])
		}
	case json.Number:
		const exact = 1 << 53
		f, err := v.Float64()
		if err == nil && (strings.ContainsAny(string(v), ".eE") || f > -exact && f < exact) {
			return f
		}
	}
	return v
}
