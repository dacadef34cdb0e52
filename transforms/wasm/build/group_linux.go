package build

import "syscall"

// ownGroup starts a compiler in a group of its own, and lets the kernel kill it when leat dies, however that happens, which the kernel
// takes for the end of the thread that started it. What the compiler has started itself ends when nobody reads its output.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
