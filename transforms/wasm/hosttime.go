package wasm

import (
	"crypto/rand"
	"errors"
	"time"
)

// The functions that a guest calls cost it next to no fuel, and their loops are the host's: what takes long in them looks at the time
// itself. Without that, one fd_write with a million times the same memory would take hours.

// errOvertime ends a call in a host function.
var errOvertime = errors.New("the call takes too long in a function of the host")

// checkTime ends the current call if it is to end. It must be called from host functions only, in the call's goroutine.
func (i *instance) checkTime() {
	if i.within.Err() != nil || !i.until.IsZero() && time.Now().After(i.until) {
		panic(errOvertime)
	}
}

// sleep is how a guest sleeps: until the call is to end, at most.
func (i *instance) sleep(d time.Duration) {
	if !i.until.IsZero() {
		d = min(d, time.Until(i.until)+time.Millisecond)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.within.Done():
	}
	i.checkTime()
}

// randomness is where a guest gets its random bytes from.
type randomness struct{ i *instance }

func (r randomness) Read(p []byte) (int, error) {
	r.i.checkTime()
	return rand.Read(p[:min(len(p), 1<<20)])
}
