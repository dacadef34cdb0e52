//go:build unix && !linux

package wasm

func adviseHuge([]byte) {}

// kept is what the system keeps of a memory: nothing.
type kept struct{}

func (*kept) release() {}

func (m *mappedMemory) keep(int) bool    { return false }
func (m *mappedMemory) forget(int) error { return nil }
