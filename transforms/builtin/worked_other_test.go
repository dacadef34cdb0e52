//go:build !linux

package builtin_test

import "time"

var started = time.Now()

// worked is how much time has gone by; other systems do not say how long a thread has worked.
func worked() time.Duration { return time.Since(started) }
