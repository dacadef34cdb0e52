package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
)

// Op is a kind of operation on a file system.
type Op uint8

// The operations that [Errors] tells apart.
const (
	OpCreate Op = iota
	OpOpen      // also OpenRead
	OpMkdirAll
	OpRemove
	OpRename
	OpReadDir
	OpStat
	OpSyncDir
	OpLock
	OpUsage
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpAllocate
	OpSize
	OpClose
)

var opNames = [...]string{"create", "open", "mkdir", "remove", "rename", "readdir", "stat", "syncdir", "lock", "usage",
	"read", "write", "sync", "truncate", "allocate", "size", "close"}

func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Fault is what happens to one operation; the zero Fault lets it pass.
type Fault struct {
	// Err is the error that the operation returns.
	Err error
	// Bytes is how many bytes a read or a write transfers before it fails.
	Bytes int
	// Done makes the operation take effect before it reports Err.
	Done bool
}

// Errors is a file system that fails when a rule says so.
//
// A Sync that fails over a [Mem] also does what Linux does: the file's unsynced bytes count as clean from then on, so
// that a later Sync which succeeds does not make them durable.
type Errors struct {
	base FS
	mu   sync.Mutex
	rule func(op Op, name string, n int) Fault
	n    int
}

// NewErrors wraps base. The rule sees every operation before it happens, one at a time: its kind, the path (the old one
// of a rename) and its number, from 1 on. It must not use the Errors itself; it may freeze the Mem below.
func NewErrors(base FS, rule func(op Op, name string, n int) Fault) *Errors {
	return &Errors{base: base, rule: rule}
}

// AtOp is a rule that makes the k-th operation fail, from 1 on, counting only the given kinds, or all if none is given.
func AtOp(k int, fault Fault, ops ...Op) func(Op, string, int) Fault {
	seen := 0
	return func(op Op, _ string, _ int) Fault {
		if len(ops) == 0 || slices.Contains(ops, op) {
			seen++
			if seen == k {
				return fault
			}
		}
		return Fault{}
	}
}

// Ops is how many operations there were.
func (e *Errors) Ops() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

func (e *Errors) next(op Op, name string) Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n++
	f := e.rule(op, name, e.n)
	if f.Err != nil {
		f.Err = &fs.PathError{Op: op.String(), Path: name, Err: f.Err}
	}
	return f
}

// do runs an operation, or fails in its stead.
func (e *Errors) do(op Op, name string, run func() error) error {
	f := e.next(op, name)
	if f.Err == nil {
		return run()
	}
	if f.Done {
		if err := run(); err != nil {
			return err
		}
	}
	return f.Err
}

func (e *Errors) open(op Op, name string, open func(string) (File, error)) (File, error) {
	var f File
	err := e.do(op, name, func() (err error) {
		f, err = open(name)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &errorsFile{f, e}, nil
}

// Create implements FS.
func (e *Errors) Create(name string) (File, error) { return e.open(OpCreate, name, e.base.Create) }

// Open implements FS.
func (e *Errors) Open(name string) (File, error) { return e.open(OpOpen, name, e.base.Open) }

// OpenRead implements FS.
func (e *Errors) OpenRead(name string) (File, error) { return e.open(OpOpen, name, e.base.OpenRead) }

// MkdirAll implements FS.
func (e *Errors) MkdirAll(name string) error {
	return e.do(OpMkdirAll, name, func() error { return e.base.MkdirAll(name) })
}

// Remove implements FS.
func (e *Errors) Remove(name string) error {
	return e.do(OpRemove, name, func() error { return e.base.Remove(name) })
}

// Rename implements FS.
func (e *Errors) Rename(from, to string) error {
	return e.do(OpRename, from, func() error { return e.base.Rename(from, to) })
}

// ReadDir implements FS.
func (e *Errors) ReadDir(name string) (list []fs.DirEntry, err error) {
	err = e.do(OpReadDir, name, func() error {
		list, err = e.base.ReadDir(name)
		return err
	})
	return list, err
}

// Stat implements FS.
func (e *Errors) Stat(name string) (info fs.FileInfo, err error) {
	err = e.do(OpStat, name, func() error {
		info, err = e.base.Stat(name)
		return err
	})
	return info, err
}

// SyncDir implements FS.
func (e *Errors) SyncDir(name string) error {
	return e.do(OpSyncDir, name, func() error { return e.base.SyncDir(name) })
}

// Lock implements FS.
func (e *Errors) Lock(name string) (io.Closer, error) {
	var lock io.Closer
	err := e.do(OpLock, name, func() (err error) {
		lock, err = e.base.Lock(name)
		return err
	})
	if err != nil && lock != nil {
		lock.Close()
		lock = nil
	}
	return lock, err
}

// Usage implements FS.
func (e *Errors) Usage(name string) (u Usage, err error) {
	err = e.do(OpUsage, name, func() error {
		u, err = e.base.Usage(name)
		return err
	})
	return u, err
}

type errorsFile struct {
	File
	fs *Errors
}

func (f *errorsFile) ReadAt(p []byte, off int64) (int, error) {
	return f.transfer(OpRead, p, off, f.File.ReadAt)
}

func (f *errorsFile) WriteAt(p []byte, off int64) (int, error) {
	return f.transfer(OpWrite, p, off, f.File.WriteAt)
}

func (f *errorsFile) transfer(op Op, p []byte, off int64, run func([]byte, int64) (int, error)) (int, error) {
	fault := f.fs.next(op, f.Name())
	if fault.Err == nil {
		return run(p, off)
	}
	if !fault.Done {
		p = p[:min(len(p), fault.Bytes)]
	}
	if len(p) == 0 {
		return 0, fault.Err
	}
	n, err := run(p, off)
	if err != nil {
		return n, err
	}
	return n, fault.Err
}

func (f *errorsFile) Sync() error {
	err := f.fs.do(OpSync, f.Name(), f.File.Sync)
	if mem, ok := f.File.(*memFile); ok && err != nil {
		mem.loseUnsynced()
	}
	return err
}

func (f *errorsFile) Truncate(size int64) error {
	return f.fs.do(OpTruncate, f.Name(), func() error { return f.File.Truncate(size) })
}

func (f *errorsFile) Allocate(size int64) error {
	return f.fs.do(OpAllocate, f.Name(), func() error { return f.File.Allocate(size) })
}

func (f *errorsFile) Size() (size int64, err error) {
	err = f.fs.do(OpSize, f.Name(), func() error {
		size, err = f.File.Size()
		return err
	})
	return size, err
}

func (f *errorsFile) Close() error {
	err := f.fs.do(OpClose, f.Name(), f.File.Close)
	if err != nil {
		f.File.Close() // as close(2), which frees the descriptor whatever it returns
	}
	return err
}
