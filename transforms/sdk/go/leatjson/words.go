package leatjson

import (
	"encoding/binary"
	"unsafe"
)

// pad is how many zero bytes follow the document in Doc.buf. Zero ends every run of bytes that the scan takes in, so it never asks where
// the document ends, and may load this far behind anything in it.
const pad = 40

// Eight bytes at a time: each of these words has the byte in every place.
const (
	ones    = 0x0101010101010101
	highs   = 0x8080808080808080
	quotes  = ones * '"'
	slopes  = ones * '\\'
	spaces  = ones * ' '
	naughts = ones * '0'
)

// specials marks the bytes of a string that end a plain run: quotes, backslashes, control characters. A byte above a marked one may be
// marked too; the lowest mark is right.
func specials(x uint64) uint64 {
	return (((x ^ quotes) - ones) | ((x ^ slopes) - ones) | (x - spaces)) &^ x & highs
}

// nonDigits marks the bytes that are not digits; the lowest mark is right.
func nonDigits(x uint64) uint64 {
	t := x ^ naughts
	return ((t + ones*(0x80-10)) | t) & highs
}

func load(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

func load4(p unsafe.Pointer, i int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, i))[:])
}

func at(p unsafe.Pointer, i int) uint64 { return uint64(*(*byte)(unsafe.Add(p, i))) }

const (
	wordTrue = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordAlse = 'a' | 'l'<<8 | 's'<<16 | 'e'<<24
	wordNull = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
)

// escapes are the bytes that may follow a backslash: how far it goes on from the backslash. 0 is for those that may not.
var escapes = [256]uint8{'"': 2, '\\': 2, '/': 2, 'b': 2, 'f': 2, 'n': 2, 'r': 2, 't': 2, 'u': 6}

// hexValues are those of hexadecimal digits; other bytes have 16.
var hexValues = func() (v [256]uint8) {
	for c := range v {
		v[c] = 16
	}
	for n, c := range []byte("0123456789abcdef") {
		v[c] = uint8(n)
	}
	for n, c := range []byte("ABCDEF") {
		v[c] = uint8(10 + n)
	}
	return v
}()

// sum sorts keys, by their first byte (the closing quote if there is none) and length, into 64 classes.
func sum(first uint64, n int) uint64 { return first*5 + uint64(n)*7 }
