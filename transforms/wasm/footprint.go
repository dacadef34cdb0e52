package wasm

import (
	"context"
	"errors"

	"github.com/leatstream/leat/transforms/wasm/abi"
)

// Footprint is the memory of the largest instance that is not in a call just now, in bytes. A memory never shrinks, so what it is more
// than before is what the module has asked for meanwhile.
func (m *Module) Footprint() int64 {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	most := int64(0)
	for _, i := range m.pool.idle {
		most = max(most, int64(i.mod.Memory().Size()))
	}
	return most
}

// Allocations is how many objects the instance that was used last has allocated since its start, of which garbage collection has
// freed many; ok is false if the module does not say.
func (m *Module) Allocations(ctx context.Context) (n uint64, ok bool, err error) {
	i, err := m.take(ctx, false)
	if err != nil {
		return 0, false, err
	}
	f := i.mod.ExportedFunction(abi.ExportAllocated)
	if f == nil {
		return 0, false, m.give(ctx, i)
	}
	if err := i.call(ctx, abi.ExportAllocated, f); err != nil {
		defer func() { <-m.pool.slots }()
		return 0, false, errors.Join(err, m.lose(ctx, i))
	}
	return i.stack[0], true, m.give(ctx, i)
}
