package jq

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decode reads data as one JSON value whose numbers keep their text.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows the first value")
	}
	return v, nil
}

// scalarOf returns the text of a result of gojq.
func scalarOf(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, errNull
	case error:
		return nil, jqError(v)
	case string:
		return []byte(strings.ToValidUTF8(v, "\uFFFD")), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case *big.Int:
		return v.Append(nil, 10), nil
	case json.Number:
		return canonical([]byte(v)), nil
	case float64:
		if math.IsNaN(v) { // jq's text for it is null
			return nil, errNull
		}
		return appendFloat(nil, v), nil
	default:
		return nil, errNotScalar
	}
}

// canonical returns the one form of a JSON number.
func canonical(text []byte) []byte {
	if !bytes.ContainsAny(text, ".eE") {
		if string(text) == "-0" {
			return text[1:]
		}
		return text
	}
	f, _ := strconv.ParseFloat(string(text), 64) // out of range is ±Inf, which appendFloat limits
	return appendFloat(nil, f)
}

// appendFloat writes a number as jq does, but for -0.
func appendFloat(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	f = min(max(f, -math.MaxFloat64), math.MaxFloat64)
	format := byte('f')
	if x := math.Abs(f); x < 1e-6 || x >= 1e21 {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	if n := len(dst); format == 'e' && n-start >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 is e-9
		dst = dst[:n-1]
	}
	return dst
}

// scalar returns the text of a value that the scanner found. It may point into the data.
func (s *scan) scalar(at span) ([]byte, error) {
	raw := s.data[at.start:at.end]
	switch at.kind {
	case missing:
		return nil, errNull
	case composite:
		return nil, errNotScalar
	case text:
		return unquote(raw, at.plain), nil
	case number:
		return canonical(raw), nil
	default: // true, false
		return raw, nil
	}
}

// unquote returns the text of a string with its quotes. plain says that it is ASCII without escapes.
func unquote(raw []byte, plain bool) []byte {
	inner := raw[1 : len(raw)-1]
	if plain || bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return inner
	}
	var out string
	if err := json.Unmarshal(raw, &out); err != nil { // the scanner has checked it
		return inner
	}
	return []byte(out)
}
