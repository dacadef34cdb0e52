package meter

// pieces does a memory instruction in pieces of at most pieceBytes, each charged before it is done. As the instruction would, it
// traps before it writes anything if a part lies outside.
func (s *script) pieces(h helper) {
	const to, from, n = 0, 1, 2 // from is the value of memory.fill
	op := map[helperKind]uint16{helperFill: opMemoryFill, helperCopy: opMemoryCopy, helperInit: opMemoryInit}[h.kind]
	work := func() { s.instr(instr{op: op, a: uint64(h.arg)}) }
	s.op(0)
	s.get(n)
	s.i32(freeBytes)
	s.op(opI32GtU)
	s.begin(opIf)
	s.get(n)
	s.i32(pieceBytes)
	s.op(opI32GtU)
	s.begin(opIf)
	s.outside(h, to, from, n)
	s.begin(opIf)
	s.get(to)
	s.get(from)
	s.get(n)
	work()
	s.end()
	if h.kind == helperCopy {
		s.get(to) // into a later part of itself: from the end
		s.get(from)
		s.op(opI32Sub)
		s.get(n)
		s.op(opI32LtU)
		s.begin(opIf)
		s.repeat(n, func() {
			for _, p := range []int{to, from} {
				s.get(p)
				s.get(n)
				s.op(opI32Add)
				s.i32(pieceBytes)
				s.op(opI32Sub)
			}
			s.i32(pieceBytes)
			work()
		})
		s.op(opElse)
	}
	s.repeat(n, func() {
		s.get(to)
		s.get(from)
		s.i32(pieceBytes)
		work()
		s.advance(to)
		if h.kind != helperFill {
			s.advance(from)
		}
	})
	if h.kind == helperCopy {
		s.end()
	}
	s.end()
	s.charge(func() {
		s.get(n)
		s.op(opExtendU)
		s.i64(bytesPerUnit)
		s.op(opI64DivU)
	})
	s.end()
	s.get(to)
	s.get(from)
	s.get(n)
	work()
}

// repeat does a piece as long as more than one is left.
func (s *script) repeat(n int, piece func()) {
	s.begin(opLoop)
	s.charge(func() { s.i64(pieceBytes / bytesPerUnit) })
	piece()
	s.get(n)
	s.i32(pieceBytes)
	s.op(opI32Sub)
	s.set(n)
	s.get(n)
	s.i32(pieceBytes)
	s.op(opI32GtU, opBrIf, 0)
	s.end()
}

func (s *script) advance(local int) {
	s.get(local)
	s.i32(pieceBytes)
	s.op(opI32Add)
	s.set(local)
}

// outside leaves 1 on the stack if a part of the instruction's work lies outside the memory, or the part of a segment outside 32 bits. A
// part outside the segment traps here.
func (s *script) outside(h helper, to, from, n int) {
	beyond := func(p int, size func()) {
		s.get(p)
		s.op(opExtendU)
		s.get(n)
		s.op(opExtendU, opI64Add)
		size()
		s.op(opI64GtU)
	}
	memory := func() {
		s.op(opMemorySize, 0, opExtendU)
		s.i64(16)
		s.op(opI64Shl)
	}
	if h.kind == helperInit {
		whole := func() { s.i64(1<<32 - 1) }
		beyond(from, whole)
		s.op(0x45) // i32.eqz
		s.begin(opIf)
		s.i32(0)
		s.get(from)
		s.get(n)
		s.op(opI32Add)
		s.i32(0)
		s.instr(instr{op: opMemoryInit, a: uint64(h.arg)})
		s.end()
		beyond(to, memory)
		beyond(from, whole)
		s.op(opI32Or)
		return
	}
	beyond(to, memory)
	if h.kind == helperCopy {
		beyond(from, memory)
		s.op(opI32Or)
	}
}
