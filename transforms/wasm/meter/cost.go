package meter

// cost is the price of an instruction, without what bulk instructions and functions that are called cost by themselves.
func (in *instr) cost() int64 {
	switch in.op {
	case opBlock, opLoop, opElse, opEnd, opNop, opUnreachable:
		return 0
	case opBr:
		return 1 + int64(in.b)
	case opCall:
		return 1 + costCall
	case opCallIndirect:
		return 1 + costCallIndirect
	case opMemoryGrow, opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
		return costBulk
	case 0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3, opVec<<8 | 0xe3, opVec<<8 | 0xe7, opVec<<8 | 0xef, opVec<<8 | 0xf3:
		return costDivide // and remainders and square roots
	}
	return 1
}

// leaves reports that what follows the instruction does not run, up to the end of the block.
func (in *instr) leaves() bool {
	return in.op == opBr || in.op == opBrTable || in.op == opReturn || in.op == opUnreachable
}

// profile is what the first pass learns of a function.
type profile struct {
	// most is the most that one run without repeating a loop costs.
	most         int64
	instructions int
	loops        int64
	// repeats means that some branch leads back to a loop.
	repeats bool
	// joints is how many places there are where ways through the function part or meet, roughly.
	joints int64
	// values is how many values those places and calls take and leave, by their types.
	values int64
	// indirect means that it calls through a table.
	indirect bool
	// calls are the functions of the module's own that it calls, in order, each as often as it is named.
	calls []uint32
}

// profile decodes a function, checks it and finds the longest way through it. Ways are followed as the binary format nests them:
// a label's cost is the most of those that lead to it.
func (m *module) profile(b *body) (p profile, err error) {
	type label struct {
		op          uint16
		enter, most int64 // at the start; of the branches to the end
	}
	var labels []label
	labels = append(labels, label{})
	at := int64(0)
	d := m.decoder(b)
	var in instr
	branch := func(depth uint64) {
		l := &labels[len(labels)-1-int(depth)]
		if l.op == opLoop {
			p.repeats = true
		} else {
			l.most = max(l.most, at)
		}
	}
	typed := func(t uint64) { p.values += int64(len(m.types[t].params) + len(m.types[t].results)) }
	for d.next(&in) {
		at += in.cost()
		p.instructions++
		switch in.op {
		case opBlock, opLoop, opIf:
			labels = append(labels, label{op: in.op, enter: at})
			if in.op == opLoop {
				p.loops++
			}
			p.joints++
			if int64(in.a) >= 0 {
				typed(in.a)
			}
		case opElse:
			l := &labels[len(labels)-1]
			if l.op != opIf {
				return p, malformed("else without if")
			}
			l.most, at, l.op = max(l.most, at), l.enter, opElse
		case opEnd:
			l := labels[len(labels)-1]
			labels = labels[:len(labels)-1]
			if at = max(at, l.most); l.op == opIf {
				at = max(at, l.enter)
			}
		case opBr, opBrIf:
			branch(in.a)
			p.joints++
		case opBrTable:
			for _, t := range in.targets {
				branch(uint64(t))
			}
			p.joints += 1 + int64(len(in.targets))/targetsAJoint
		case opReturn:
			branch(uint64(len(labels) - 1))
		case opCall:
			typed(uint64(m.funcs[in.a]))
			if f := uint32(in.a); f >= m.imported {
				p.calls = append(p.calls, f-m.imported)
			} else {
				at += costCallImport
			}
		case opCallIndirect:
			typed(in.a)
			p.indirect = true
		case opRefFunc:
			m.reached[uint32(in.a)] = true
		}
		if in.leaves() {
			at = 0 // nothing runs until the next label
		}
	}
	if d.err == nil && d.depth >= 0 {
		d.fail("its end is missing")
	}
	p.most = at
	return p, d.err
}

// compileTime is about how long the runtime takes to compile the branches of a function, in nanoseconds: the square of their number,
// and loops more, measured with wazero 1.12.
func (p *profile) compileTime() int64 {
	return jointTime*p.joints*p.joints + loopTime*p.loops*p.loops + valueTime*p.values
}
