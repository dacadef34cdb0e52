package disk

import (
	"context"
	"fmt"
	"sync"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// waiter is somebody who waits for a record. It is woken once.
type waiter struct {
	from uint64
	ch   chan struct{}
}

func (w *waiter) wake() {
	select {
	case w.ch <- struct{}{}:
	default:
	}
}

// newWaiter returns a waiter. The pool is the log's own: channels must not pass from one test's bubble of time to another's.
func (l *Log) newWaiter() *waiter {
	if w, ok := l.idleWaiters.Get().(*waiter); ok {
		return w
	}
	return &waiter{ch: make(chan struct{}, 1)}
}

// ready takes the waiters off the shard's list that the newest record satisfies. The caller holds idx.
func (s *shard) ready(out []*waiter) []*waiter {
	if len(s.waiters) == 0 {
		return out
	}
	kept := s.waiters[:0]
	for _, w := range s.waiters {
		if w.from < s.next {
			out = append(out, w)
		} else {
			kept = append(kept, w)
		}
	}
	clear(s.waiters[len(kept):])
	s.waiters = kept
	return out
}

// Wait implements shardlog.Log.
func (l *Log) Wait(ctx context.Context, id record.ShardID, from uint64) error {
	for {
		l.idx.Lock()
		sh := l.shards[id]
		switch {
		case l.closed:
			l.idx.Unlock()
			return shardlog.ErrClosed
		case sh == nil || sh.hidden:
			l.idx.Unlock()
			return fmt.Errorf("%v: %w", id, shardlog.ErrNoShard)
		case from < sh.next || sh.closed != 0:
			l.idx.Unlock()
			return nil
		}
		w := l.newWaiter()
		w.from = from
		sh.waiters = append(sh.waiters, w)
		l.idx.Unlock()
		if err := l.await(ctx, w, &sh.waiters); err != nil {
			return err
		}
	}
}

// await blocks until w is woken or ctx is done; then it takes w off the list.
func (l *Log) await(ctx context.Context, w *waiter, list *[]*waiter) error {
	select {
	case <-w.ch:
		l.idleWaiters.Put(w)
		return nil
	case <-ctx.Done():
	}
	l.idx.Lock()
	defer l.idx.Unlock()
	for i, o := range *list {
		if o == w {
			last := len(*list) - 1
			(*list)[i] = (*list)[last]
			(*list)[last] = nil
			*list = (*list)[:last]
			break
		}
	}
	// If it was not on the list any more its wake-up is under way, so it cannot be used again.
	return context.Cause(ctx)
}

// dispatcher wakes waiters beside the committer, so that many tails do not hold up the acks. It has a goroutine only while
// there is somebody to wake.
type dispatcher struct {
	mu      sync.Mutex
	queue   []*waiter
	running bool
	done    sync.WaitGroup
}

func (d *dispatcher) add(ws []*waiter) {
	if len(ws) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, ws...)
	if !d.running {
		d.running = true
		d.done.Go(d.run)
	}
}

func (d *dispatcher) run() {
	for {
		d.mu.Lock()
		ws := d.queue
		d.queue = nil
		if len(ws) == 0 {
			d.running = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		for _, w := range ws {
			w.wake()
		}
	}
}

func (d *dispatcher) wait() { d.done.Wait() }
