package build

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// compilers bounds how many compilers this process runs at a time, each of which takes hundreds of megabytes and more than one core.
var compilers = turns{free: max(2, runtime.GOMAXPROCS(0)/2)}

// turns lets a number of builds go on at a time. Of those that wait, the newest is next: it is of what somebody has just edited, while
// the first ones are of all that a server starts with.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{} // the oldest first; closed when it is their turn
}

// wait returns nil when it is the caller's turn, who then calls leave, or the cause of the end of ctx.
func (t *turns) wait(ctx context.Context) error {
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
		t.leave()
	}
	return context.Cause(ctx)
}

// leave passes the turn on.
func (t *turns) leave() {
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
