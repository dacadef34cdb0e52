package wasm

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/leatstream/leat/core/fault"
)

// linearMemory is the memory of one instance, kept outside Go's heap where the system allows it: a new instance then neither
// copies its memory as it grows nor makes Go collect garbage sooner, and what it costs is given back with it. Measured,
// a Go guest of 3 MB starts in half the time.
//
// wazero frees memory when a module ends itself or is stopped, while there are still questions to its memory, such as
// which record it was working on. So Free does nothing, and release does it when the instance is thrown away.
type linearMemory interface {
	experimental.LinearMemory
	release()
	// denied is whether the system had no memory when it was asked last.
	denied() bool
	// keep makes the memory, of size bytes, what forget puts back, at the cost of the pages that were written to in between; so
	// do the second keep and those after it. It is false where the system has no such thing, and what forget then puts back is nobody's.
	// forget is told the size that the memory has now; what is new is zero.
	keep(size int) bool
	forget(size int) error
}

// allocator notes the memory that wazero asks for in the instance that it is for.
type allocator struct{ i *instance }

// Allocate implements experimental.MemoryAllocator. capacity and most are bytes.
func (a allocator) Allocate(_, most uint64) experimental.LinearMemory {
	a.i.memory = mapMemory(most)
	if a.i.memory == nil {
		a.i.memory = new(heapMemory)
	}
	return a.i.memory
}

// errNoMemory means that there is no memory for a new instance.
var errNoMemory = errors.New("the system has no memory to give")

// newInstance has the runtime make an instance with the memory of i. The runtime panics if an allocator has no memory to begin with.
func (m *Module) newInstance(ctx context.Context, i *instance, cfg wazero.ModuleConfig) (mod api.Module, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if i.memory == nil || !i.memory.denied() {
			panic(p)
		}
		err = fault.New(fault.Unavailable, CodeNoMemory, "make an instance of %s: %w", m.cfg.name(), errNoMemory).
			WithHint("look at the limits of the process (ulimit -a, its cgroup) and at vm.max_map_count and vm.overcommit_memory")
	}()
	return m.runtime.InstantiateModule(ctx, m.compiled, cfg)
}

// heapMemory is memory where none can be mapped.
type heapMemory struct{ bytes []byte }

func (h *heapMemory) Reallocate(size uint64) []byte {
	h.bytes = append(h.bytes, make([]byte, size-uint64(len(h.bytes)))...)
	return h.bytes
}

func (h *heapMemory) Free()            {}
func (h *heapMemory) release()         {}
func (h *heapMemory) denied() bool     { return false }
func (h *heapMemory) keep(int) bool    { return false }
func (h *heapMemory) forget(int) error { return nil }
