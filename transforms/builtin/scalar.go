package builtin

import (
	"strconv"
	"unicode/utf8"
)

// Eight bytes at a time: each of these words has the byte in every place.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeroBytes marks the bytes of x that are zero. A byte above a zero may be marked too, which does not change the lowest mark nor
// whether there is one.
func zeroBytes(x uint64) uint64 { return (x - ones) &^ x & highs }

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
