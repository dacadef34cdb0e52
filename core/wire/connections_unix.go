//go:build unix

package wire

import "syscall"

// openFiles is how many files the process may have open.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) > manyFiles {
		return manyFiles
	}
	return int(limit.Cur)
}

// manyFiles is as good as no limit.
const manyFiles = 1 << 20
