// Package vfs is leat's seam to the file system. Everything durable is written through it, so that the same code runs on
// the operating system ([OS]), on a memory file system that can lose power ([Mem]), and under injected errors ([Errors]).
//
// What callers may rely on is what POSIX and Linux file systems promise and no more:
//
//   - Bytes are durable after File.Sync returned nil, and only those that were written before it was called.
//   - A file that was created, renamed or removed is durably so after SyncDir of its directory returned nil.
//   - After Sync has failed, the state of the bytes that it covered is unknown, and a later Sync that succeeds proves
//     nothing about them.
package vfs

import (
	"io"
	"io/fs"
)

// FS is a file system. Paths are in the operating system's form. Errors satisfy errors.Is for fs.ErrNotExist,
// fs.ErrExist and syscall.ENOSPC where they apply.
type FS interface {
	// Create makes a new file for reading and writing; it fails with fs.ErrExist if there is one.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenRead opens an existing file for reading only.
	OpenRead(name string) (File, error)
	// MkdirAll makes a directory and its parents. It makes them durable.
	MkdirAll(name string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Rename moves a file within one file system and replaces what is at its new name.
	Rename(from, to string) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes a file.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive advisory lock on a file, which it makes if missing, and holds it until Close. If another
	// process holds it, the error satisfies errors.Is(err, ErrLocked).
	Lock(name string) (io.Closer, error)
	// Usage tells how much room the file system that holds name has, in bytes.
	Usage(name string) (Usage, error)
}

// File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the file's bytes and its size durable (fdatasync).
	Sync() error
	// Truncate sets the size.
	Truncate(size int64) error
	// Allocate makes sure that size bytes from the start have room on the disk and extends the file to that size with
	// zeros, so that later writes within it neither change its size nor run out of space. It fails with ENOSPC.
	Allocate(size int64) error
	// Size is the current size in bytes.
	Size() (int64, error)
	// Prefetch announces that n bytes from off will be read soon. It is a hint and cannot fail.
	Prefetch(off, n int64)
	// Name is the path the file was opened with.
	Name() string
}

// Usage is the room of a file system in bytes.
type Usage struct {
	Free  uint64 // available to this process
	Total uint64
}
