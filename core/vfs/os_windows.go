package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func datasync(f *os.File) error { return f.Sync() }

func allocate(*os.File, int64) error { return errors.ErrUnsupported }

func prefetch(*os.File, int64, int64) {}

// syncDir has nothing to do: Windows offers no way to sync a directory; NTFS journals its entries in order.
func syncDir(name string) error {
	_, err := os.Stat(name)
	return err
}

func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

func usage(name string) (Usage, error) {
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	err = windows.GetDiskFreeSpaceEx(path, &u.Free, &u.Total, nil)
	return u, err
}
