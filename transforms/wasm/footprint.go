package wasm

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
