// Package turns bounds how many of some costly things go on at a time.
package turns

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// Turns lets some go on at a time. Of those that wait, the newest is next: it is of what somebody has just edited, while the first
// ones are of all that a server starts with.
type Turns struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{} // the oldest first; closed when it is their turn
}

// New returns the turns of work that keeps most of a core busy and takes hundreds of megabytes: as many as there are cores, and two at
// least, so that what takes long does not keep all others waiting.
func New() *Turns { return &Turns{free: max(2, runtime.GOMAXPROCS(0))} }

// Wait returns nil when it is the caller's turn, who then calls Leave, or the cause of the end of ctx.
func (t *Turns) Wait(ctx context.Context) error {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	t.waiting = append(t.waiting, turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	at := slices.Index(t.waiting, turn)
	if at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 { // the turn came at the same moment
		t.Leave()
	}
	return context.Cause(ctx)
}

// Leave passes the turn on.
func (t *Turns) Leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.waiting) - 1
	if last < 0 {
		t.free++
		return
	}
	close(t.waiting[last])
	t.waiting = t.waiting[:last]
}
