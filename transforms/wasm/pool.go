package wasm

import (
	"context"
	"errors"
	"sync"

	"github.com/leatstream/leat/core/fault"
)

// pool bounds the instances in use and keeps those that are not.
type pool struct {
	slots chan struct{} // one element for each Apply under way
	mu    sync.Mutex
	idle  []*instance
}

// put keeps an instance. It returns false if there are enough.
func (p *pool) put(i *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == cap(p.slots) {
		return false
	}
	p.idle = append(p.idle, i)
	return true
}

// get returns the instance used last, whose memory is the warmest, or nil.
func (p *pool) get() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	i := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return i
}

// take waits for a free slot and returns an instance, a new one if none is idle.
func (m *Module) take(ctx context.Context) (*instance, error) {
	select {
	case m.pool.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if i := m.pool.get(); i != nil {
		return i, nil
	}
	i, err := m.instantiate(ctx)
	if err == nil {
		return i, nil
	}
	<-m.pool.slots
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	// The first instance could be made, so this is about the machine or the module's mood, not about the records.
	var known *fault.Error
	if errors.As(err, &known) {
		known.Class = fault.Unavailable
	}
	return nil, err
}

// give returns an instance that is as good as new.
func (m *Module) give(ctx context.Context, i *instance) error {
	if m.pool.put(i) {
		<-m.pool.slots
		return nil
	}
	return m.drop(ctx, i)
}

// drop throws an instance away.
func (m *Module) drop(ctx context.Context, i *instance) error {
	err := i.mod.Close(context.WithoutCancel(ctx))
	<-m.pool.slots
	return err
}
