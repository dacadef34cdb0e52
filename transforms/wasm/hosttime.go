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

// checkTime ends the current call if its time is over; a program, which is no call, has no limit. It must be called from host functions only, in the call's goroutine.
func (i *instance) checkTime() {
	if i.within != nil && i.m.cfg.Guard != None && (i.within.Err() != nil || time.Now().After(i.until)) {
		panic(errOvertime)
	}
}

// nap is how a guest sleeps: for a short while, after which it looks at the clock and sleeps again.
func (i *instance) nap(ns int64) {
	time.Sleep(min(time.Duration(ns), maxNap))
	i.checkTime()
}

// randomness is where a guest gets its random bytes from.
type randomness struct{ i *instance }

func (r randomness) Read(p []byte) (int, error) {
	r.i.checkTime()
	return rand.Read(p[:min(len(p), 1<<20)])
}
