package meter

import "strings"

// index reads an index that must be below n.
func (m *module) index(r *reader, what string, n int) uint32 {
	i := r.u32()
	if r.err == nil && uint64(i) >= uint64(n) {
		r.fail("%s %d does not exist; there are %d", what, i, n)
	}
	return i
}

func valueType(r *reader) byte {
	t := r.byte()
	switch t {
	case typeI32, typeI64, 0x7d, 0x7c, typeV128, typeFunc, typeExt:
	default:
		if r.err == nil {
			r.err = unsupported("value type %#x", t)
		}
	}
	return t
}

func (m *module) typeSection(r *reader) {
	list := func() []byte {
		n := r.count("parameters or results of a function type", maxParams)
		from := r.pos
		for ; n > 0 && r.err == nil; n-- {
			valueType(r)
		}
		return r.b[from:r.pos]
	}
	for n := r.count("types", maxTypes); n > 0 && r.err == nil; n-- {
		if form := r.byte(); form != 0x60 && r.err == nil {
			r.err = unsupported("type form %#x", form)
		}
		m.types = append(m.types, funcType{list(), list()})
	}
}

func (m *module) importSection(r *reader) {
	for n := r.count("imports", maxImports); n > 0 && r.err == nil; n-- {
		r.name()
		r.name()
		switch kind := r.byte(); kind {
		case 0:
			m.funcs = append(m.funcs, m.index(r, "type", len(m.types)))
			m.imported++
		case 1:
			t := tableType(r)
			t.imported = true
			m.tables = append(m.tables, t)
		case 2:
			memoryType(r)
			m.memories++
		case 3:
			valueType(r)
			r.byte()
			m.globals++
		default:
			if r.err == nil {
				r.err = unsupported("import kind %#x", kind)
			}
		}
	}
}

func tableType(r *reader) (t table) {
	t.kind = r.byte()
	flags := r.byte()
	if r.err == nil && (t.kind != typeFunc && t.kind != typeExt || flags > 1) {
		r.err = unsupported("table type %#x with flags %#x", t.kind, flags)
	}
	t.min = r.u32()
	if flags == 1 {
		t.bounded, t.max = true, r.u32()
	}
	return t
}

// checkTables bounds the tables together.
func (m *module) checkTables(r *reader) {
	var total uint64
	for _, t := range m.tables {
		total += uint64(t.min)
	}
	if total > MaxTableElements {
		r.fail("its tables have %d elements; the limit is %d", total, MaxTableElements)
	}
}

func memoryType(r *reader) {
	flags := r.byte()
	if flags > 1 && r.err == nil {
		r.err = unsupported("a memory with flags %#x (shared or of 64 bits)", flags)
	}
	r.u32()
	if flags == 1 {
		r.u32()
	}
}

func (m *module) exportSection(r *reader) {
	for n := r.count("exports", maxExports); n > 0 && r.err == nil; n-- {
		name := r.name()
		kind := r.byte()
		switch kind {
		case 0:
			m.declared[m.index(r, "function", len(m.funcs))] = true
		case 1:
			m.index(r, "table", len(m.tables))
		case 2:
			m.index(r, "memory", int(m.memories))
		case 3:
			m.index(r, "global", int(m.globals))
		default:
			if r.err == nil {
				r.err = unsupported("export kind %#x", kind)
			}
		}
		if strings.HasPrefix(name, ReservedPrefix) && r.err == nil {
			r.err = &Error{Reserved: true, Func: -1, msg: "it exports \"" + name + "\", a name that is reserved for metering"}
		}
	}
}

// startSection checks the start function's type: as an export, any type would be valid.
func (m *module) startSection(r *reader) {
	f := m.index(r, "function", len(m.funcs))
	if r.err != nil {
		return
	}
	if t := m.types[m.funcs[f]]; len(t.params)+len(t.results) > 0 {
		r.fail("the start function has parameters or results")
	}
	m.start = int64(f)
}

// constant reads a constant expression.
func (m *module) constant(r *reader) {
	for r.err == nil {
		switch op := r.byte(); op {
		case opEnd:
			return
		case opI32Const:
			r.signed(32)
		case opI64Const:
			r.signed(64)
		case opF32Const:
			r.bytes(4)
		case opF64Const:
			r.bytes(8)
		case opGlobalGet:
			m.index(r, "global", int(m.globals))
		case opRefNull:
			refType(r)
		case opRefFunc:
			m.reference(r)
		case opVec:
			if sub := r.byte(); sub != 0x0c && r.err == nil {
				r.err = unsupported("opcode 0xfd %#x in a constant", sub)
			}
			r.bytes(16)
		default:
			if r.err == nil {
				r.err = unsupported("opcode %#x in a constant", op)
			}
		}
	}
}

// reference reads the index of a function that the module refers to outside of its code.
func (m *module) reference(r *reader) {
	f := m.index(r, "function", len(m.funcs))
	m.declared[f], m.reached[f] = true, true
}

func refType(r *reader) byte {
	t := r.byte()
	if t != typeFunc && t != typeExt && r.err == nil {
		r.err = unsupported("reference type %#x", t)
	}
	return t
}

// elementSection reads segments; the flags say whether they are passive (bit 0), name a table or are declared only (bit 1) and hold
// expressions (bit 2).
func (m *module) elementSection(r *reader) {
	for n := r.count("element segments", maxSegments); n > 0 && r.err == nil; n-- {
		flags := r.u32()
		if flags > 7 {
			r.fail("element segment with flags %#x", flags)
			return
		}
		if flags&1 == 0 {
			if flags&2 != 0 {
				m.index(r, "table", len(m.tables))
			}
			m.constant(r)
		}
		if flags&3 != 0 {
			if flags&4 != 0 {
				refType(r)
			} else if kind := r.byte(); kind != 0 {
				r.fail("element kind %#x", kind)
			}
		}
		for k := r.count("elements of a segment", maxItems); k > 0 && r.err == nil; k-- {
			if flags&4 != 0 {
				m.constant(r)
			} else {
				m.reference(r)
			}
		}
		m.elements++
	}
}

func (m *module) dataSection(r *reader) {
	for n := r.count("data segments", maxSegments); n > 0 && r.err == nil; n-- {
		switch flags := r.u32(); flags {
		case 0:
			m.constant(r)
		case 1:
		case 2:
			m.index(r, "memory", int(m.memories))
			m.constant(r)
		default:
			r.fail("data segment with flags %#x", flags)
		}
		size := r.u32()
		r.bytes(size)
		m.dataLen = append(m.dataLen, size)
	}
}

func (m *module) codeSection(r *reader) {
	n := r.count("function bodies", maxFunctions)
	if int(n) != len(m.funcs)-int(m.imported) {
		r.fail("%d functions have %d bodies", len(m.funcs)-int(m.imported), n)
		return
	}
	m.bodies = make([]body, n)
	total := uint64(0)
	for i := range m.bodies {
		size := r.u32()
		if size > maxFunctionBytes {
			r.fail("a function has %d bytes; the limit is %d", size, maxFunctionBytes)
		}
		q := &reader{b: r.bytes(size), err: r.err}
		m.bodies[i] = readBody(q)
		m.bodies[i].typ = m.funcs[int(m.imported)+i]
		if q.err != nil {
			r.err = inFunc(q.err, int(m.imported)+i)
			return
		}
		if total += uint64(m.bodies[i].nLocal); total > maxAllLocals {
			r.fail("its functions have more than %d locals", maxAllLocals)
			return
		}
	}
}

func readBody(r *reader) (b body) {
	b.groups = r.count("groups of locals", maxItems)
	from := r.pos
	var total, wide uint64
	for n := b.groups; n > 0 && r.err == nil; n-- {
		k := uint64(r.u32())
		total += k
		if valueType(r) == typeV128 {
			wide += k
		}
	}
	if total > maxLocals {
		r.fail("%d locals; the limit is %d", total, maxLocals)
	}
	if r.err != nil {
		return b
	}
	b.nLocal, b.wide, b.locals, b.code = uint32(total), uint32(wide), r.b[from:r.pos], r.b[r.pos:]
	return b
}

// checkNames checks the counts of a name section, for which decoders allocate.
func checkNames(r *reader) {
	for r.more() {
		id := r.byte()
		q := &reader{b: r.bytes(r.u32()), err: r.err}
		switch id {
		case 1:
			for n := q.count("function names", maxItems); n > 0 && q.err == nil; n-- {
				q.u32()
				q.name()
			}
		case 2:
			for n := q.count("functions with local names", maxItems); n > 0 && q.err == nil; n-- {
				q.u32()
				for k := q.count("local names", maxItems); k > 0 && q.err == nil; k-- {
					q.u32()
					q.name()
				}
			}
		}
		if q.err != nil {
			r.err = q.err
			return
		}
	}
}
