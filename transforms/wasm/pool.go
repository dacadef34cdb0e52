package wasm

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// spares is how many instances more than calls a module may have at a time, the judge's apart. They are made in the background once instances
// get lost or worn, so that the next batch does not wait for a replacement: a poison record costs two, one that it breaks
// together with others and one that it breaks alone.
const spares = 2

// spareTime is how long spares are kept after an instance was lost or worn.
const spareTime = time.Minute

// pool bounds the instances and keeps those that are not in use.
type pool struct {
	slots chan struct{} // one element for each call under way

	mu     sync.Mutex
	idle   []*instance   // the one used last is the last
	live   int           // all instances: in use, idle, and being made
	making bool          // whether one of them is being made in the background
	waits  int           // callers that wait for it
	made   chan struct{} // closed and replaced whenever that one is ready, or cannot be made
	wanted time.Time     // when spares were last wanted
	closed bool
}

func (p *pool) init(calls int) {
	p.slots, p.made = make(chan struct{}, calls), make(chan struct{})
}

// most is how many instances there should be; p.mu is held.
func (p *pool) most() int {
	if !p.wanted.IsZero() && time.Since(p.wanted) < spareTime {
		return cap(p.slots) + spares
	}
	return cap(p.slots)
}

// get returns an idle instance: the one used last, whose memory is the warmest, or with fresh one that no record has
// touched. Without one it returns nil, and a channel to wait on if one is being made; without that the caller makes one,
// which is counted already, in place of the instance to close, if there is one.
func (p *pool) get(fresh bool) (i *instance, wait <-chan struct{}, instead *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for n := len(p.idle) - 1; n >= 0; n-- {
		if p.idle[n].touched() != fresh {
			best = n
			break
		} else if !fresh && best < 0 {
			best = n
		}
	}
	if best >= 0 {
		return p.remove(best), nil, nil
	}
	if p.making && p.waits == 0 { // a second caller makes one of its own
		p.waits++
		return nil, p.made, nil
	}
	if p.live >= cap(p.slots)+spares {
		return nil, nil, p.remove(0) // not fresh, and there must be one: fewer than cap(slots) are in use
	}
	p.live++
	return nil, nil, nil
}

// remove takes an idle instance out; p.mu is held.
func (p *pool) remove(n int) *instance {
	i := p.idle[n]
	copy(p.idle[n:], p.idle[n+1:])
	p.idle[len(p.idle)-1] = nil
	p.idle = p.idle[:len(p.idle)-1]
	return i
}

// put keeps an instance that is not in use, and returns one to close if there are more than there should be.
func (p *pool) put(i *instance) (surplus *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, i)
	if p.live > p.most() {
		p.live--
		return p.remove(0)
	}
	return nil
}

// gone counts an instance that is no more.
func (p *pool) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
}

// untouched is whether there is an idle instance that no record has touched.
func (p *pool) untouched() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.idle {
		if !i.touched() {
			return true
		}
	}
	return false
}

// take waits for a free slot and returns an instance, a new one if none is idle or, with fresh, none that no record has
// touched.
func (m *Module) take(ctx context.Context, fresh bool) (*instance, error) {
	select {
	case m.pool.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if ctx.Err() != nil { // select may have seen the slot first
		<-m.pool.slots
		return nil, context.Cause(ctx)
	}
	i, err := m.obtain(ctx, fresh)
	if err != nil {
		<-m.pool.slots
	}
	return i, err
}

// obtain returns an instance to a caller that has a slot.
func (m *Module) obtain(ctx context.Context, fresh bool) (*instance, error) {
	for {
		i, wait, instead := m.pool.get(fresh)
		if i != nil {
			return i, nil
		}
		if wait == nil {
			return m.replaceNow(ctx, instead)
		}
		select {
		case <-wait:
		case <-ctx.Done():
		}
		m.pool.mu.Lock()
		m.pool.waits--
		m.pool.mu.Unlock()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// replaceNow makes an instance, which is counted, after it has closed old, if that is not nil.
func (m *Module) replaceNow(ctx context.Context, old *instance) (*instance, error) {
	if old != nil {
		if err := old.close(ctx); err != nil {
			m.pool.gone()
			return nil, err
		}
	}
	i, err := m.instantiate(ctx)
	if err == nil {
		return i, nil
	}
	m.pool.gone()
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
	defer func() { <-m.pool.slots }()
	if surplus := m.pool.put(i); surplus != nil {
		return surplus.close(ctx)
	}
	return nil
}

// dear is whether it is cheaper to save an instance before each call than to make another one after a call that failed.
func (m *Module) dear() bool { return time.Duration(m.making.Load()) > dearMaking }

// dearMaking is what some savepoints take, of 20 to 50 microseconds each.
const dearMaking = 200 * time.Microsecond

// lose throws the instance of a caller away, who keeps the slot, and has others made in the background.
func (m *Module) lose(ctx context.Context, i *instance) error {
	err := i.close(ctx)
	m.pool.gone()
	m.wantSpares()
	return err
}

// wantSpares has spares made in the background.
func (m *Module) wantSpares() {
	p := &m.pool
	p.mu.Lock()
	p.wanted = time.Now()
	p.mu.Unlock()
	m.fill()
}

// fill has instances made in the background, one after the other, until there are as many as there should be.
func (m *Module) fill() {
	p := &m.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.making || p.closed || p.live >= p.most() {
		return
	}
	p.making = true
	p.live++
	m.warm.Go(m.makeInstances)
}

func (m *Module) makeInstances() {
	p := &m.pool
	for {
		i, err := m.instantiate(m.background)
		p.mu.Lock()
		if err != nil { // whoever needs the instance makes it and reports the error
			p.live--
		} else {
			p.idle = append([]*instance{i}, p.idle...) // the others are warm
		}
		p.making = err == nil && !p.closed && p.live < p.most()
		if p.making {
			p.live++
		}
		close(p.made)
		p.made = make(chan struct{})
		more := p.making
		p.mu.Unlock()
		if !more {
			return
		}
	}
}

// closeInstances closes what is idle. No call is under way.
func (m *Module) closeInstances(ctx context.Context) error {
	p := &m.pool
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	m.stop()
	m.warm.Wait()
	var errs []error
	for _, i := range p.idle {
		errs = append(errs, i.close(ctx))
	}
	p.idle, p.live = nil, p.live-len(p.idle)
	return errors.Join(append(errs, m.judge.dismiss(ctx))...)
}
