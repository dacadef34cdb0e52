package meter

import "slices"

// Version changes whenever the same module is rewritten in another way.
const Version = 8

// Names of the globals that a metered module exports. Each is a mutable i64.
const (
	// ReservedPrefix begins names that a module must not export itself.
	ReservedPrefix = "leat_meter_"
	// ExportWork and ExportBudget hold the fuel and the stack; see [Start] and [Left].
	ExportWork   = ReservedPrefix + "work"
	ExportBudget = ReservedPrefix + "budget"
	// ExportStop, set to another value than 0 while a call runs, ends it at its next safepoint.
	ExportStop = ReservedPrefix + "stop"
	// ExportStart is the start function of a module that has one. It runs when the host calls it, which it must before all else: not by
	// itself, because nothing may run before there is fuel.
	ExportStart = ReservedPrefix + "start"
	// ExportCause says after a trap whether metering caused it: one of the Cause constants.
	ExportCause = ReservedPrefix + "cause"
)

// Causes of a trap.
const (
	CauseNone    = 0 // the module's own
	CauseFuel    = 1 // the fuel is spent
	CauseStopped = 2 // it was stopped
	CauseDepth   = 3 // the calls are nested too deeply
	CauseRoom    = 4 // the module's own, but its memory could not grow before as it asked for; the host sets CauseNone before a call
)

// The globals, in the order in which they are appended.
const (
	globalWork = iota
	globalBudget
	globalStop
	globalCause
	globalCount
)

var globalNames = [globalCount]string{ExportWork, ExportBudget, ExportStop, ExportCause}

// Start returns the values of [ExportWork] and [ExportBudget] with which a call may spend so much fuel, at most [MaxFuel].
func Start(fuel uint64) (work, budget uint64) {
	return uint64(emptyStack), min(fuel, MaxFuel)
}

// Left returns the fuel that is left, from the two globals after a call that returned or trapped.
func Left(work, budget uint64) uint64 {
	return uint64(max(0, int64(budget)+int64(work<<(64-fuelBits))>>(64-fuelBits)))
}

// MaxFuel is the most fuel that a call may have.
const MaxFuel = 1 << 62

// Info is what a rewrite did.
type Info struct {
	// Functions is how many functions the module defines itself, and Free how many of them are paid for by their callers.
	Functions, Free int
	// Recursive is how many functions count their depth.
	Recursive int
}

type rewriter struct {
	m     *module
	plans []plan
	// types and helpers are what is appended.
	types   []funcType
	helpers []helper
	// found are their indices, of which a hostile module may make many.
	foundTypes   map[string]int
	foundHelpers map[helper]int
}

// Rewrite returns a module that does what the given one does, and meters itself. It is a pure function. The module must be valid,
// which is for the caller to see to: an invalid one is refused here or remains invalid.
func Rewrite(wasm []byte) ([]byte, Info, error) {
	m, err := parse(wasm)
	if err != nil {
		return nil, Info{}, err
	}
	w := &rewriter{m: m, foundTypes: map[string]int{}, foundHelpers: map[helper]int{}}
	if w.plans, err = m.planAll(); err != nil {
		return nil, Info{}, err
	}
	w.helper(helperRefill, 0)
	w.helper(helperFlush, 0)
	out, err := w.module(len(wasm))
	info := Info{Functions: len(w.plans)}
	for _, p := range w.plans {
		switch p.mode {
		case modeFree:
			info.Free++
		case modeDeep:
			info.Recursive++
		}
	}
	return out, info, err
}

// module writes the module anew, section by section, with those added that it lacks.
func (w *rewriter) module(size int) ([]byte, error) {
	bodies, err := w.code(size)
	if err != nil {
		return nil, err
	}
	sections := w.m.sections
	for _, id := range []byte{secType, secFunction, secMemory, secGlobal, secExport, secCode} {
		if id == secMemory && w.m.memories > 0 || slices.ContainsFunc(sections, func(s section) bool { return s.id == id }) {
			continue
		}
		at := len(sections)
		for i, s := range sections {
			if s.id != secCustom && order[s.id] > order[id] {
				at = i
				break
			}
		}
		sections = slices.Insert(slices.Clone(sections), at, section{id, []byte{0}})
	}
	out := append(make([]byte, 0, size+size/2), header...)
	for _, s := range sections {
		if s.id == secStart || s.id == secCustom && debugSection(s.body) {
			continue
		}
		body := s.body
		switch s.id {
		case secType:
			body = extend(body, len(w.types), w.appendTypes)
		case secFunction:
			body = extend(body, len(w.helpers), w.appendHelperTypes)
		case secTable:
			body = w.tableSection()
		case secMemory:
			if w.m.memories == 0 {
				body = []byte{1, 1, 0, 0} // empty, for memory.grow to be allowed
			}
		case secGlobal:
			body = extend(body, globalCount, w.appendGlobals)
		case secExport:
			body = w.exportSection(body)
		case secCode:
			body = bodies
		}
		out = append(appendU(append(out, s.id), len(body)), body...)
	}
	return out, nil
}

// debugSection reports whether a custom section holds DWARF, whose addresses in the code would be wrong.
func debugSection(body []byte) bool {
	r := &reader{b: body}
	name := r.name()
	return len(name) > 7 && name[:7] == ".debug_"
}

// extend returns a section with more items at its end.
func extend(section []byte, n int, items func([]byte) []byte) []byte {
	r := &reader{b: section}
	count := int(r.u32())
	return items(append(appendU(nil, count+n), section[r.pos:]...))
}

func (w *rewriter) appendTypes(b []byte) []byte {
	for _, t := range w.types {
		b = append(b, 0x60)
		b = append(appendU(b, len(t.params)), t.params...)
		b = append(appendU(b, len(t.results)), t.results...)
	}
	return b
}

func (w *rewriter) appendHelperTypes(b []byte) []byte {
	for _, h := range w.helpers {
		b = appendU(b, h.typ)
	}
	return b
}

func (w *rewriter) appendGlobals(b []byte) []byte {
	work, none := Start(0)
	for _, v := range [globalCount]uint64{globalWork: work, globalBudget: none} {
		b = appendS(append(b, typeI64, 1, opI64Const), int64(v))
		b = append(b, opEnd)
	}
	return b
}

func (w *rewriter) exportSection(section []byte) []byte {
	n := globalCount
	if w.m.start >= 0 {
		n++
	}
	return extend(section, n, func(b []byte) []byte {
		for i, name := range globalNames {
			b = append(appendU(b, len(name)), name...)
			b = appendU(append(b, 3), int(w.m.globals)+i)
		}
		if w.m.start >= 0 {
			b = append(appendU(b, len(ExportStart)), ExportStart...)
			b = appendU(append(b, 0), uint64(w.m.start))
		}
		return b
	})
}

// tableSection gives every table a maximum, so that growing is bounded: what is left of [MaxTableElements] is shared evenly.
func (w *rewriter) tableSection() []byte {
	var own []table
	left := uint32(MaxTableElements)
	for _, t := range w.m.tables {
		if left -= t.min; !t.imported {
			own = append(own, t)
		}
	}
	b := appendU(nil, len(own))
	for _, t := range own {
		most := t.min + left/uint32(len(own))
		if t.bounded {
			most = min(most, t.max)
		}
		b = appendU(appendU(append(b, t.kind, 1), t.min), most)
	}
	return b
}

// code writes the code section.
func (w *rewriter) code(size int) ([]byte, error) {
	out := make([]byte, 0, size+size/2)
	var one []byte
	var err error
	for i := range w.m.bodies {
		if one, err = w.function(one[:0], &w.m.bodies[i], &w.plans[i]); err != nil {
			return nil, inFunc(err, int(w.m.imported)+i)
		}
		out = append(appendU(out, len(one)), one...)
	}
	for i := 0; i < len(w.helpers); i++ { // a helper may need another
		one = w.helperBody(one[:0], w.helpers[i])
		out = append(appendU(out, len(one)), one...)
	}
	return append(appendU(nil, len(w.m.bodies)+len(w.helpers)), out...), nil
}

// global appends an instruction on one of the appended globals.
func (w *rewriter) global(b []byte, op byte, g int) []byte {
	return appendU(append(b, op), int(w.m.globals)+g)
}

// typeOf returns the index of an appended type.
func (w *rewriter) typeOf(params, results []byte) int {
	key := string(params) + "->" + string(results)
	i, ok := w.foundTypes[key]
	if !ok {
		i = len(w.m.types) + len(w.types)
		w.types, w.foundTypes[key] = append(w.types, funcType{params, results}), i
	}
	return i
}

// resultBlock returns the type of a block that takes nothing and leaves the results of the type.
func (w *rewriter) resultBlock(typ uint32) int64 {
	switch r := w.m.types[typ].results; len(r) {
	case 0:
		return blockVoid
	case 1:
		return int64(r[0]) - 128
	default:
		return int64(w.typeOf(nil, r))
	}
}
