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

// An instance's memory never shrinks. One that has grown by soft of the room between its start and its limit is replaced
// once another one is ready, which is made in the background; beyond hard it is replaced at once. A memory that is large
// and does not grow any more, such as a full cache, is left alone.
const (
	soft = 3.0 / 4
	hard = 15.0 / 16
)

// renew looks at an instance after a call and returns it, or another one in its place if it is worn: a module that leaks
// then never gets to the limit where its calls fail. Without one it returns nil and an error.
func (m *Module) renew(ctx context.Context, i *instance) (*instance, error) {
	now, full := int64(i.mod.Memory().Size()), false
	if now > i.grown {
		room := float64(m.cfg.MemoryLimit - i.start)
		taken := float64(now - i.start)
		if taken > soft*room && !m.cfg.KeepWorn {
			i.worn, full = wornByMemory, taken > hard*room
		}
		i.grown = now
	}
	if m.cfg.MaxCalls > 0 && i.calls >= m.cfg.MaxCalls && i.worn == "" {
		i.worn = wornByCalls
	}
	if i.worn == "" {
		return i, nil
	}
	if !full && !m.pool.untouched() {
		m.wantSpares()
		return i, nil
	}
	m.cfg.Replaced(i.worn)
	err := m.lose(ctx, i)
	next, failed := m.obtain(ctx, false)
	return next, errors.Join(err, failed)
}
