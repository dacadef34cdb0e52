package wasm

import (
	"bytes"
	"strconv"

	"github.com/tetratelabs/wazero/api"
)

// savepoint is the state of an instance at one moment, to be put back: its memory and its globals. A module whose tables
// change has more state, and no savepoint ([restorable]).
type savepoint struct {
	taken   bool // and the state is still that, but for a call under way
	calls   int
	size    int    // bytes of memory
	memory  []byte // a copy of it, where the system does not keep it
	globals []api.MutableGlobal
	values  []uint64
}

// maxGrown is how much of the room between its size at the savepoint and its limit a memory may have grown by to be put
// back: it cannot shrink.
const maxGrown = 1.0 / 16

// maxKept bounds the memories that are kept before each call, in bytes: to look for what has changed takes time by their size, and what is
// kept takes as much as they do.
const maxKept = 64 << 20

// save notes the state of the instance between calls. It is false if the module's state cannot be put back or, unless copy
// allows to copy all of the memory, it is large or the system does not help.
func (i *instance) save(copy bool) bool {
	s := &i.saved
	if s.taken = false; i.m.variables < 0 {
		return false
	}
	s.memory, s.size = nil, int(i.mod.Memory().Size())
	if s.size > maxKept && !copy {
		return false
	}
	if !i.memory.keep(s.size) {
		if !copy {
			return false
		}
		view, _ := i.mod.Memory().Read(0, uint32(s.size))
		s.memory = bytes.Clone(view)
	}
	if s.globals == nil { // metering's are set for each call
		for n := range i.m.variables {
			s.globals = append(s.globals, i.mod.ExportedGlobal(exportGlobal+strconv.Itoa(n)).(api.MutableGlobal))
		}
		s.values = make([]uint64, len(s.globals))
	}
	for n, g := range s.globals {
		s.values[n] = g.Get()
	}
	s.taken, s.calls = true, i.calls
	return true
}

// undo puts the instance back to what it was at the last savepoint, which stays. It is false, and the instance of no use, if
// there is none or that cannot be: a module that was stopped by the clock alone is closed.
func (i *instance) undo() bool {
	s, mem := &i.saved, i.mod.Memory()
	now := int(mem.Size())
	if !s.taken || i.mod.IsClosed() || float64(now-s.size) > maxGrown*float64(i.m.cfg.MemoryLimit-int64(s.size)) {
		return false
	}
	if !i.m.cfg.KeepWorn && i.filled(soft) { // its calls may fail for want of the room that another has
		return false
	}
	if s.memory == nil {
		if i.memory.forget(now) != nil {
			return false
		}
	} else {
		mem.Write(0, s.memory)
		rest, _ := mem.Read(uint32(s.size), uint32(now-s.size))
		clear(rest)
	}
	for n, g := range s.globals {
		g.Set(s.values[n])
	}
	i.calls = s.calls
	return true
}
