package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// control runs call on the descriptor of f, which cannot be closed meanwhile, again when a signal interrupts it.
func control(f *os.File, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) {
		for {
			if result = call(int(fd)); result != unix.EINTR {
				return
			}
		}
	}); err != nil {
		return err
	}
	return result
}

func datasync(f *os.File) error { return control(f, unix.Fdatasync) }

func allocate(f *os.File, size int64) error {
	if size <= 0 {
		return nil
	}
	// unix.EOPNOTSUPP and unix.ENOSYS are errors.ErrUnsupported.
	return control(f, func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
}

func prefetch(f *os.File, off, n int64) {
	control(f, func(fd int) error { return unix.Fadvise(fd, off, n, unix.FADV_WILLNEED) })
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	err = control(d, unix.Fsync)
	// Some network and FUSE file systems have nothing to sync in a directory and say so this way.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

func lockFile(f *os.File) error {
	err := control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

func usage(name string) (Usage, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(name, &st)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return Usage{}, err
		}
	}
	return Usage{Free: st.Bavail * uint64(st.Bsize), Total: st.Blocks * uint64(st.Bsize)}, nil
}
