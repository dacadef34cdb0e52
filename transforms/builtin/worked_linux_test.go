package builtin_test

import (
	"time"

	"golang.org/x/sys/unix"
)

// worked is how long the calling thread has worked: what other programs do at the same time does not count.
func worked() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
