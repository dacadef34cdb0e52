package leatjson

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// Writer writes one JSON value into memory that it uses again:
//
//	w.Reset()
//	w.Object().Str("name", name).Int("speed", 7).Key("tags").Array().StrValue("a").End().End()
//	return leat.Data(w.Bytes())
//
// Methods with a key are for objects, those named Value for arrays and for what follows Key. Commas and quotes are the writer's business; that
// containers are closed, and keys are given in objects alone, is the caller's.
type Writer struct {
	buf []byte
	// open holds the closing brackets of what is open.
	open []byte
}

// Reset begins a new value.
func (w *Writer) Reset() { w.buf, w.open = reuse(w.buf), w.open[:0] }

// Bytes returns what has been written. It is valid until the next Reset.
func (w *Writer) Bytes() []byte { return w.buf }

// Object opens an object.
func (w *Writer) Object() *Writer { return w.begin('{', '}') }

// Array opens an array.
func (w *Writer) Array() *Writer { return w.begin('[', ']') }

func (w *Writer) begin(open, end byte) *Writer {
	w.comma()
	w.buf = append(w.buf, open)
	w.open = append(w.open, end)
	return w
}

// End closes the object or array that was opened last.
func (w *Writer) End() *Writer {
	w.buf = append(w.buf, w.open[len(w.open)-1])
	w.open = w.open[:len(w.open)-1]
	return w
}

// comma separates a value or key from the one before it.
func (w *Writer) comma() {
	if n := len(w.buf); n > 0 {
		switch w.buf[n-1] {
		case '{', '[', ':':
		default:
			w.buf = append(w.buf, ',')
		}
	}
}

// Key writes a key; its value comes next.
func (w *Writer) Key(key string) *Writer {
	w.comma()
	w.buf = append(AppendString(w.buf, key), ':')
	return w
}

// Str writes a string under a key; of text that is not UTF-8 every bad byte becomes U+FFFD.
func (w *Writer) Str(key, value string) *Writer { return w.Key(key).StrValue(value) }

// Text is Str for bytes.
func (w *Writer) Text(key string, value []byte) *Writer { return w.Key(key).StrValue(text(value)) }

// Int writes a number under a key.
func (w *Writer) Int(key string, value int64) *Writer { return w.Key(key).IntValue(value) }

// Float writes a number under a key, as [AppendFloat] does.
func (w *Writer) Float(key string, value float64) *Writer { return w.Key(key).FloatValue(value) }

// Bool writes true or false under a key.
func (w *Writer) Bool(key string, value bool) *Writer { return w.Key(key).BoolValue(value) }

// Null writes null under a key.
func (w *Writer) Null(key string) *Writer { return w.Key(key).RawValue([]byte("null")) }

// Raw writes a value that is JSON already under a key. It is not checked.
func (w *Writer) Raw(key string, value []byte) *Writer { return w.Key(key).RawValue(value) }

// StrValue writes a string.
func (w *Writer) StrValue(value string) *Writer {
	w.comma()
	w.buf = AppendString(w.buf, value)
	return w
}

// IntValue writes a number.
func (w *Writer) IntValue(value int64) *Writer {
	w.comma()
	w.buf = strconv.AppendInt(w.buf, value, 10)
	return w
}

// FloatValue writes a number.
func (w *Writer) FloatValue(value float64) *Writer {
	w.comma()
	w.buf = AppendFloat(w.buf, value)
	return w
}

// BoolValue writes true or false.
func (w *Writer) BoolValue(value bool) *Writer {
	w.comma()
	w.buf = strconv.AppendBool(w.buf, value)
	return w
}

// RawValue writes a value that is JSON already. It is not checked.
func (w *Writer) RawValue(value []byte) *Writer {
	w.comma()
	w.buf = append(w.buf, value...)
	return w
}

// AppendString appends text as a JSON string: quotes, backslashes and control characters are escaped, and so are U+2028 and U+2029, which
// readers of lines take for their ends (Node.js does from version 24 on). A byte that is not UTF-8 becomes U+FFFD, and all else, such as
// < and é, is as it was.
func AppendString(dst []byte, text string) []byte {
	return append(appendEscaped(append(dst, '"'), text), '"')
}

// AppendText is AppendString for bytes.
func AppendText(dst, b []byte) []byte { return AppendString(dst, text(b)) }

// appendEscaped appends the inside of a string.
func appendEscaped(dst []byte, s string) []byte {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	done, i := 0, 0 // what is appended, what is looked at
	for i < len(s) {
		if i+8 <= len(s) {
			x := binary.LittleEndian.Uint64(b[i:])
			if specials(x)|x&highs == 0 {
				i += 8
				continue
			}
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				dst = append(append(dst, s[done:i]...), "\uFFFD"...)
				done = i + n
			case r == '\u2028' || r == '\u2029':
				dst = append(append(dst, s[done:i]...), '\\', 'u', '2', '0', '2', hex[r&15])
				done = i + n
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[done:i]...)
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
		i++
		done = i
	}
	return append(dst, s[done:]...)
}

const hex = "0123456789abcdef"

// AppendFloat appends a number with as many digits as it takes to read it back, in the form that encoding/json uses. What is not
// finite becomes null, because JSON has no number for it.
func AppendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	if n := len(dst); format == 'e' && n-from >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 is e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
