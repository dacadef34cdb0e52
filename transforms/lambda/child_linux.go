package lambda

import (
	"errors"

	"golang.org/x/sys/unix"
)

// fionread asks how much there is to read.
const fionread = unix.TIOCINQ

// awaitExit waits until the process has ended, and leaves it in the system's table.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
