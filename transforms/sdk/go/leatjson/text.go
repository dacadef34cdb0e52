package leatjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// decent is plain for text that is not all ASCII.
func decent(inner []byte) bool {
	return bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner)
}

// appendText appends what the inside of a valid string reads as.
func appendText(dst, inner []byte) []byte {
	for i := 0; i < len(inner); {
		c := inner[i]
		switch {
		case c == '\\':
			var r rune
			r, i = unescape(inner, i)
			dst = utf8.AppendRune(dst, r)
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(inner[i:]) // an invalid byte is U+FFFD, one byte long
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return dst
}

// unescape reads the escape sequence at i and returns the place behind it. A surrogate without its other half is U+FFFD.
func unescape(inner []byte, i int) (rune, int) {
	switch c := inner[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
	default:
		return rune(c), i + 2
	}
	r := codeUnit(inner[i+2:])
	i += 6
	if !utf16.IsSurrogate(r) {
		return r, i
	}
	if i+6 <= len(inner) && inner[i] == '\\' && inner[i+1] == 'u' {
		if both := utf16.DecodeRune(r, codeUnit(inner[i+2:])); both != utf8.RuneError {
			return both, i + 6
		}
	}
	return utf8.RuneError, i
}

// codeUnit reads four hexadecimal digits.
func codeUnit(b []byte) rune {
	return rune(hexValues[b[0]])<<12 | rune(hexValues[b[1]])<<8 | rune(hexValues[b[2]])<<4 | rune(hexValues[b[3]])
}
