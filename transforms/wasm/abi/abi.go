// Package abi encodes and decodes the frames of leat_tx_1, the interface between leat and a WASM transform. ABI.md beside
// the code is its specification.
//
// The host encodes an INPUT frame ([EncodeInput]) and decodes the OUTPUT frame that comes back ([Layout.Decode]); a guest does the
// opposite ([DecodeInput], [OutputWriter]). Decoders trust nothing: every offset, length and count is checked in 64 bits, so
// that no sum wraps around, and what they return can be read without further checks.
//
// This package imports the standard library only and keeps clear of fmt, because it is part of every guest.
package abi

import (
	"encoding/binary"
	"strconv"
)

// Names that a module exports and imports.
const (
	ExportMarker    = "leat_tx_1"
	ExportMemory    = "memory"
	ExportAlloc     = "leat_alloc"
	ExportConfigure = "leat_configure"
	ExportTransform = "leat_transform"
	ExportDescribe  = "leat_describe"
	ExportCursor    = "leat_cursor"
	ExportAllocated = "leat_allocations"
	ExportInit      = "_initialize"
	ImportModule    = "leat"
	ImportLog       = "log"
	ImportFail      = "fail"
	ImportCount     = "count"
	SectionManifest = "leat.manifest"
)

// Sizes, in bytes, and identification of frames.
const (
	Version     = 1
	HeaderSize  = 32
	RecordSize  = 48 // an entry of INPUT's table
	ResultSize  = 24 // an entry of OUTPUT's table of results
	OutSize     = 48 // an entry of OUTPUT's table of outs
	MagicInput  = "LTX1"
	MagicOutput = "LTR1"
	// MaxFrame bounds a frame; more cannot be addressed by the guest anyway.
	MaxFrame = 1<<32 - 1
	// MaxNamed bounds what the outs of an OUTPUT frame name together, in bytes: a field that several of them share counts for each, and an
	// attribute block in the frame attrsWeight times, which is the room that its entries take once they are decoded.
	MaxNamed    = 64 << 20
	attrsWeight = 4
	// MaxAttrs bounds the number of attributes, or of partition keys, of one record.
	MaxAttrs = 1<<16 - 1
)

// Status is what became of a record.
type Status uint8

const (
	OK Status = iota
	Unchanged
	Dropped
	Failed
)

// MaxClass is the highest error class: 0 retryable, 1 throttled, 2 unavailable, 3 unauthorized, 4 permanent.
const MaxClass = 4

// Flags of an out: the field lies in the INPUT frame.
const (
	DataInInput  = 1 << 0
	KeyInInput   = 1 << 1
	AttrsInInput = 1 << 2
)

// Attr is a named value.
type Attr struct{ Name, Value string }

// Record is one record of an INPUT frame.
type Record struct {
	Seq     uint64
	Arrived int64 // nanoseconds since the Unix epoch
	Shard   uint32
	Sub     uint32
	Key     string
	Data    []byte
	Attrs   []Attr
}

// FrameError says what is wrong with a frame.
type FrameError struct {
	// Table and Index name the entry: "result" 3. Index is -1 for the header.
	Table string
	Index int
	What  string
}

func (e *FrameError) Error() string {
	if e.Index < 0 {
		return e.Table + ": " + e.What
	}
	return e.Table + " " + strconv.Itoa(e.Index) + ": " + e.What
}

func header(what string) error { return &FrameError{"header", -1, what} }

var le = binary.LittleEndian

// within reports whether off and n name bytes of a frame of size bytes at or after start.
func within(off, n uint32, start, size uint64) bool {
	return uint64(off) >= start && uint64(off)+uint64(n) <= size
}

func itoa[T uint8 | uint16 | uint32 | uint64 | int](n T) string {
	return strconv.FormatUint(uint64(n), 10)
}
