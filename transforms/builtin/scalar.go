package builtin

import (
	"strconv"
	"unicode/utf8"
)

// How text becomes JSON numbers and booleans, written into a buffer.

// Eight bytes at a time: each of these words has the byte in every place.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeroBytes marks the bytes of x that are zero. A byte above a zero may be marked too, which does not change the lowest mark nor
// whether there is one.
func zeroBytes(x uint64) uint64 { return (x - ones) &^ x & highs }

// appendNumber writes text as a JSON number, digit by digit, so that no precision is lost: without a plus sign and leading
// zeros, which JSON does not have. ok is false if text is not a number, or not one that fits 64 bits.
func appendNumber(dst, text []byte, integer bool) (_ []byte, ok bool) {
	from := len(dst)
	i := 0
	count := func() int {
		start := i
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i - start
	}
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			dst = append(dst, '-')
		}
		i++
	}
	whole := i
	n := count()
	if n == 0 {
		return dst[:from], false
	}
	for whole < i-1 && text[whole] == '0' {
		whole++
	}
	if integer {
		dst = append(dst, text[whole:i]...)
		return dst, i == len(text) && (n <= 18 || fits64(dst[from:], true))
	}
	if i < len(text) && text[i] == '.' {
		if i++; count() == 0 {
			return dst[:from], false
		}
	}
	exponent := false
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		if i++; i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		if count() == 0 {
			return dst[:from], false
		}
		exponent = true
	}
	dst = append(dst, text[whole:i]...)
	return dst, i == len(text) && (!exponent && n < 300 || fits64(dst[from:], false))
}

// fits64 reports whether 64 bits can hold the number.
func fits64(text []byte, integer bool) bool {
	var err error
	if integer {
		_, err = strconv.ParseInt(string(text), 10, 64)
	} else {
		_, err = strconv.ParseFloat(string(text), 64)
	}
	return err == nil
}

// appendBoolean writes what text says as true or false.
func appendBoolean(dst, text []byte) (_ []byte, ok bool) {
	var lower [5]byte
	if len(text) > len(lower) {
		return dst, false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(text)]) {
	case "true", "t", "yes", "y", "1":
		return append(dst, "true"...), true
	case "false", "f", "no", "n", "0":
		return append(dst, "false"...), true
	}
	return dst, false
}

// excerpt quotes the beginning of text, for reasons.
func excerpt(text []byte) string {
	const most = 40
	if len(text) <= most {
		return strconv.Quote(string(text))
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(string(text[:cut])) + "…"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
