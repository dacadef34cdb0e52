package wasm

import (
	"context"
	"errors"
)

// Reasons to replace an instance between calls.
const (
	wornByMemory = "memory"
	wornByCalls  = "calls"
)

// An instance's memory never shrinks. One that has grown by hard of the room between its start and its limit is replaced;
// beyond soft another one is made in the background, so that it is there by then. A memory that is large and does not grow
// any more, such as a full cache, is left alone.
const (
	soft = 3.0 / 4
	hard = 15.0 / 16
)

// filled is whether the memory has grown by more than a share of the room that it had at the start.
func (i *instance) filled(share float64) bool {
	room, taken := float64(i.m.cfg.MemoryLimit-i.start), float64(int64(i.mod.Memory().Size())-i.start)
	return taken > share*room
}

// renew looks at an instance after a call and returns it, or another one in its place if it is worn: a module that leaks
// then does not get to the limit where its calls fail. Without one it returns nil and an error.
func (m *Module) renew(ctx context.Context, i *instance) (*instance, error) {
	if now := int64(i.mod.Memory().Size()); now > i.grown {
		i.grown = now
		switch {
		case m.cfg.KeepWorn:
		case i.filled(hard):
			i.worn = wornByMemory
		case i.filled(soft):
			m.wantSpares()
		}
	}
	if m.cfg.MaxCalls > 0 && i.calls >= m.cfg.MaxCalls && i.worn == "" {
		if !m.pool.untouched() { // it is good for some calls more, until another one is ready
			m.wantSpares()
			return i, nil
		}
		i.worn = wornByCalls
	}
	if i.worn == "" {
		return i, nil
	}
	m.cfg.Replaced(i.worn)
	err := m.lose(ctx, i)
	next, failed := m.obtain(ctx, false)
	return next, errors.Join(err, failed)
}
