//go:build unix && !linux

package build

import "syscall"

// ownGroup starts a compiler in a group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
