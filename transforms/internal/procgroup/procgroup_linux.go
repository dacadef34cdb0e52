// Package procgroup starts programs that end with leat.
package procgroup

import "syscall"

// Own starts a program in a process group of its own, and lets the kernel kill it when leat dies, however that happens, which the kernel takes
// for the end of the thread that started it: that thread has to last. What the program has started itself is not killed then; it sees the end
// of its input, or that nobody reads its output.
func Own() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
