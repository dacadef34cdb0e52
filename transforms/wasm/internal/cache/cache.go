// Package cache keeps a cache folder from growing without bound.
//
// Whatever lies directly in the folder is an entry, a file or a folder; its modification time says when it was last used. At
// most once a day, whoever is done with the folder removes what was not used for long, and the oldest where there is too much.
// Processes that use the folder share a lock on it, and only one that has it alone removes: nothing vanishes in use.
package cache

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// maxAge is how long an entry stays unused. Pipelines run for weeks between starts, and an entry that is gone costs them seconds.
	maxAge = 30 * 24 * time.Hour
	// maxBytes is what the entries take together: about 200 modules of Go.
	maxBytes = 1 << 30
	// keepAge is how long the size alone removes nothing: a path that was handed out is read after the folder was closed.
	keepAge = time.Hour
	// trimInterval is the time between two looks for what to remove.
	trimInterval = 24 * time.Hour
	// lockName is the file whose lock is that of the folder. Its modification time says when the folder was last trimmed.
	lockName = "lock"
)

// Dir is an open cache folder. Nothing is removed from it until it is closed.
type Dir struct {
	path string
	lock *os.File // nil if this user may not write to the folder
}

// Open makes the folder and keeps others from trimming it. It waits for one that does. The folder is the cache's alone: what
// else lies in it is removed in time.
func Open(ctx context.Context, path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return &Dir{path: path}, nil // such a folder, of an image perhaps, is good for reading
	}
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, f, syscall.LOCK_SH); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Dir{path, f}, nil
}

// Close trims the folder if that is due and nobody else has it open: last, so that what was just used is not what goes.
func (d *Dir) Close() {
	if d.lock == nil {
		return
	}
	info, err := d.lock.Stat()
	if err == nil && time.Since(info.ModTime()).Abs() > trimInterval && flock(d.lock, syscall.LOCK_EX) == nil {
		d.trim()
	}
	_ = d.lock.Close() // nothing was written to it
}

// Use returns the path of an entry and notes that it is in use, if it is there.
func (d *Dir) Use(name string) string {
	path := filepath.Join(d.path, name)
	_ = os.Chtimes(path, time.Time{}, time.Now()) // without it, the entry is made again one day
	return path
}

// Lock waits until the caller alone holds the lock of that name. The lock's file stays: removing it would let two lock two files.
func (d *Dir) Lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, f, syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// wait locks f as soon as others allow it.
func wait(ctx context.Context, f *os.File, how int) error {
	for {
		err := flock(f, how)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func flock(f *os.File, how int) error {
	return os.NewSyscallError("flock", syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB))
}

// trim removes old entries. What cannot be removed stays for another day: a cache that is too large fails nobody.
func (d *Dir) trim() {
	now := time.Now()
	_ = os.Chtimes(d.lock.Name(), time.Time{}, now)
	names, err := os.ReadDir(d.path)
	if err != nil {
		return
	}
	type entry struct {
		path string
		age  time.Duration
	}
	var entries []entry
	for _, e := range names {
		if info, err := e.Info(); err == nil && e.Name() != lockName {
			entries = append(entries, entry{filepath.Join(d.path, e.Name()), now.Sub(info.ModTime())})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.age, b.age) })
	var total int64
	for _, e := range entries {
		total += size(e.path)
		if e.age > maxAge || total > maxBytes && e.age > keepAge {
			_ = os.RemoveAll(e.path)
		}
	}
}

// size returns what the files at and below path have, in bytes.
func size(path string) (total int64) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read does not count
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}
