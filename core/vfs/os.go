package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Files are readable by the owner's group, so that an operator's group can audit a data directory, and by nobody else.
const (
	filePerm = 0o640
	dirPerm  = 0o750
)

// OS returns the file system of the operating system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (osFS) Open(name string) (File, error) { return openOS(name, os.O_RDWR) }

func (osFS) OpenRead(name string) (File, error) { return openOS(name, os.O_RDONLY) }

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// MkdirAll also syncs the parent of the deepest level that it finds: whoever made that level may have been killed
// before syncing it.
func (o osFS) MkdirAll(name string) error {
	name = filepath.Clean(name)
	missing := []string{}
	level := name
	for {
		info, err := os.Stat(level)
		if err == nil {
			if !info.IsDir() {
				return &fs.PathError{Op: "mkdir", Path: level, Err: syscall.ENOTDIR}
			}
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, level)
		parent := filepath.Dir(level)
		if parent == level {
			return err
		}
		level = parent
	}
	// A directory above leat's own may be closed to it; then it was not leat that made this level.
	if err := o.SyncDir(filepath.Dir(level)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := o.SyncDir(filepath.Dir(missing[i])); err != nil {
			return err
		}
	}
	return nil
}

func (osFS) SyncDir(name string) error {
	if err := syncDir(name); err != nil {
		return fmt.Errorf("sync directory %s: %w", name, err)
	}
	return nil
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil // closing the file releases the lock
}

func (osFS) Usage(name string) (Usage, error) {
	u, err := usage(name)
	if err != nil {
		return Usage{}, fmt.Errorf("free space of %s: %w", name, err)
	}
	return u, nil
}

type osFile struct{ *os.File }

func openOS(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, filePerm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (f osFile) Sync() error {
	if err := datasync(f.File); err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return nil
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Allocate(size int64) error {
	err := allocate(f.File, size)
	if errors.Is(err, errors.ErrUnsupported) {
		err = writeZeros(f.File, size)
	}
	if err != nil {
		return &fs.PathError{Op: "allocate", Path: f.Name(), Err: err}
	}
	return nil
}

func (f osFile) Prefetch(off, n int64) { prefetch(f.File, off, n) }

// writeZeros extends f to size where the file system cannot reserve room. A failure leaves the size as it was.
func writeZeros(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, 256<<10)
	for off := info.Size(); off < size; {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
		if err != nil {
			return errors.Join(err, f.Truncate(info.Size()))
		}
		off += int64(n)
	}
	return nil
}
