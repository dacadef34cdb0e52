//go:build unix && !linux

package wasm

func adviseHuge([]byte) {}

func (m *mappedMemory) keep(int) bool    { return false }
func (m *mappedMemory) forget(int) error { return nil }
