package wasm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHuge asks for huge pages. A system that has none goes on with small ones.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }

// keep puts the memory into a file without a name and maps that in its place, so that writing copies a page, and forgetting
// gives the copies up.
func (m *mappedMemory) keep(size int) bool {
	fd, err := unix.MemfdCreate("leat-instance", unix.MFD_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(fd) // the mapping keeps the file
	for written := 0; written < size; {
		n, err := unix.Write(fd, m.bytes[written:size])
		if err != nil && err != unix.EINTR {
			return false
		}
		written += max(n, 0)
	}
	at := unsafe.Pointer(unsafe.SliceData(m.bytes))
	if _, err := unix.MmapPtr(fd, 0, at, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		return false
	}
	return true
}

func (m *mappedMemory) forget(size int) error {
	return unix.Madvise(m.bytes[:size], unix.MADV_DONTNEED)
}
