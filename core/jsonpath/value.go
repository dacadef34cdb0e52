package jsonpath

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// Kind is what a value is.
type Kind uint8

const (
	// Missing is null, or a key or index that is not there.
	Missing Kind = iota
	// Elsewhere means that the path does not fit the data: a key of what is no object, an index into what is no array.
	Elsewhere
	Text
	Number
	Boolean
	Composite // an array or an object
)

// Value is what a path leads to.
type Value struct {
	Kind Kind
	// Raw is the value as it stands in the data, without white space around it; nil if it is not there.
	Raw []byte

	plain bool // Text: ASCII without escapes
}

// Text is the text of a string, which may share memory with the data.
func (v Value) Text() []byte { return unquote(v.Raw, v.plain) }

// Scalar is the text that stands for a value as a key: a string's own, true or false, or the one form of a number. It may share
// memory with the data. ok is false for what has none.
func (v Value) Scalar() (text []byte, ok bool) {
	switch v.Kind {
	case Text:
		return v.Text(), true
	case Number:
		return Canonical(v.Raw), true
	case Boolean:
		return v.Raw, true
	}
	return nil, false
}

// Canonical returns the one form of a JSON number, so that 1, 1.0 and 1e0 are the same key: whole numbers as they are, with all
// their digits however large, -0 as 0; numbers with a fraction or an exponent as the shortest text of the nearest float64.
func Canonical(text []byte) []byte {
	if !bytes.ContainsAny(text, ".eE") {
		if string(text) == "-0" {
			return text[1:]
		}
		return text
	}
	f, _ := strconv.ParseFloat(string(text), 64) // out of range is ±Inf, which AppendFloat limits
	return AppendFloat(nil, f)
}

// AppendFloat writes a number as jq does, but for -0.
func AppendFloat(dst []byte, f float64) []byte {
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
