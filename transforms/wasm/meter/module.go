package meter

// Section ids.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

// order is the place of a section in a module. Custom sections may stand anywhere.
var order = [...]int{secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7, secStart: 8,
	secElement: 9, secDataCount: 10, secCode: 11, secData: 12}

const header = "\x00asm\x01\x00\x00\x00"

// Value types.
const (
	typeI32  = 0x7f
	typeI64  = 0x7e
	typeV128 = 0x7b
	typeFunc = 0x70
	typeExt  = 0x6f
)

type section struct {
	id   byte
	body []byte
}

type funcType struct{ params, results []byte }

// body is the code of a function that the module defines.
type body struct {
	typ    uint32
	locals []byte // their declarations, as they are in the module
	groups uint32 // how many declarations there are
	nLocal uint32 // locals without parameters
	wide   uint32 // how many of them are vectors
	code   []byte // instructions with the final end
}

// module is what the rewriter knows of a module. Indices of the module's own are below the counts here; that the rewriter checks
// each of them is what keeps a module from naming anything the rewriter appends.
type module struct {
	sections []section
	types    []funcType
	imported uint32   // functions
	funcs    []uint32 // the type of each function, imported ones first
	tables   []table
	memories uint32
	globals  uint32
	elements uint32 // segments
	dataLen  []uint32
	hasCount bool   // a data count section
	counted  uint32 // what it says
	start    int64  // index of the start function, or -1
	bodies   []body
	// declared are the functions that instructions may make references to: those that the module names outside of its code.
	declared map[uint32]bool
	// reached are the functions that a table or a reference may name, which call_indirect reaches.
	reached map[uint32]bool
}

type table struct {
	kind     byte
	imported bool
	min, max uint32
	bounded  bool
}

// parse takes a module apart. It checks what the rewriter relies on and what a decoder might allocate without bound for; whether the
// module is valid is for the runtime to say.
func parse(b []byte) (*module, error) {
	if len(b) < len(header) || string(b[:len(header)]) != header {
		return nil, malformed("it is not a WASM module of version 1")
	}
	m := &module{start: -1, declared: map[uint32]bool{}, reached: map[uint32]bool{}}
	r := &reader{b: b, pos: len(header)}
	last := 0
	for r.more() {
		id := r.byte()
		s := section{id, r.bytes(r.u32())}
		if r.err != nil {
			return nil, r.err
		}
		if int(id) >= len(order) {
			return nil, unsupported("section %d", id)
		}
		if id != secCustom {
			if order[id] <= last {
				return nil, malformed("section %d is not in order", id)
			}
			last = order[id]
		}
		m.sections = append(m.sections, s)
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, s := range m.sections {
		q := &reader{b: s.body}
		m.section(s.id, q)
		if q.err == nil && q.pos != len(q.b) {
			q.fail("section %d is longer than its content", s.id)
		}
		if q.err != nil {
			return nil, q.err
		}
	}
	if len(m.bodies) != len(m.funcs)-int(m.imported) {
		return nil, malformed("%d functions have %d bodies", len(m.funcs)-int(m.imported), len(m.bodies))
	}
	if m.memories > 1 {
		return nil, unsupported("%d memories", m.memories)
	}
	return m, nil
}

func (m *module) section(id byte, r *reader) {
	switch id {
	case secCustom:
		if r.name() == "name" {
			checkNames(r)
		}
		r.pos = len(r.b)
	case secType:
		m.typeSection(r)
	case secImport:
		m.importSection(r)
	case secFunction:
		for n := r.count("functions", maxFunctions); n > 0 && r.err == nil; n-- {
			m.funcs = append(m.funcs, m.index(r, "type", len(m.types)))
		}
	case secTable:
		for n := r.count("tables", maxTables); n > 0 && r.err == nil; n-- {
			m.tables = append(m.tables, tableType(r))
		}
		m.checkTables(r)
	case secMemory:
		n := r.count("memories", maxTables)
		for ; n > 0 && r.err == nil; n-- {
			memoryType(r)
			m.memories++
		}
	case secGlobal:
		for n := r.count("globals", maxGlobals); n > 0 && r.err == nil; n-- {
			valueType(r)
			r.byte() // mutability
			m.constant(r)
			m.globals++
		}
	case secExport:
		m.exportSection(r)
	case secStart:
		m.startSection(r)
	case secElement:
		m.elementSection(r)
	case secDataCount:
		m.hasCount, m.counted = true, r.u32()
	case secCode:
		m.codeSection(r)
	case secData:
		m.dataSection(r)
	}
}
