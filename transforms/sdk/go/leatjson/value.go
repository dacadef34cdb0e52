package leatjson

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

// Kind is the type of a value.
type Kind uint8

const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// kinds are the kinds of values by their first byte.
var kinds = func() (k [256]Kind) {
	k['n'], k['t'], k['f'], k['"'], k['['], k['{'], k['-'] = Null, Bool, Bool, String, Array, Object, Number
	for c := '0'; c <= '9'; c++ {
		k[c] = Number
	}
	return k
}()

// Value is a value within a document, checked by the Parse that found it. Its zero value is a missing one. It refers to the
// memory of the Doc and is valid until its next Parse.
type Value struct{ raw []byte }

// Kind returns the value's type.
func (v Value) Kind() Kind {
	if len(v.raw) == 0 {
		return Missing
	}
	return kinds[v.raw[0]]
}

// Raw returns the text of the value as it stands in the document, nil if it is missing.
func (v Value) Raw() []byte { return v.raw }

// Exists reports whether there is a value; null is one.
func (v Value) Exists() bool { return v.raw != nil }

// Text returns the text of a string without quotes and escapes; ok is false if the value is no string. Only a string with escapes or
// invalid UTF-8, which reads as U+FFFD, is copied.
func (v Value) Text() (text []byte, ok bool) {
	if v.Kind() != String {
		return nil, false
	}
	inner := v.raw[1 : len(v.raw)-1]
	if plain(inner) {
		return inner, true
	}
	return appendText(nil, inner), true
}

// AppendText appends the text of a string to dst; ok is false if the value is no string.
func (v Value) AppendText(dst []byte) (text []byte, ok bool) {
	if v.Kind() != String {
		return dst, false
	}
	return appendText(dst, v.raw[1:len(v.raw)-1]), true
}

// Equal reports whether the value is the string s.
func (v Value) Equal(s string) bool {
	if v.Kind() != String {
		return false
	}
	inner := v.raw[1 : len(v.raw)-1]
	if string(inner) == s {
		return plain(inner)
	}
	if len(inner) > 6*len(s) || plain(inner) { // an escape sequence has six bytes for one
		return false
	}
	var short [64]byte
	return string(appendText(short[:0], inner)) == s
}

// Int returns a number without fraction and exponent that fits 64 bits; ok is false for anything else.
func (v Value) Int() (n int64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	digits, negative := v.raw, v.raw[0] == '-'
	if negative {
		digits = digits[1:]
	}
	if len(digits) > 18 {
		n, err := strconv.ParseInt(text(v.raw), 10, 64)
		return n, err == nil
	}
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	if negative {
		n = -n
	}
	return n, true
}

// Float returns a number; ok is false for anything else, and for a number that is too large for a float64.
func (v Value) Float() (f float64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(text(v.raw), 64)
	return f, err == nil
}

// Bool returns true or false; ok is false for anything else.
func (v Value) Bool() (b, ok bool) {
	if v.Kind() != Bool {
		return false, false
	}
	return v.raw[0] == 't', true
}

// text is b as a string, without a copy.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Value returns the value of the field.
func (f Field) Value() Value {
	n := &f.d.nodes[f.n]
	if n.round != f.d.round || n.round == 0 {
		return Value{}
	}
	s := &f.d.spots[f.n]
	return Value{f.d.buf[s.start:s.end:s.end]}
}

// Exists reports whether the field has a value; null is one.
func (f Field) Exists() bool { return f.Value().raw != nil }

// Kind returns the type of the field's value.
func (f Field) Kind() Kind { return f.Value().Kind() }

// Raw returns the text of the field's value as it stands in the document, nil if it is missing.
func (f Field) Raw() []byte { return f.Value().raw }

// Text returns the text of a string; ok is false if the field is none. It is valid until the next Parse.
func (f Field) Text() (text []byte, ok bool) {
	v := f.Value()
	if v.Kind() != String {
		return nil, false
	}
	inner := v.raw[1 : len(v.raw)-1]
	if plain(inner) {
		return inner, true
	}
	from := len(f.d.texts)
	f.d.texts = appendText(f.d.texts, inner)
	return f.d.texts[from:len(f.d.texts):len(f.d.texts)], true
}

// Equal reports whether the field is the string s.
func (f Field) Equal(s string) bool { return f.Value().Equal(s) }

// Int is that of [Value.Int].
func (f Field) Int() (n int64, ok bool) { return f.Value().Int() }

// Float is that of [Value.Float].
func (f Field) Float() (n float64, ok bool) { return f.Value().Float() }

// Bool is that of [Value.Bool].
func (f Field) Bool() (b, ok bool) { return f.Value().Bool() }

// plain reports whether the inside of a string is what it reads as: ASCII without escapes, or valid UTF-8 without.
func plain(inner []byte) bool {
	seen := uint64(0)
	i := 0
	for ; i+8 <= len(inner); i += 8 {
		x := binary.LittleEndian.Uint64(inner[i:])
		y := x ^ slopes
		seen |= x | (y-ones)&^y
	}
	for ; i < len(inner); i++ {
		c := inner[i]
		if c == '\\' {
			c = 0x80
		}
		seen |= uint64(c)
	}
	return seen&highs == 0 || decent(inner)
}
