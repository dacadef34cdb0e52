package meter

// Opcodes that the rewriter treats by name. Those behind a prefix are prefix<<8 | number.
const (
	opUnreachable, opNop, opBlock, opLoop, opIf, opElse, opEnd = 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0b
	opBr, opBrIf, opBrTable, opReturn, opCall, opCallIndirect  = 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11
	opDrop, opSelect, opSelectT                                = 0x1a, 0x1b, 0x1c
	opLocalGet, opLocalSet, opLocalTee                         = 0x20, 0x21, 0x22
	opGlobalGet, opGlobalSet, opTableGet, opTableSet           = 0x23, 0x24, 0x25, 0x26
	opI32Load, opI64Store32, opMemorySize, opMemoryGrow        = 0x28, 0x3e, 0x3f, 0x40
	opI32Const, opI64Const, opF32Const, opF64Const             = 0x41, 0x42, 0x43, 0x44
	opI32Eqz, opI64Extend32S                                   = 0x45, 0xc4
	opRefNull, opRefIsNull, opRefFunc                          = 0xd0, 0xd1, 0xd2
	opMisc, opVec                                              = 0xfc, 0xfd

	opMemoryInit, opDataDrop, opMemoryCopy, opMemoryFill = opMisc<<8 | 8, opMisc<<8 | 9, opMisc<<8 | 10, opMisc<<8 | 11
	opTableInit, opElemDrop, opTableCopy                 = opMisc<<8 | 12, opMisc<<8 | 13, opMisc<<8 | 14
	opTableGrow, opTableSize, opTableFill                = opMisc<<8 | 15, opMisc<<8 | 16, opMisc<<8 | 17

	blockVoid = -64
)

// instr is a decoded instruction.
type instr struct {
	op uint16
	// a and b are the immediates in their order, such as an index, or alignment and offset. A block's type is a sign-extended a. For br,
	// b is what the instructions cost that threading it skips.
	a, b uint64
	// raw are immediates that are bytes: floats, vectors, lanes.
	raw []byte
	// targets are those of br_table; the last is the default.
	targets []uint32
}

// decoder reads the instructions of one function and checks every index against what the module has, so that nothing the
// rewriter appends can be named.
type decoder struct {
	reader
	m      *module
	locals int // with parameters
	depth  int // open blocks; br may name as many labels and the function's own
	labels []uint32
	threader
}

func (m *module) decoder(b *body) *decoder {
	return &decoder{reader: reader{b: b.code}, m: m, locals: len(m.types[b.typ].params) + int(b.nLocal)}
}

// next reads an instruction into in. It returns false after the function's last, which closes the function itself.
func (d *decoder) next(in *instr) bool {
	if d.err != nil || d.depth < 0 {
		return false
	}
	op := d.byte()
	*in = instr{op: uint16(op)}
	switch {
	case op == opBlock || op == opLoop || op == opIf:
		in.a = uint64(d.blockType())
		d.depth++
	case op == opEnd:
		if d.depth--; d.depth < 0 && d.pos != len(d.b) {
			d.fail("code follows its end")
		}
	case op == opBr || op == opBrIf:
		in.a = uint64(d.m.index(&d.reader, "label", d.depth+1))
	case op == opBrTable:
		d.branchTable(in)
	case op == opCall || op == opRefFunc:
		f := d.m.index(&d.reader, "function", len(d.m.funcs))
		if op == opRefFunc && !d.m.declared[f] {
			d.fail("reference to function %d, which is not declared", f)
		}
		in.a = uint64(f)
	case op == opCallIndirect:
		in.a = uint64(d.m.index(&d.reader, "type", len(d.m.types)))
		in.b = uint64(d.m.index(&d.reader, "table", len(d.m.tables)))
	case op == opLocalGet || op == opLocalSet || op == opLocalTee:
		in.a = uint64(d.m.index(&d.reader, "local", d.locals))
	case op == opGlobalGet || op == opGlobalSet:
		in.a = uint64(d.m.index(&d.reader, "global", int(d.m.globals)))
	case op == opTableGet || op == opTableSet:
		in.a = uint64(d.m.index(&d.reader, "table", len(d.m.tables)))
	case op >= opI32Load && op <= opI64Store32:
		d.memoryArgument(in)
	case op == opMemorySize || op == opMemoryGrow:
		d.memory()
	case op == opI32Const:
		in.a = uint64(d.signed(32))
	case op == opI64Const:
		in.a = uint64(d.signed(64))
	case op == opF32Const:
		in.raw = d.bytes(4)
	case op == opF64Const:
		in.raw = d.bytes(8)
	case op == opSelectT:
		if n := d.u32(); n != 1 {
			d.fail("select with %d types", n)
		}
		in.a = uint64(valueType(&d.reader))
	case op == opRefNull:
		in.a = uint64(refType(&d.reader))
	case op == opMisc:
		d.misc(in)
	case op == opVec:
		d.vector(in)
	case op <= opNop || op == opElse || op == opReturn || op == opDrop || op == opSelect || op == opRefIsNull ||
		op >= opI32Eqz && op <= opI64Extend32S:
	default:
		d.unknown("opcode %#x", op)
	}
	if d.err != nil {
		return false
	}
	d.follow(in)
	return true
}

func (d *decoder) unknown(format string, args ...any) {
	if d.err == nil {
		d.err = unsupported(format, args...)
	}
}

func (d *decoder) blockType() int64 {
	switch c := d.peek(); {
	case c == 0x40 || c == typeFunc || c == typeExt || c >= typeV128 && c <= typeI32:
		d.pos++
		return int64(c) - 128
	case c >= 0x40 && c < 0x80:
		d.unknown("block type %#x", c)
		return 0
	}
	t := d.signed(33)
	if d.err == nil && (t < 0 || t >= int64(len(d.m.types))) {
		d.fail("type %d does not exist; there are %d", t, len(d.m.types))
	}
	return t
}

func (d *decoder) peek() byte {
	if d.pos >= len(d.b) {
		d.fail("it ends too early")
		return 0
	}
	return d.b[d.pos]
}

func (d *decoder) branchTable(in *instr) {
	n := d.count("targets of br_table", maxBranchTargets)
	d.labels = d.labels[:0]
	for i := uint32(0); i <= n && d.err == nil; i++ { // with the default
		d.labels = append(d.labels, d.m.index(&d.reader, "label", d.depth+1))
	}
	in.targets = d.labels
}

// memory reads the index of the only memory, a single zero byte.
func (d *decoder) memory() {
	if d.byte() != 0 || d.m.memories == 0 {
		d.fail("the memory does not exist")
	}
}

func (d *decoder) memoryArgument(in *instr) {
	if d.m.memories == 0 {
		d.fail("the memory does not exist")
	}
	in.a = uint64(d.u32())
	if in.a >= 32 { // 64 and above would name another memory
		d.fail("alignment %d", in.a)
	}
	in.b = uint64(d.u32())
}

// misc reads an instruction of many kinds. As with vectors, its number must have the shortest form, because wazero reads a single byte
// in places.
func (d *decoder) misc(in *instr) {
	sub := d.byte()
	in.op = opMisc<<8 | uint16(sub)
	switch in.op {
	case opMemoryInit, opDataDrop:
		if !d.m.hasCount {
			d.fail("there is no data count section")
		}
		in.a = uint64(d.m.index(&d.reader, "data segment", min(int(d.m.counted), len(d.m.dataLen))))
		if in.op == opMemoryInit {
			d.memory()
		}
	case opMemoryCopy:
		d.memory()
		d.memory()
	case opMemoryFill:
		d.memory()
	case opTableInit:
		in.a = uint64(d.m.index(&d.reader, "element segment", int(d.m.elements)))
		in.b = uint64(d.m.index(&d.reader, "table", len(d.m.tables)))
	case opElemDrop:
		in.a = uint64(d.m.index(&d.reader, "element segment", int(d.m.elements)))
	case opTableCopy:
		in.a = uint64(d.m.index(&d.reader, "table", len(d.m.tables)))
		in.b = uint64(d.m.index(&d.reader, "table", len(d.m.tables)))
	case opTableGrow, opTableSize, opTableFill:
		in.a = uint64(d.m.index(&d.reader, "table", len(d.m.tables)))
	default:
		if sub > 7 {
			d.unknown("opcode 0xfc %#x", sub)
		}
	}
}

// vector reads an instruction on vectors. Its number must have the shortest form: wazero 1.12 reads a single byte and takes the
// second for a nop, so that a longer form would mean something else to it.
func (d *decoder) vector(in *instr) {
	sub := d.byte()
	if sub >= 0x80 {
		if high := d.byte(); high != 1 {
			d.unknown("opcode 0xfd with %#x behind %#x", high, sub)
		}
	}
	in.op = opVec<<8 | uint16(sub)
	switch {
	case sub <= 0x0b || sub == 0x5c || sub == 0x5d: // loads and stores
		d.memoryArgument(in)
	case sub == 0x0c || sub == 0x0d: // a constant, a shuffle
		in.raw = d.bytes(16)
	case sub >= 0x15 && sub <= 0x22: // lanes
		in.raw = d.bytes(1)
	case sub >= 0x54 && sub <= 0x5b: // loads and stores of a lane
		d.memoryArgument(in)
		in.raw = d.bytes(1)
	case sub >= 0x0e && sub <= 0x53 || sub >= 0x5e && unusedVector[sub] == 0:
	default:
		d.unknown("opcode 0xfd %#x", sub)
	}
}

// unusedVector are the numbers between 0x5e and 0xff that WebAssembly 2.0 does not use.
var unusedVector = [256]byte{0x9a: 1, 0xa2: 1, 0xa5: 1, 0xa6: 1, 0xaf: 1, 0xb0: 1, 0xb2: 1, 0xb3: 1, 0xb4: 1, 0xbb: 1, 0xc2: 1, 0xc5: 1,
	0xc6: 1, 0xcf: 1, 0xd0: 1, 0xd2: 1, 0xd3: 1, 0xd4: 1, 0xe2: 1, 0xee: 1}

// append encodes the instruction in its shortest form.
func (in *instr) append(b []byte) []byte {
	switch in.op >> 8 {
	case opMisc:
		return in.appendMisc(append(b, opMisc, byte(in.op)))
	case opVec:
		if b = append(b, opVec, byte(in.op)); byte(in.op) >= 0x80 {
			b = append(b, 1)
		}
		if sub := byte(in.op); sub <= 0x0b || sub >= 0x54 && sub <= 0x5d {
			b = appendU(appendU(b, in.a), in.b)
		}
		return append(b, in.raw...)
	}
	b = append(b, byte(in.op))
	switch in.op {
	case opBlock, opLoop, opIf, opI32Const, opI64Const:
		return appendS(b, int64(in.a))
	case opBr, opBrIf, opCall, opRefFunc, opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet, opTableGet, opTableSet:
		return appendU(b, in.a)
	case opBrTable:
		b = appendU(b, len(in.targets)-1)
		for _, t := range in.targets {
			b = appendU(b, t)
		}
		return b
	case opCallIndirect:
		return appendU(appendU(b, in.a), in.b)
	case opMemorySize, opMemoryGrow:
		return append(b, 0)
	case opF32Const, opF64Const:
		return append(b, in.raw...)
	case opSelectT:
		return append(b, 1, byte(in.a))
	case opRefNull:
		return append(b, byte(in.a))
	}
	if in.op >= opI32Load && in.op <= opI64Store32 {
		b = appendU(appendU(b, in.a), in.b)
	}
	return b
}

func (in *instr) appendMisc(b []byte) []byte {
	switch in.op {
	case opMemoryInit:
		return append(appendU(b, in.a), 0)
	case opMemoryCopy:
		return append(b, 0, 0)
	case opMemoryFill:
		return append(b, 0)
	case opTableInit, opTableCopy:
		return appendU(appendU(b, in.a), in.b)
	case opDataDrop, opElemDrop, opTableGrow, opTableSize, opTableFill:
		return appendU(b, in.a)
	}
	return b
}
