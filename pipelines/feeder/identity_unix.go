//go:build unix

package feeder

import (
	"io/fs"
	"os"
	"syscall"
)

const supported = true

func identify(fi fs.FileInfo) (id identity, links uint64) {
	st := fi.Sys().(*syscall.Stat_t)
	return identity{dev: uint64(st.Dev), ino: uint64(st.Ino)}, uint64(st.Nlink)
}

// open does not wait for a writer should the path have become a named pipe.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
