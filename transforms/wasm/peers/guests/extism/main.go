//go:build wasip1

// Command extism is the work as a plug-in of Extism. Its records are length-prefixed in one input and one output, because a
// call has no other form; an input of one record is how most plug-ins are called.
//
// It speaks to the host as Extism's own kit for Go does: input and output are copied through functions of the host, eight
// bytes a call.
package main

import "encoding/binary"

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoad8(at uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputLoad64(at uint64) uint64

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env store_u8
func store8(at uint64, v uint32)

//go:wasmimport extism:host/env store_u64
func store64(at, v uint64)

//go:wasmimport extism:host/env output_set
func outputSet(at, n uint64)

var in, out []byte

func load() {
	n := inputLength()
	if uint64(cap(in)) < n {
		in = make([]byte, n)
	}
	in = in[:n]
	at := uint64(0)
	for ; at+8 <= n; at += 8 {
		binary.LittleEndian.PutUint64(in[at:], inputLoad64(at))
	}
	for ; at < n; at++ {
		in[at] = byte(inputLoad8(at))
	}
}

func store() {
	n := uint64(len(out))
	to, at := alloc(n), uint64(0)
	for ; at+8 <= n; at += 8 {
		store64(to+at, binary.LittleEndian.Uint64(out[at:]))
	}
	for ; at < n; at++ {
		store8(to+at, uint32(out[at]))
	}
	outputSet(to, n)
}

// each appends what fn makes of each record to the output.
func each(fn func(to, b []byte) []byte) int32 {
	load()
	out = out[:0]
	for rest := in; len(rest) > 0; {
		n := binary.LittleEndian.Uint32(rest)
		prefix := len(out)
		out = fn(append(out, 0, 0, 0, 0), rest[4:4+n])
		binary.LittleEndian.PutUint32(out[prefix:], uint32(len(out)-prefix-4))
		rest = rest[4+n:]
	}
	store()
	return 0
}

//go:wasmexport count
func count() int32 {
	return each(func(to, b []byte) []byte { return binary.LittleEndian.AppendUint32(to, vowels(b)) })
}

//go:wasmexport upper
func upperRecords() int32 { return each(upper) }

//go:wasmexport identity
func identity() int32 {
	return each(func(to, b []byte) []byte { return append(to, b...) })
}

func main() {}
