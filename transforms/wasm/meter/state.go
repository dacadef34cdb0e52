package meter

// FixedTables reports whether no instruction of a module changes a table, or drops a segment: what the module keeps between calls is
// then in its memory and its globals alone. It is false for a module that it cannot read.
func FixedTables(wasm []byte) bool {
	m, err := parse(wasm)
	if err != nil {
		return false
	}
	for i := range m.bodies {
		d := m.decoder(&m.bodies[i])
		var in instr
		for d.next(&in) {
			switch in.op {
			case opTableSet, opTableInit, opTableCopy, opTableGrow, opTableFill, opElemDrop, opDataDrop:
				return false
			}
		}
		if d.err != nil {
			return false
		}
	}
	return true
}
