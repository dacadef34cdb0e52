package meter

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
	op    uint16
	enter int64
	most  int64
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
	wrapped := pl.mode == modeDeep || pl.mode == modeLocal
	if wrapped {
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
	if wrapped {
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
	j.out = append(j.out, opI64And, opI64Const, 0, opI64Ne, opIf, 0x40)
	j.out = j.call(j.out, helperRefill)
	j.out = append(j.out, opEnd)
}

func (j *injector) set(n int64) {
	j.out = appendS(append(j.out, opI64Const), n)
	j.out = appendU(append(j.out, opLocalSet), j.local)
}

// pay takes what is pending from the counting variable.
func (j *injector) pay() {
	if j.pending == 0 || !j.plan.counts {
		return
	}
	j.out = appendU(append(j.out, opLocalGet), j.local)
	j.out = appendS(append(j.out, opI64Const), j.pending)
	j.out = append(j.out, opI64Sub)
	j.out = appendU(append(j.out, opLocalSet), j.local)
	j.pending = 0
}

// checkLocal takes a new advance if the old one is spent.
func (j *injector) checkLocal() {
	j.out = appendU(append(j.out, opLocalGet), j.local)
	j.out = append(j.out, opI64Const, 0, opI64LtS, opIf, 0x40)
	j.out = appendU(append(j.out, opLocalGet), j.local)
	j.out = j.call(j.out, helperFlush)
	j.out = appendU(append(j.out, opLocalSet), j.local)
	j.out = append(j.out, opEnd)
}

func (j *injector) instruction(in *instr) {
	if j.pending > maxPending && j.plan.counts && in.op != opEnd && in.op != opElse { // those join ways that have not paid
		j.pay()
		j.checkLocal()
	}
	j.pending += in.cost()
	top := len(j.labels) - 1
	switch in.op {
	case opBlock:
		j.out = in.append(j.out)
		j.labels = append(j.labels, mergePoint{op: opBlock})
		return
	case opLoop:
		j.pay()
		j.out = in.append(j.out)
		j.checkLocal()
		j.labels = append(j.labels, mergePoint{op: opLoop})
		return
	case opIf:
		if j.pending > threshold {
			j.pay()
		}
		j.out = in.append(j.out)
		j.labels = append(j.labels, mergePoint{op: opIf, enter: j.pending})
		return
	case opElse:
		l := &j.labels[top]
		if j.pending > l.enter+threshold {
			j.pay()
		}
		l.most, l.op = max(l.most, j.pending), opElse
		j.pending = l.enter
	case opEnd:
		l := j.labels[top]
		if l.op == opIf { // the way around
			l.most = max(l.most, l.enter)
		}
		if j.pending > l.most+threshold {
			j.pay()
		}
		j.pending = max(j.pending, l.most)
		j.labels = j.labels[:top]
	case opBr, opBrIf, opReturn:
		depth := int(in.a)
		if in.op == opReturn {
			depth = top
		}
		l := &j.labels[top-depth]
		if l.op == opLoop || j.pending > l.most+threshold {
			j.pay()
		}
		if l.op != opLoop {
			l.most = max(l.most, j.pending)
		}
		if in.op == opReturn && j.wraps() {
			j.out = appendU(append(j.out, opBr), depth)
			j.pending = 0
			return
		}
	case opBrTable:
		j.pay()
		for _, t := range in.targets {
			l := &j.labels[top-int(t)]
			l.most = max(l.most, j.pending)
		}
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

func (j *injector) wraps() bool { return j.plan.mode == modeDeep || j.plan.mode == modeLocal }
