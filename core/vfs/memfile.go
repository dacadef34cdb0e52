package vfs

import (
	"io"
	"io/fs"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// write is one change of a file's bytes, of its size, or of both, that has not been synced.
type write struct {
	number uint64
	off    int64
	data   []byte
	size   int64 // the size of the file after it
}

type memFile struct {
	fs       *Mem
	node     *memNode
	name     string
	writable bool
	closed   bool
}

// begin locks the file system for an operation on f. Callers unlock also when it fails.
func (f *memFile) begin(op string) error {
	if err := f.fs.begin(op, f.name); err != nil {
		return err
	}
	if f.closed {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	return nil
}

func (f *memFile) beginWrite(op string) error {
	if err := f.begin(op); err != nil {
		return err
	}
	if !f.writable {
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EBADF}
	}
	return nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.begin("read"); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: syscall.EINVAL}
	}
	n := f.node.data.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.beginWrite("write"); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.EINVAL}
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := len(p)
	size := f.node.data.size
	if fits := size + f.fs.free(); off+int64(n) > max(size, fits) {
		n = int(max(0, fits-off))
	}
	if n > 0 {
		w := write{off: off, data: slices.Clone(p[:n]), size: max(size, off+int64(n))}
		f.fs.used += w.size - size
		f.node.apply(w)
	}
	if n < len(p) {
		return n, &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	return n, nil
}

func (f *memFile) Truncate(size int64) error {
	defer f.fs.mu.Unlock()
	if err := f.beginWrite("truncate"); err != nil {
		return err
	}
	return f.resize("truncate", size)
}

func (f *memFile) Allocate(size int64) error {
	defer f.fs.mu.Unlock()
	if err := f.beginWrite("allocate"); err != nil {
		return err
	}
	if size <= f.node.data.size {
		return nil
	}
	return f.resize("allocate", size)
}

func (f *memFile) resize(op string, size int64) error {
	if size < 0 {
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EINVAL}
	}
	grow := size - f.node.data.size
	if grow > 0 && grow > f.fs.free() {
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.ENOSPC}
	}
	f.fs.used += grow
	f.node.apply(write{size: size})
	return nil
}

// apply makes w visible to processes.
func (n *memNode) apply(w write) {
	n.written++
	w.number = n.written
	n.data.apply(w)
	n.pending = append(n.pending, w)
	n.modTime = time.Now()
}

// Sync makes durable what was written before it was called. What others write while it runs stays unsynced, as on a
// disk; it gives them the chance.
func (f *memFile) Sync() error {
	covered, err := f.beginSync()
	if err != nil {
		return err
	}
	runtime.Gosched()
	defer f.fs.mu.Unlock()
	if err := f.begin("sync"); err != nil {
		return err
	}
	for len(f.node.pending) > 0 && f.node.pending[0].number <= covered {
		f.node.synced.apply(f.node.pending[0])
		f.node.pending = f.node.pending[1:]
	}
	return nil
}

func (f *memFile) beginSync() (covered uint64, err error) {
	defer f.fs.mu.Unlock()
	if err := f.begin("sync"); err != nil {
		return 0, err
	}
	return f.node.written, nil
}

// loseUnsynced is what Linux does when a sync fails: the unsynced bytes stay visible, count as clean, and are written by
// no later sync.
func (f *memFile) loseUnsynced() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.frozen {
		return // the sync did not fail, the world ended: a crash may find any part of what was pending
	}
	f.node.pending = nil
}

func (f *memFile) Size() (int64, error) {
	defer f.fs.mu.Unlock()
	if err := f.begin("size"); err != nil {
		return 0, err
	}
	return f.node.data.size, nil
}

func (f *memFile) Prefetch(off, n int64) {}

func (f *memFile) Close() error {
	defer f.fs.mu.Unlock()
	if err := f.begin("close"); err != nil {
		return err
	}
	f.closed = true
	f.node.opens--
	f.fs.release(f.node)
	return nil
}
