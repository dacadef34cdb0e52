package meter

// helperKind is a function that the rewriter appends.
type helperKind uint8

const (
	helperRefill helperKind = iota // () -> (): refills work from budget, with a safepoint; or traps
	helperFlush                    // (left i64) -> (left i64): takes a new advance
	helperElems                    // (n i32) -> (n i32): charges a table instruction on n elements
	helperGrow                     // (pages i32) -> (old i32): memory.grow
	helperFill                     // (to, value, n i32): memory.fill
	helperCopy                     // (to, from, n i32): memory.copy
	helperInit                     // (to, from, n i32): memory.init of segment arg
)

type helper struct {
	kind helperKind
	arg  uint32
	typ  int
}

// helper returns the index of a helper, which is appended unless it is there.
func (w *rewriter) helper(kind helperKind, arg uint32) int {
	key := helper{kind: kind, arg: arg}
	if i, ok := w.foundHelpers[key]; ok {
		return i
	}
	i := len(w.m.funcs) + len(w.helpers)
	w.foundHelpers[key] = i
	var params, results []byte
	switch kind {
	case helperFlush:
		params, results = []byte{typeI64}, []byte{typeI64}
	case helperElems, helperGrow:
		params, results = []byte{typeI32}, []byte{typeI32}
	case helperFill, helperCopy, helperInit:
		params = []byte{typeI32, typeI32, typeI32}
	}
	w.helpers = append(w.helpers, helper{kind, arg, w.typeOf(params, results)})
	return i
}

func (w *rewriter) call(b []byte, kind helperKind) []byte {
	return appendU(append(b, opCall), w.helper(kind, 0))
}

// bulk appends an instruction whose work depends on an operand, or what does the same and charges for it.
func (w *rewriter) bulk(b []byte, in *instr) []byte {
	switch in.op {
	case opMemoryGrow:
		return w.call(b, helperGrow)
	case opMemoryFill:
		return w.call(b, helperFill)
	case opMemoryCopy:
		return w.call(b, helperCopy)
	case opMemoryInit:
		return appendU(append(b, opCall), w.helper(helperInit, uint32(in.a)))
	}
	return in.append(w.call(b, helperElems)) // the number is on top of the stack
}

// More opcodes, of helpers only.
const (
	opI32Ne, opI32LtU, opI32GtU, opI32Add, opI32Sub, opI32Or                      = 0x47, 0x49, 0x4b, 0x6a, 0x6b, 0x72
	opI64Eqz, opI64Ne, opI64LtS, opI64GtU, opI64GeS, opI64Add, opI64Sub, opI64Mul = 0x50, 0x52, 0x53, 0x56, 0x59, 0x7c, 0x7d, 0x7e
	opI64DivU, opI64And, opI64Shl, opI64ShrS, opI64ShrU, opExtendU                = 0x80, 0x83, 0x86, 0x87, 0x88, 0xad
)

// script assembles a helper's body.
type script struct {
	w *rewriter
	b []byte
}

func (s *script) op(ops ...byte)     { s.b = append(s.b, ops...) }
func (s *script) get(local int)      { s.b = appendU(append(s.b, opLocalGet), local) }
func (s *script) set(local int)      { s.b = appendU(append(s.b, opLocalSet), local) }
func (s *script) i32(v int64)        { s.b = appendS(append(s.b, opI32Const), v) }
func (s *script) i64(v int64)        { s.b = appendS(append(s.b, opI64Const), v) }
func (s *script) load(global int)    { s.b = s.w.global(s.b, opGlobalGet, global) }
func (s *script) store(global int)   { s.b = s.w.global(s.b, opGlobalSet, global) }
func (s *script) call(h helperKind)  { s.b = s.w.call(s.b, h) }
func (s *script) instr(in instr)     { s.b = in.append(s.b) }
func (s *script) begin(op byte)      { s.op(op, 0x40) }
func (s *script) end()               { s.op(opEnd) }
func (s *script) trap(cause int64)   { s.i64(cause); s.store(globalCause); s.op(opUnreachable) }
func (s *script) locals(n, typ byte) { s.op(1, n, typ) }

// helperBody appends the body of a helper.
func (w *rewriter) helperBody(b []byte, h helper) []byte {
	s := &script{w: w, b: b}
	switch h.kind {
	case helperRefill:
		s.refill()
	case helperFlush:
		s.op(0)
		s.load(globalWork)
		s.get(0)
		s.op(opI64Add)
		s.i64(prepaid)
		s.op(opI64Sub)
		s.store(globalWork)
		s.refillIfExhausted()
		s.i64(prepaid)
	case helperElems:
		s.op(0)
		s.charge(func() {
			s.get(0) // no more than a table has: for more the instruction that follows fails
			s.i32(MaxTableElements)
			s.get(0)
			s.i32(MaxTableElements)
			s.op(opI32LtU, opSelect, opExtendU)
			s.i64(elemsPerUnit)
			s.op(opI64DivU)
		})
		s.get(0)
	case helperGrow:
		s.grow()
	case helperFill, helperCopy, helperInit:
		s.pieces(h)
	}
	s.end()
	return s.b
}

// charge takes the units that the code of amount leaves on the stack, an i64, from work.
func (s *script) charge(amount func()) {
	s.load(globalWork)
	amount()
	s.op(opI64Sub)
	s.store(globalWork)
	s.refillIfExhausted()
}

func (s *script) refillIfExhausted() {
	s.load(globalWork)
	s.i64(exhausted)
	s.op(opI64And)
	s.i64(0)
	s.op(opI64Ne)
	s.begin(opIf)
	s.call(helperRefill)
	s.end()
}

// refill moves fuel from budget to work until there is a slice of it, or all that is left. memory.grow by nothing hands control to
// the runtime and back: a safepoint of Go's, where a garbage collection can stop the goroutine.
func (s *script) refill() {
	const fuel, left = 0, 1
	s.locals(2, typeI64)
	deep := func() {
		s.load(globalWork)
		s.i64(0)
		s.op(opI64LtS)
		s.begin(opIf)
		s.trap(CauseDepth)
		s.end()
	}
	deep()
	s.load(globalStop)
	s.i64(0)
	s.op(opI64Ne)
	s.begin(opIf)
	s.trap(CauseStopped)
	s.end()
	s.load(globalWork)
	s.i64(64 - fuelBits)
	s.op(opI64Shl)
	s.i64(64 - fuelBits)
	s.op(opI64ShrS)
	s.set(fuel)
	s.load(globalBudget)
	s.get(fuel)
	s.op(opI64Add)
	s.set(left)
	s.get(left)
	s.i64(0)
	s.op(opI64LtS)
	s.begin(opIf)
	s.trap(CauseFuel)
	s.end()
	s.get(left) // what work shall have: a slice, or all that is left
	s.i64(slice)
	s.get(left)
	s.i64(slice)
	s.op(opI64LtS, opSelect)
	s.get(fuel)
	s.op(opI64Sub)
	s.set(fuel) // now what moves
	s.load(globalWork)
	s.get(fuel)
	s.op(opI64Add)
	s.store(globalWork)
	s.load(globalBudget)
	s.get(fuel)
	s.op(opI64Sub)
	s.store(globalBudget)
	deep()
	s.i32(0)
	s.op(opMemoryGrow, 0, opDrop)
}

// grow charges for the pages that a module gets, not for those that it asks for.
func (s *script) grow() {
	const old = 1
	s.locals(1, typeI32)
	s.get(0)
	s.op(opMemoryGrow, 0)
	s.set(old)
	s.get(old)
	s.i32(-1)
	s.op(opI32Ne)
	s.begin(opIf)
	s.charge(func() {
		s.get(0)
		s.op(opExtendU)
		s.i64(costGrowPage)
		s.op(opI64Mul)
	})
	s.op(opElse)
	s.i64(CauseRoom)
	s.store(globalCause)
	s.end()
	s.get(old)
}
