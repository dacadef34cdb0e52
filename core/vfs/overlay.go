package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Overlay shows another file system and keeps all changes to itself, in memory: whoever recovers and repairs what it opens
// can then look at files that another process writes, or that must stay as they are. It takes no locks of the base.
//
// A file is copied into memory when it is opened for writing; zeros cost nothing. The base is not frozen: a file that
// another process writes changes under the reader's eyes, and one that it removes is gone.
type Overlay struct {
	base FS
	top  *Mem

	mu     sync.Mutex
	hidden map[string]bool // names of the base that were removed or renamed
}

// NewOverlay returns an overlay over base without changes.
func NewOverlay(base FS) *Overlay {
	return &Overlay{base: base, top: NewMem(), hidden: map[string]bool{}}
}

// inBase returns what the base has at name, unless it is hidden.
func (o *Overlay) inBase(name string) (fs.FileInfo, error) {
	for at := filepath.Clean(name); ; at = filepath.Dir(at) {
		if o.hidden[at] {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
		}
		if at == filepath.Dir(at) {
			return o.base.Stat(name)
		}
	}
}

// Stat implements FS.
func (o *Overlay) Stat(name string) (fs.FileInfo, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stat(name)
}

func (o *Overlay) stat(name string) (fs.FileInfo, error) {
	if info, err := o.top.Stat(name); err == nil {
		return info, nil
	}
	return o.inBase(name)
}

// mirrorDir makes the directory of name in memory, if there is one.
func (o *Overlay) mirrorDir(name string) error {
	dir := filepath.Dir(filepath.Clean(name))
	info, err := o.stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
	}
	return o.top.MkdirAll(dir)
}

// Create implements FS.
func (o *Overlay) Create(name string) (File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.mirrorDir(name); err != nil {
		return nil, err
	}
	if _, err := o.stat(name); err == nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	return o.top.Create(name)
}

// Open implements FS.
func (o *Overlay) Open(name string) (File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.lift(name); err != nil {
		return nil, err
	}
	return o.top.Open(name)
}

// lift copies a file of the base into memory, unless it is there.
func (o *Overlay) lift(name string) error {
	if _, err := o.top.Stat(name); err == nil {
		return nil
	}
	if _, err := o.inBase(name); err != nil {
		return err
	}
	if err := o.mirrorDir(name); err != nil {
		return err
	}
	from, err := o.base.OpenRead(name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := o.top.Create(name)
	if err != nil {
		return err
	}
	defer to.Close()
	size, err := from.Size()
	if err != nil {
		return err
	}
	buffer := make([]byte, 256<<10)
	for off := int64(0); off < size; {
		n, err := from.ReadAt(buffer[:min(int64(len(buffer)), size-off)], off)
		if slices.ContainsFunc(buffer[:n], func(b byte) bool { return b != 0 }) {
			if _, err := to.WriteAt(buffer[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
		if errors.Is(err, io.EOF) {
			size = off // cut by its writer meanwhile
		} else if err != nil {
			return err
		}
	}
	return to.Truncate(size)
}

// OpenRead implements FS.
func (o *Overlay) OpenRead(name string) (File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.top.Stat(name); err == nil {
		return o.top.OpenRead(name)
	}
	if _, err := o.inBase(name); err != nil {
		return nil, err
	}
	f, err := o.base.OpenRead(name)
	if err != nil {
		return nil, err
	}
	return &overlayFile{File: f, overlay: o}, nil
}

// overlayFile is a file of the base that was opened for reading; once somebody writes the file, it shows the copy.
type overlayFile struct {
	File
	overlay *Overlay
	once    sync.Mutex
	lifted  File
}

func (f *overlayFile) current() File {
	f.once.Lock()
	defer f.once.Unlock()
	if f.lifted == nil {
		if lifted, err := f.overlay.top.OpenRead(f.Name()); err == nil {
			f.lifted = lifted
		}
	}
	if f.lifted != nil {
		return f.lifted
	}
	return f.File
}

func (f *overlayFile) ReadAt(p []byte, off int64) (int, error) { return f.current().ReadAt(p, off) }

func (f *overlayFile) Size() (int64, error) { return f.current().Size() }

func (f *overlayFile) Close() error {
	f.once.Lock()
	defer f.once.Unlock()
	err := f.File.Close()
	if f.lifted != nil {
		err = errors.Join(err, f.lifted.Close())
	}
	return err
}

// MkdirAll implements FS.
func (o *Overlay) MkdirAll(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for at := filepath.Clean(name); at != filepath.Dir(at); at = filepath.Dir(at) {
		if info, err := o.stat(at); err == nil && !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
	}
	return o.top.MkdirAll(name)
}

// Remove implements FS.
func (o *Overlay) Remove(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	info, err := o.stat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if list, err := o.readDir(name); err != nil || len(list) > 0 {
			return errors.Join(err, &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY})
		}
	}
	if err := o.top.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	o.hidden[filepath.Clean(name)] = true
	return nil
}

// Rename implements FS. Directories of the base cannot be renamed.
func (o *Overlay) Rename(from, to string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	info, err := o.stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return &fs.PathError{Op: "rename", Path: from, Err: errors.ErrUnsupported}
	}
	if err := errors.Join(o.lift(from), o.mirrorDir(to)); err != nil {
		return err
	}
	if err := o.top.Rename(from, to); err != nil {
		return err
	}
	o.hidden[filepath.Clean(from)] = true
	return nil
}

// ReadDir implements FS.
func (o *Overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.readDir(name)
}

func (o *Overlay) readDir(name string) ([]fs.DirEntry, error) {
	list, err := o.top.ReadDir(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	has := map[string]bool{}
	for _, e := range list {
		has[e.Name()] = true
	}
	if _, baseErr := o.inBase(name); baseErr == nil {
		var below []fs.DirEntry
		if below, err = o.base.ReadDir(name); err != nil {
			return nil, err
		}
		for _, e := range below {
			if !has[e.Name()] && !o.hidden[filepath.Join(name, e.Name())] {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// SyncDir implements FS.
func (o *Overlay) SyncDir(name string) error {
	info, err := o.Stat(name)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", name, err)
	}
	return nil
}

// Lock implements FS. It excludes users of this overlay only.
func (o *Overlay) Lock(name string) (io.Closer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.mirrorDir(name); err != nil {
		return nil, err
	}
	return o.top.Lock(name)
}

// Usage implements FS: changes have as much room as memory has.
func (o *Overlay) Usage(name string) (Usage, error) {
	if _, err := o.Stat(name); err != nil {
		return Usage{}, err
	}
	return Usage{Free: memTotal, Total: memTotal}, nil
}
