package delivery

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// backlog counts what has been sealed and not been committed, so that a sink that is down does not fill the disk.
type backlog struct {
	objects atomic.Int64 // sealed objects
	bytes   atomic.Int64 // their bytes in the spool
	other   atomic.Int64 // commits without an object
	writing atomic.Int64 // of the objects, those that are not yet whole in the spool

	// What covered positions take in memory, in bytes: those of the sealed objects, and the committed ones above the
	// checkpoints.
	promised, covered atomic.Int64

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when something was committed
}

func (b *backlog) init() {
	b.changed = make(chan struct{})
}

func (b *backlog) add(bytes int64) {
	b.objects.Add(1)
	b.bytes.Add(bytes)
}

// committed tells those who wait.
func (b *backlog) committed() {
	b.mu.Lock()
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
}

func (b *backlog) watch() chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// room waits until another object may be sealed. fits says whether there is room for one more; it is not asked when none
// is on its way, because then nothing would make any. tell is called once a second while it waits.
func (b *backlog) room(ctx context.Context, failed <-chan struct{}, fits func() bool, tell func()) error {
	for {
		changed := b.watch()
		objects := b.objects.Load()
		if objects < maxPending && b.bytes.Load() < maxSpooled && (objects == 0 || fits()) {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(checkEvery):
			tell()
		case <-failed:
			return context.Canceled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// empty waits until everything is committed.
func (b *backlog) empty(ctx context.Context) error {
	for {
		changed := b.watch()
		if b.objects.Load() == 0 && b.other.Load() == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
