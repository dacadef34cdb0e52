package lambda

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// fionread asks how much there is to read.
const fionread = unix.TIOCINQ

// ownGroup starts a process in a group of its own, and lets the kernel kill it when leat dies, however that happens. Processes that
// it starts itself are not killed then; they see the end of their input.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until the process has ended, and leaves it in the system's table.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
