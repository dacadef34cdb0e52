//go:build unix && !linux

// Package procgroup starts programs that end with leat.
package procgroup

import "syscall"

// Own starts a program in a process group of its own. When leat dies, it sees the end of its input, or that nobody reads its output.
func Own() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
