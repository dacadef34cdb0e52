package wasm

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHuge asks for huge pages. A system that has none goes on with small ones.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }

// kept is a file without a name that holds the memory as it was when it was kept last. It is mapped in the memory's place, so
// that writing copies a page, and the system can say which pages were written to.
type kept struct {
	file *os.File
	// content is the file, as far as it goes: size bytes.
	content []byte
	size    int
	// flags is what the system says of the pages: scratch.
	flags []byte
}

// maxCopies is how many copied pages stay when they are like the file's again. To copy a page in vain costs less than another
// page fault does, but not for all that were ever written to.
const maxCopies = 128

func (m *mappedMemory) keep(size int) bool {
	k := &m.kept
	if k.file == nil {
		fd, err := unix.MemfdCreate("leat-instance", unix.MFD_CLOEXEC)
		if err != nil {
			return false
		}
		k.file = os.NewFile(uintptr(fd), "leat-instance")
		if k.content, err = unix.Mmap(fd, 0, len(m.bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			k.release() // there are no addresses for it now
			return false
		}
	}
	if k.size > 0 && !m.eachCopied(func(from, to int) { copy(k.content[from:to], m.bytes[from:to]) }) {
		return false
	}
	if size == k.size {
		return true
	}
	added := m.bytes[k.size:size]
	if _, err := k.file.WriteAt(added, int64(k.size)); err != nil { // by way of content it would be a signal
		return false
	}
	_, err := unix.MmapPtr(int(k.file.Fd()), int64(k.size), unsafe.Pointer(unsafe.SliceData(added)), uintptr(len(added)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	if err != nil {
		return false
	}
	k.size = size
	return true
}

func (m *mappedMemory) forget(size int) error {
	k := &m.kept
	if size > k.size {
		if err := unix.Madvise(m.bytes[k.size:size], unix.MADV_DONTNEED); err != nil {
			return err
		}
	}
	if k.size <= maxKept && m.eachCopied(func(from, to int) { copy(m.bytes[from:to], k.content[from:to]) }) {
		return nil
	}
	return unix.Madvise(m.bytes[:k.size], unix.MADV_DONTNEED)
}

// eachCopied passes the ranges of bytes to make the same as the file's, in one direction or the other: those whose pages were written to,
// now or before.
func (m *mappedMemory) eachCopied(same func(from, to int)) bool {
	pages, err := pagemap()
	if err != nil {
		return false
	}
	k := &m.kept
	size := os.Getpagesize()
	n := k.size / size
	if cap(k.flags) < 8*n {
		k.flags = make([]byte, 8*n)
	}
	k.flags = k.flags[:8*n]
	if _, err := pages.ReadAt(k.flags, flagsOf(m.bytes)); err != nil {
		return false
	}
	copies := 0
	for from := 0; from < n; from++ {
		to := from
		for to < n && copied(k.flags, to) {
			to++
		}
		if to > from {
			same(from*size, to*size)
			copies += to - from
			from = to
		}
	}
	return copies <= maxCopies || unix.Madvise(m.bytes[:k.size], unix.MADV_DONTNEED) == nil
}

// pagemap opens what the system says of the pages of this process: 64 bits for each.
//
// See Documentation/admin-guide/mm/pagemap.rst of Linux. A system that stands in for it may say something else, so a page that is a
// copy and one that is not are looked at first.
var pagemap = sync.OnceValues(func() (*os.File, error) {
	pages, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil, err
	}
	size := os.Getpagesize()
	var probe []byte
	fd, err := unix.MemfdCreate("leat-probe", unix.MFD_CLOEXEC)
	if err == nil {
		defer unix.Close(fd)
		if err = unix.Ftruncate(fd, int64(2*size)); err == nil {
			probe, err = unix.Mmap(fd, 0, 2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
		}
	}
	if err == nil {
		probe[0] += probe[size] + 1
		flags := make([]byte, 16)
		if _, err = pages.ReadAt(flags, flagsOf(probe)); err == nil && (!copied(flags, 0) || copied(flags, 1)) {
			err = errors.ErrUnsupported
		}
		err = errors.Join(err, unix.Munmap(probe))
	}
	if err != nil {
		return nil, errors.Join(err, pages.Close())
	}
	return pages, nil
})

// flagsOf returns where the system speaks of the pages of b.
func flagsOf(b []byte) int64 {
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) / int64(os.Getpagesize()) * 8
}

// copied is whether a page is there, or in swap, and is not one of a file.
func copied(flags []byte, page int) bool {
	const present, swapped, ofFile = 1 << 63, 1 << 62, 1 << 61
	f := binary.NativeEndian.Uint64(flags[8*page:])
	return f&(present|swapped) != 0 && f&ofFile == 0
}

func (k *kept) release() {
	if k.content != nil {
		if err := unix.Munmap(k.content); err != nil {
			panic("unmap what is kept of an instance: " + err.Error()) // the addresses are wrong: a mistake of this file
		}
	}
	if k.file != nil {
		_ = k.file.Close() // it is memory
	}
	*k = kept{}
}
