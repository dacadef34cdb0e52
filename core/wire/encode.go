package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/segmentio/asm/base64"
)

// Append appends out, nil, an [Appender], or a pointer to a struct with json tags, as a body. Lists and maps that are nil
// and not omitted are empty ones. The keys of maps are in order.
func Append(f Format, dst []byte, out any) []byte {
	if a, ok := out.(Appender); ok {
		return a.AppendWire(f, dst)
	}
	v := reflect.ValueOf(out)
	if v.Kind() == reflect.Pointer && v.IsNil() || !v.IsValid() {
		return dst
	}
	return appendValue(f, dst, reflect.Indirect(v))
}

func appendValue(f Format, dst []byte, v reflect.Value) []byte {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return appendWord(f, dst, "null", 0xf6)
		}
		v = v.Elem()
	}
	if v.Type() == timestampType {
		t := v.Interface().(Timestamp)
		if f == CBOR {
			return t.AppendCBOR(dst)
		}
		return t.AppendJSON(dst)
	}
	switch v.Kind() {
	case reflect.String:
		return AppendText(f, dst, v.String())
	case reflect.Bool:
		if v.Bool() {
			return appendWord(f, dst, "true", 0xf5)
		}
		return appendWord(f, dst, "false", 0xf4)
	case reflect.Int32, reflect.Int64:
		return AppendInt(f, dst, v.Int())
	case reflect.Float64:
		return appendFloat(f, dst, v.Float())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return AppendBlob(f, dst, v.Bytes())
		}
		return appendList(f, dst, v)
	case reflect.Map:
		return appendMap(f, dst, v)
	case reflect.Struct:
		return appendStructure(f, dst, v)
	}
	panic(fmt.Sprintf("wire: %s is no type of a member", v.Type()))
}

func appendStructure(f Format, dst []byte, v reflect.Value) []byte {
	s := structureOf(v.Type())
	if f == CBOR {
		n := 0
		for _, m := range s.members {
			if !m.omitEmpty || !empty(v.Field(m.index)) {
				n++
			}
		}
		dst = AppendHead(dst, cborMap, uint64(n))
	} else {
		dst = append(dst, '{')
	}
	first := true
	for _, m := range s.members {
		member := v.Field(m.index)
		if m.omitEmpty && empty(member) {
			continue
		}
		if f == JSON && !first {
			dst = append(dst, ',')
		}
		first = false
		dst = AppendText(f, dst, m.name)
		if f == JSON {
			dst = append(dst, ':')
		}
		dst = appendValue(f, dst, member)
	}
	if f == JSON {
		dst = append(dst, '}')
	}
	return dst
}

// empty is what omitempty of encoding/json means.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func appendList(f Format, dst []byte, v reflect.Value) []byte {
	if f == CBOR {
		dst = AppendHead(dst, cborArray, uint64(v.Len()))
		for i := range v.Len() {
			dst = appendValue(f, dst, v.Index(i))
		}
		return dst
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(f, dst, v.Index(i))
	}
	return append(dst, ']')
}

func appendMap(f Format, dst []byte, v reflect.Value) []byte {
	keys := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	if f == CBOR {
		dst = AppendHead(dst, cborMap, uint64(len(keys)))
	} else {
		dst = append(dst, '{')
	}
	for i, k := range keys {
		if f == JSON && i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendText(f, dst, k)
		if f == JSON {
			dst = append(dst, ':')
		}
		dst = appendValue(f, dst, v.MapIndex(reflect.ValueOf(k)))
	}
	if f == JSON {
		dst = append(dst, '}')
	}
	return dst
}

func appendWord(f Format, dst []byte, json string, cbor byte) []byte {
	if f == CBOR {
		return append(dst, cbor)
	}
	return append(dst, json...)
}

// AppendHead appends the head of a CBOR item: its major type and the argument, in the shortest form (RFC 8949 section 3).
func AppendHead(dst []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(dst, major|byte(arg))
	case arg <= math.MaxUint8:
		return append(dst, major|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), arg)
}

// AppendInt appends a whole number.
func AppendInt(f Format, dst []byte, n int64) []byte {
	switch {
	case f == JSON:
		return strconv.AppendInt(dst, n, 10)
	case n < 0:
		return AppendHead(dst, cborNegative, uint64(-1-n))
	}
	return AppendHead(dst, cborUint, uint64(n))
}

func appendFloat(f Format, dst []byte, n float64) []byte {
	if f == CBOR {
		return binary.BigEndian.AppendUint64(append(dst, cborSimple<<5|27), math.Float64bits(n))
	}
	return strconv.AppendFloat(dst, n, 'g', -1, 64)
}

// AppendBlob appends bytes.
func AppendBlob(f Format, dst, p []byte) []byte {
	if f == CBOR {
		return append(AppendHead(dst, cborBytes, uint64(len(p))), p...)
	}
	n := base64.StdEncoding.EncodedLen(len(p))
	dst = slices.Grow(append(dst, '"'), n+1)
	base64.StdEncoding.Encode(dst[len(dst):len(dst)+n], p)
	return append(dst[:len(dst)+n], '"')
}

const hex = "0123456789abcdef"

// AppendText appends a string. What is not UTF-8 in it becomes U+FFFD.
func AppendText(f Format, dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	if f == CBOR {
		return append(AppendHead(dst, cborText, uint64(len(s))), s...)
	}
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
