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
	writing atomic.Int64 // of the objects, those that are not yet whole in the spool

	// What covered positions take in memory, in bytes: those of the sealed objects, and the committed ones above the
	// checkpoints.
	promised, covered atomic.Int64

	mu      sync.Mutex
	changed chan struct{}  // closed and replaced when something was committed
	epoch   uint64         // drains so far
	left    map[uint64]int // commits to come of what was begun in each epoch
}

func (b *backlog) init() {
	b.changed, b.left = make(chan struct{}), map[uint64]int{}
}

// add counts an object, and begins its commit.
func (b *backlog) add(bytes int64) (epoch uint64) {
	b.objects.Add(1)
	b.bytes.Add(bytes)
	return b.begin()
}

// begin counts a commit to come.
func (b *backlog) begin() (epoch uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left[b.epoch]++
	return b.epoch
}

// end counts a commit that was begun in an epoch.
func (b *backlog) end(epoch uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left[epoch]--; b.left[epoch] == 0 {
		delete(b.left, epoch)
	}
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

// turn begins a new epoch and returns the one before.
func (b *backlog) turn() (epoch uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch++
	return b.epoch - 1
}

// empty waits until everything that was begun up to an epoch is committed. What came after may still be under way.
func (b *backlog) empty(ctx context.Context, epoch uint64) error {
	for {
		changed, done := b.watch(), true
		b.mu.Lock()
		for begun := range b.left {
			done = done && begun > epoch
		}
		b.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
