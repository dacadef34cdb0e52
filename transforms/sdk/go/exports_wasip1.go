package leat

import (
	"runtime"
	"unsafe"
)

// arena is where the host writes frames; words keep it 8-aligned.
var arena []uint64

// roomyArena is what the arena may keep, in bytes, after a frame that needed more.
const roomyArena = 1 << 20

//go:wasmexport leat_tx_1
func marker() {}

//go:wasmexport leat_alloc
func alloc(size uint32) uint32 {
	words := int((uint64(size) + 7) / 8)
	if words > len(arena) || len(arena)*8 > roomyArena && int(size) <= roomyArena {
		arena = nil
		arena = make([]uint64, max(words, 64<<10/8))
	}
	return uint32(uintptr(unsafe.Pointer(&arena[0])))
}

// frame returns the bytes that the host has written.
func frame(ptr, size uint32) []byte {
	if len(arena) == 0 || uint64(size) > uint64(len(arena))*8 || ptr != uint32(uintptr(unsafe.Pointer(&arena[0]))) {
		panic("leat: the host passed memory that is not from leat_alloc")
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&arena[0])), size)
}

//go:wasmexport leat_configure
func configure(ptr, size uint32) uint32 {
	if err := self.setUp(frame(ptr, size)); err != nil {
		hostFail(err.Error())
		return 1
	}
	return 0
}

//go:wasmexport leat_transform
func transform(ptr, size uint32) uint64 {
	out, err := self.process(frame(ptr, size))
	if err != nil {
		hostFail(err.Error())
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(&out[0])))<<32 | uint64(len(out))
}

//go:wasmexport leat_cursor
func cursor() uint32 { return uint32(uintptr(unsafe.Pointer(&self.cursor))) }

//go:wasmexport leat_allocations
func allocations() uint64 {
	runtime.ReadMemStats(&memory)
	return memory.Mallocs
}

var memory runtime.MemStats // kept, so that to count allocations is not one

//go:wasmimport leat log
func importLog(level int32, ptr unsafe.Pointer, size uint32)

//go:wasmimport leat fail
func importFail(ptr unsafe.Pointer, size uint32)

//go:wasmimport leat count
func importCount(ptr unsafe.Pointer, size uint32, n int64)

func hostLog(level Level, line string) {
	importLog(int32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

func hostFail(reason string) {
	importFail(unsafe.Pointer(unsafe.StringData(reason)), uint32(len(reason)))
}

func hostCount(name string, n int64) {
	importCount(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), n)
}
