package meter

import "slices"

// The state of metering is in two variables: work, which functions change all the time, and budget, from which work is refilled.
//
// work holds the stack's weight above fuelBits and the fuel until the next safepoint below. Both are checked with one mask: the
// fuel's top bit is set when it is overdrawn, and the word's sign when the stack is too deep. An overdraft borrows one
// unit of weight from above, which refilling pays back before the depth is looked at again.
const (
	fuelBits  = 40
	depthBits = 63 - fuelBits
	exhausted = -1<<63 | 1<<(fuelBits-1)
	// emptyStack leaves as many units of weight as the stack may have.
	emptyStack = (1<<depthBits - MaxStackBytes/weightUnit) << fuelBits
)

// injector writes one function anew.
type injector struct {
	*rewriter
	out  []byte
	plan *plan
	// local is the index of the counting variable.
	local int
	// pending is what ran since the last payment, at most.
	pending int64
	labels  []mergePoint
}

// mergePoint is a label: what is pending where its branches meet.
type mergePoint struct {
	op uint16
	// enter is what was pending before, and most on the ways that have met so far.
	enter, most int64
	// takes means that a loop may take values from the stack.
	takes bool
}

// function appends the body of the function, metered.
func (w *rewriter) function(out []byte, b *body, pl *plan) ([]byte, error) {
	params := len(w.m.types[b.typ].params)
	j := &injector{rewriter: w, out: out, plan: pl, local: params + int(b.nLocal)}
	if pl.counts {
		j.out = appendU(j.out, b.groups+1)
		j.out = append(append(j.out, b.locals...), 1, typeI64)
	} else {
		j.out = append(appendU(j.out, b.groups), b.locals...)
	}
	j.enter()
	if pl.wrapped() {
		j.out = append(j.out, opBlock)
		j.out = appendS(j.out, w.resultBlock(b.typ))
	}
	j.labels = append(j.labels, mergePoint{})
	d := w.m.decoder(b)
	var in instr
	for d.next(&in) {
		j.instruction(&in)
	}
	if d.err != nil {
		return nil, d.err
	}
	if pl.wrapped() {
		j.leave()
		j.out = append(j.out, opEnd)
	}
	return j.out, nil
}

// enter charges the function's entry.
func (j *injector) enter() {
	switch j.plan.mode {
	case modeStraight:
		j.charge(-j.plan.cost)
		j.check()
	case modeLocal:
		j.set(prepaid)
	case modeDeep:
		advance := j.plan.cost
		if j.plan.counts {
			advance = prepaid
		}
		j.charge(j.plan.weight<<fuelBits - advance)
		j.check()
		if j.plan.counts {
			j.set(prepaid)
		}
	}
}

// leave settles what the function has counted. Its results are on the stack below.
func (j *injector) leave() {
	j.out = j.global(j.out, opGlobalGet, globalWork)
	if j.plan.counts {
		j.out = appendU(append(j.out, opLocalGet), j.local)
		j.out = append(j.out, opI64Add)
	}
	settle := -j.pending
	if !j.plan.counts {
		settle = 0 // it was paid on entry
	}
	if j.plan.mode == modeDeep {
		settle -= j.plan.weight << fuelBits
	} else {
		settle -= prepaid
	}
	j.out = appendS(append(j.out, opI64Const), settle)
	j.out = append(j.out, opI64Add)
	j.out = j.global(j.out, opGlobalSet, globalWork)
	if j.plan.mode == modeLocal {
		j.check()
	}
}

// charge adds to work.
func (j *injector) charge(n int64) {
	j.out = j.global(j.out, opGlobalGet, globalWork)
	j.out = appendS(append(j.out, opI64Const), n)
	j.out = append(j.out, opI64Add)
	j.out = j.global(j.out, opGlobalSet, globalWork)
}

// check calls refill if fuel or stack are exhausted.
func (j *injector) check() {
	j.out = j.global(j.out, opGlobalGet, globalWork)
	j.out = appendS(append(j.out, opI64Const), exhausted)
	j.out = append(j.out, opI64And, opI64Eqz, opIf, 0x40, opElse)
	j.out = j.call(j.out, helperRefill)
	j.out = append(j.out, opEnd)
}

func (j *injector) set(n int64) {
	j.out = appendS(append(j.out, opI64Const), n)
	j.out = appendU(append(j.out, opLocalSet), j.local)
}

// pay takes what is pending from the counting variable.
func (j *injector) pay() { j.payBut(0) }

// payBut leaves so much pending. If less is, the variable gets the difference.
func (j *injector) payBut(rest int64) {
	if j.pending == rest || !j.plan.counts {
		return
	}
	j.out = appendU(append(j.out, opLocalGet), j.local)
	j.out = appendS(append(j.out, opI64Const), j.pending-rest)
	j.out = append(j.out, opI64Sub)
	j.out = appendU(append(j.out, opLocalSet), j.local)
	j.pending = rest
}

// solvent begins an if whose condition is that the advance is not spent.
func (j *injector) solvent() {
	j.out = appendU(append(j.out, opLocalGet), j.local)
	j.out = append(j.out, opI64Const, 0, opI64GeS, opIf, 0x40)
}

// flush takes a new advance.
func (j *injector) flush() {
	j.out = appendU(append(j.out, opLocalGet), j.local)
	j.out = j.call(j.out, helperFlush)
	j.out = appendU(append(j.out, opLocalSet), j.local)
}

// checkLocal takes a new advance if the old one is spent.
func (j *injector) checkLocal() {
	j.solvent()
	j.out = append(j.out, opElse)
	j.flush()
	j.out = append(j.out, opEnd)
}

func (j *injector) instruction(in *instr) {
	if j.pending > maxPending && j.plan.counts && in.op != opEnd && in.op != opElse { // those join ways that have not paid
		j.pay()
		j.checkLocal()
	}
	j.pending += in.cost()
	switch in.op {
	case opBlock, opLoop, opIf:
		j.open(in)
		return
	case opElse, opEnd:
		j.join(in)
	case opBr, opBrIf:
		if j.branch(in) {
			return
		}
	case opReturn:
		j.meet(j.label(uint64(len(j.labels) - 1)))
		if j.plan.wrapped() {
			*in = instr{op: opBr, a: uint64(len(j.labels) - 1)}
		}
	case opBrTable:
		j.dispatch(in)
	case opCall:
		if f := uint32(in.a); f < j.m.imported {
			j.pending += costCallImport
		} else if p := &j.plans[f-j.m.imported]; p.mode == modeFree {
			j.pending += p.cost
		}
	case opMemoryGrow, opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
		j.out = j.bulk(j.out, in)
		return
	}
	j.out = in.append(j.out)
	if in.leaves() {
		j.pending = 0
	}
}

func (j *injector) label(depth uint64) *mergePoint { return &j.labels[len(j.labels)-1-int(depth)] }

// open begins a block. What is pending where a loop begins is pending as well after each branch back to it, if it is little.
func (j *injector) open(in *instr) {
	l := mergePoint{op: in.op, enter: j.pending}
	if in.op == opLoop {
		if j.pending > threshold {
			j.pay()
			l.enter = 0
		}
		l.takes = int64(in.a) >= 0
	}
	j.out = in.append(j.out)
	j.labels = append(j.labels, l)
}

// join ends a block, or the first half of an if, where ways meet.
func (j *injector) join(in *instr) {
	l := j.label(0)
	if in.op == opElse {
		j.meet(l)
		j.pending, l.op = l.enter, opElse
		return
	}
	if l.op == opIf { // the way around
		l.most = max(l.most, l.enter)
	}
	j.meet(l)
	j.pending = max(j.pending, l.most)
	j.labels = j.labels[:len(j.labels)-1]
}

// meet notes what is pending on a way that ends here, at the label. What is much more than on the others is paid first.
func (j *injector) meet(l *mergePoint) {
	if j.pending > l.most+threshold {
		j.pay()
	}
	l.most = max(l.most, j.pending)
}

// branch prepares for br and br_if, or writes it and returns true. A branch back to a loop pays and checks; the common case gets
// a branch of its own, so that the other one, with its call, costs no registers.
func (j *injector) branch(in *instr) (done bool) {
	l := j.label(in.a)
	switch {
	case l.op != opLoop:
		j.meet(l)
		return false
	case l.takes: // its values are on the stack, where an if cannot reach them
		j.payBut(l.enter)
		j.checkLocal()
		return false
	}
	pending, depth := j.pending, in.a
	if in.op == opBrIf {
		j.out = append(j.out, opIf, 0x40)
		depth++
	}
	j.payBut(l.enter)
	j.solvent()
	j.out = appendU(append(j.out, opBr), depth+1)
	j.out = append(j.out, opEnd)
	j.flush()
	j.out = appendU(append(j.out, opBr), depth)
	j.pending = 0
	if in.op == opBrIf {
		j.out = append(j.out, opEnd)
		j.pending = pending
	}
	return true
}

// dispatch prepares for br_table.
func (j *injector) dispatch(in *instr) {
	repeats := slices.ContainsFunc(in.targets, func(t uint32) bool { return j.label(uint64(t)).op == opLoop })
	if repeats || j.pending > dispatch {
		j.pay()
	}
	if repeats {
		j.checkLocal()
	}
	for _, t := range in.targets {
		l := j.label(uint64(t))
		l.most = max(l.most, j.pending)
	}
}

// wrapped reports whether the function's body is in a block, behind which the function settles.
func (p *plan) wrapped() bool { return p.mode == modeDeep || p.mode == modeLocal }
