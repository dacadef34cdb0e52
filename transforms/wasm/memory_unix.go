//go:build unix

package wasm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of the pages that memory of a large module is mapped in, if the system has them to spare: the few
// million bytes that a new instance touches are then two or three page faults, not a thousand.
const hugePage = 2 << 20

// mappedMemory is a range of addresses as large as the memory may become. What is not in use yet cannot be accessed and
// does not count as memory of the process.
type mappedMemory struct {
	reserved []byte // the whole mapping
	bytes    []byte // the part of it that begins at a huge page
	usable   uint64
	step     uint64 // usable grows in steps of so many bytes
	refused  bool
	kept     kept
}

// mapMemory reserves addresses; it returns nil if it cannot.
func mapMemory(most uint64) linearMemory {
	most = (most + hugePage - 1) / hugePage * hugePage
	all, err := unix.Mmap(-1, 0, int(most)+hugePage, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil
	}
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(all))) % hugePage
	return &mappedMemory{reserved: all, bytes: all[skip:][:most]}
}

// Reallocate implements experimental.LinearMemory. nil makes memory.grow fail in the guest.
func (m *mappedMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.bytes)) {
		return nil
	}
	if m.step == 0 {
		if m.step = pageSize; size >= hugePage/2 {
			m.step = hugePage
		}
	}
	if size > m.usable {
		to := (size + m.step - 1) / m.step * m.step
		more := m.bytes[m.usable:to]
		err := unix.Mprotect(more, unix.PROT_READ|unix.PROT_WRITE)
		if m.refused = err != nil; m.refused {
			return nil // the system has no memory to promise
		}
		if m.step == hugePage {
			adviseHuge(more)
		}
		m.usable = to
	}
	return m.bytes[:size:size]
}

func (m *mappedMemory) denied() bool { return m.refused }

// Free does nothing; see linearMemory.
func (m *mappedMemory) Free() {}

func (m *mappedMemory) release() {
	m.kept.release()
	if m.reserved != nil {
		if err := unix.Munmap(m.reserved); err != nil {
			panic("unmap the memory of an instance: " + err.Error()) // the addresses are wrong: a mistake of this file
		}
		m.reserved, m.bytes = nil, nil
	}
}
