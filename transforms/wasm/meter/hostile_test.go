package meter

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// item is a part of a module under construction: bytes.
type item = []byte

func list(items ...item) item { return append(appendU(nil, len(items)), bytes.Join(items, nil)...) }

func sectionOf(id byte, body item) item { return append(appendU([]byte{id}, len(body)), body...) }

func text(s string) item { return append(appendU(nil, len(s)), s...) }

func sized(b item) item { return append(appendU(nil, len(b)), b...) }

// codeOf is a function body with locals.
func codeOf(locals item, instructions ...item) item {
	return sized(slices.Concat(locals, slices.Concat(instructions...), item{opEnd}))
}

var noLocals = item{0}

// built is a module of one function of type () -> (), with a memory, a table of 10 and a mutable i64 global, unless a section is given.
func built(body item, sections map[byte]item) item {
	all := map[byte]item{
		secType: list(item{0x60, 0, 0}), secFunction: list(item{0}), secTable: list(item{typeFunc, 0, 10}), secMemory: list(item{0, 1}),
		secGlobal: list(item{typeI64, 1, opI64Const, 0, opEnd}), secExport: list(slices.Concat(text("f"), item{0, 0})), secCode: list(body),
	}
	for id, s := range sections {
		all[id] = s
	}
	m := item(header)
	for _, id := range []byte{secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode, secData} {
		if s, ok := all[id]; ok && s != nil {
			m = append(m, sectionOf(id, s)...)
		}
	}
	return m
}

type hostileModule struct {
	name   string
	module item
	says   string // of the rewriter's error; empty if it may do its work
}

// complete is the module; a body alone is that of the function of an ordinary one.
func (h *hostileModule) complete() item {
	if bytes.HasPrefix(h.module, []byte(header)) {
		return h.module
	}
	return built(h.module, nil)
}

// hostile are modules that try to get at what the rewriter appends, to cost more than they pay for, or to break it.
func hostile() []hostileModule {
	global := func(op byte, n byte) item { return codeOf(noLocals, item{opI64Const, 1, op, n}) }
	deepBlocks := slices.Concat(bytes.Repeat(item{opBlock, 0x40}, 10_000), bytes.Repeat(item{opEnd}, 10_000))
	deepLoops := slices.Concat(bytes.Repeat(item{opLoop, 0x40}, 1000), bytes.Repeat(item{opEnd}, 1000))
	table := slices.Concat(item{opBlock, 0x40, opI32Const, 0, opBrTable}, appendU(nil, 5000), bytes.Repeat(item{0}, 5001), item{opEnd})
	exports := func(name string, kind byte) map[byte]item {
		return map[byte]item{secExport: list(slices.Concat(text(name), item{kind, 0}))}
	}
	simple := codeOf(noLocals)
	return []hostileModule{
		{"sets the appended global work", global(opGlobalSet, 1), "global 1 does not exist"},
		{"sets the appended global budget", global(opGlobalSet, 2), "global 2 does not exist"},
		{"reads an appended global", codeOf(noLocals, item{opGlobalGet, 1, opDrop}), "global 1 does not exist"},
		{"exports an appended global", built(simple, map[byte]item{secExport: list(slices.Concat(text("g"), item{3, 1}))}), "global 1 does not exist"},
		{"initializes with an appended global", built(simple, map[byte]item{secGlobal: list(item{typeI64, 0, opGlobalGet, 1, opEnd})}), "global 1 does not exist"},
		{"calls an appended function", codeOf(noLocals, item{opCall, 1}), "function 1 does not exist"},
		{"exports an appended function", built(simple, map[byte]item{secExport: list(slices.Concat(text("g"), item{0, 1}))}), "function 1 does not exist"},
		{"puts an appended function into a table", built(simple, map[byte]item{secElement: list(item{0, opI32Const, 0, opEnd, 1, 1})}), "function 1 does not exist"},
		{"starts with an appended function", built(simple, map[byte]item{secStart: item{1}}), "function 1 does not exist"},
		{"refers to an appended function", codeOf(noLocals, item{opRefFunc, 1, opDrop}), "function 1 does not exist"},
		{"uses an appended type for a block", codeOf(noLocals, item{opBlock, 1, opEnd}), "type 1 does not exist"},
		{"uses an appended type for a call", codeOf(noLocals, item{opI32Const, 0, opCallIndirect, 1, 0}), "type 1 does not exist"},
		{"uses an appended type for a function", built(simple, map[byte]item{secFunction: list(item{1})}), "type 1 does not exist"},
		{"uses the appended local", codeOf(noLocals, item{opLoop, 0x40, opI64Const, 1, opLocalSet, 0, opBr, 0, opEnd}), "local 0 does not exist"},
		{"branches out of the wrapping block", codeOf(noLocals, item{opLoop, 0x40, opBr, 2, opEnd}), "label 2 does not exist"},
		{"branches out of it by table", codeOf(noLocals, item{opLoop, 0x40, opI32Const, 0, opBrTable, 1, 0, 2, opEnd}), "label 2 does not exist"},
		{"uses a memory that only metering has", built(codeOf(noLocals, item{opMemorySize, 0, opDrop}), map[byte]item{secMemory: nil}), "memory does not exist"},
		{"starts with parameters", built(simple, map[byte]item{secType: list(item{0x60, 1, typeI32, 0}), secStart: item{0}}), "parameters"},
		{"refers to a function that only the start makes known", built(codeOf(noLocals, item{opRefFunc, 0, opDrop}), map[byte]item{secStart: item{0}, secExport: list()}), "not declared"},
		{"exports a variable of metering", built(simple, exports(ExportBudget, 3)), "reserved"},
		{"exports a name like one", built(simple, exports(ReservedPrefix+"x", 0)), "reserved"},
		{"hides an opcode behind a vector's", codeOf(noLocals, item{opLoop, 0x40, opVec, 0x80, 0x02, 0x40, opBr, 0, opEnd, opEnd}), "0x2 behind 0x80"},
		{"counts locals to exhaust memory", codeOf(item{2, 0xff, 0xff, 0xff, 0xff, 0x0f, typeI32, 0xff, 0xff, 0xff, 0xff, 0x0f, typeI32}), "locals; the limit is 50000"},
		{"counts types to exhaust memory", built(simple, map[byte]item{secType: item{0xff, 0xff, 0xff, 0xff, 0x0f}}), "do not fit"},
		{"counts parameters to exhaust memory", built(simple, map[byte]item{secType: item{1, 0x60, 0xff, 0xff, 0xff, 0xff, 0x0f}}), "do not fit"},
		{"counts names to exhaust memory", append(built(simple, nil), sectionOf(0, slices.Concat(text("name"), item{1}, sized(item{0xff, 0xff, 0xff, 0xff, 0x0f})))...), "do not fit"},
		{"has a table of a gigabyte", built(simple, map[byte]item{secTable: list(item{typeFunc, 0, 0x80, 0x80, 0x80, 0x40})}), "the limit is 131072"},
		{"has many tables", built(simple, map[byte]item{secTable: list(slices.Repeat([]item{{typeFunc, 0, 0xff, 0x7f}}, 100)...)}), "the limit is 131072"},
		{"lies about the size of its code", built(slices.Concat(item{9}, simple[1:]), nil), "ends too early"},
		{"has code behind its end", built(sized(item{0, opEnd, opNop, opEnd}), nil), "code follows its end"},
		{"has no end", built(sized(item{0, opNop}), nil), "ends too early"},
		{"writes numbers longer than 5 bytes", codeOf(noLocals, item{opCall, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), "more than 32 bits"},
		{"writes numbers with more than 32 bits", codeOf(noLocals, item{opI32Const, 0xff, 0xff, 0xff, 0xff, 0x3f, opDrop}), "more than 32 bits"},
		{"has an else without if", codeOf(noLocals, item{opBlock, 0x40, opElse, opEnd}), "else without if"},
		{"names another memory", codeOf(noLocals, item{opI32Const, 0, opI32Load, 0x42, 0, 0, opDrop}), "alignment"},
		{"has shared memory", built(simple, map[byte]item{secMemory: list(item{3, 1, 1})}), "shared"},
		{"has two memories", built(simple, map[byte]item{secMemory: list(item{0, 1}, item{0, 1})}), "2 memories"},
		{"writes numbers with padding", codeOf(noLocals, item{opCall, 0x80, 0x80, 0x80, 0x80, 0}), ""},
		{"has 50,000 locals", codeOf(item{1, 0xd0, 0x86, 0x03, typeI64}, item{opLoop, 0x40, opLocalGet, 0, opDrop, opEnd}), ""},
		{"nests blocks 10,000 deep", codeOf(noLocals, deepBlocks), ""},
		{"nests loops 1,000 deep", codeOf(noLocals, deepLoops), ""},
		{"has 5,000 targets of br_table", codeOf(noLocals, table), ""},
	}
}

func TestHostileModulesAreRefusedOrHarmless(t *testing.T) {
	for _, h := range hostile() {
		start := time.Now()
		out, _, err := Rewrite(h.complete())
		switch {
		case h.says != "" && (err == nil || !strings.Contains(err.Error(), h.says)):
			t.Errorf("%s: %v", h.name, err)
		case h.says == "" && err != nil:
			t.Errorf("%s: %v", h.name, err)
		case err == nil:
			if before, after := compiles(h.complete(), false), compiles(out, false); before != nil || after != nil {
				t.Errorf("%s: before %v, after %v", h.name, before, after)
			}
		}
		if took := time.Since(start); took > tooLong {
			t.Errorf("%s: it takes %s", h.name, took)
		}
	}
}

func TestWhatIsUnknownIsToldFromWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		code item
		says string
	}{
		{item{0xfe, 0x03, 0x00}, "function 0 uses opcode 0xfe"},
		{item{0x12, 0}, "opcode 0x12"},
		{item{0x06, 0x40}, "opcode 0x6"},
		{item{opVec, 0x9a, 0x01}, "opcode 0xfd 0x9a"},
		{item{opMisc, 0x12}, "opcode 0xfc 0x12"},
		{item{opRefNull, 0x69}, "reference type 0x69"},
	} {
		_, _, err := Rewrite(built(codeOf(noLocals, c.code), nil))
		var unknown *Unsupported
		if !errors.As(err, &unknown) || unknown.Func != 0 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%x: %v", c.code, err)
		}
	}
	_, _, err := Rewrite(built(codeOf(noLocals), map[byte]item{secExport: list(slices.Concat(text(ExportWork), item{3, 0}))}))
	var refused *Error
	if !errors.As(err, &refused) || !refused.Reserved {
		t.Error(err)
	}
}

func TestTablesCannotGrowBeyondTheirShare(t *testing.T) {
	g := metered(t, readFile(t, "testdata/wat/bulk.wasm"))
	// One of the two tables has a maximum of its own, 100; the module's own rules hold.
	for _, c := range []struct{ by, want uint64 }{{36, 64}, {1, 0xffffffff}, {MaxTableElements, 0xffffffff}} {
		r, _, err := g.call("table_grow", c.by)
		if err != nil || r[0] != c.want {
			t.Errorf("growing by %d: %x, %v", c.by, r, err)
		}
	}
	grow := codeOf(noLocals, item{opRefNull, typeFunc, opI32Const}, appendS(nil, MaxTableElements), item{opMisc, 15, 0, opDrop})
	out, _, err := Rewrite(built(grow, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := instantiate(t, nil, out).call("f"); err != nil {
		t.Fatal(err)
	}
	m, err := parse(bytes.ReplaceAll(out, []byte(ReservedPrefix), []byte("xxxx_meter_")))
	if err != nil || len(m.tables) != 1 || m.tables[0].max != MaxTableElements {
		t.Errorf("%+v, %v", m.tables, err)
	}
}

// row is a module whose functions call the next one each.
func row(n int) item {
	types, bodies := make([]item, n), make([]item, n)
	for i := range n {
		types[i], bodies[i] = item{0}, codeOf(noLocals, appendU(item{opCall}, min(i+1, n-1)))
	}
	return built(nil, map[byte]item{secFunction: list(types...), secCode: list(bodies...)})
}

// wide is a module of functions that never end, each with results of another type.
func wide(n int) item {
	types, funcs, bodies := make([]item, n), make([]item, n), make([]item, n)
	for i := range n {
		types[i], funcs[i] = item{0x60, 0, 20}, appendU(nil, i)
		for bit := range 20 {
			types[i] = append(types[i], typeI64+byte(i>>bit&1))
		}
		bodies[i] = codeOf(noLocals, item{opLoop, 0x40, opBr, 0, opEnd, opUnreachable})
	}
	return built(nil, map[byte]item{secType: list(types...), secFunction: list(funcs...), secCode: list(bodies...)})
}

// segments is a module that copies each of n segments and grows its memory as often.
func segments(n int) item {
	var code []item
	for i := range n {
		code = append(code, slices.Concat(item{opI32Const, 0, opI32Const, 0, opI32Const, 0, opMisc, 8}, appendU(nil, i), item{0}))
	}
	code = append(code, bytes.Repeat(item{opI32Const, 0, opMemoryGrow, 0, opDrop}, n))
	return built(codeOf(noLocals, code...), map[byte]item{secDataCount: appendU(nil, n), secData: list(slices.Repeat([]item{{1, 0}}, n)...)})
}

// What would take the compiler minutes is refused by the number of its branches, in one function or in many.
func TestWhatTakesVeryLongToCompileIsRefused(t *testing.T) {
	loop := item{opLoop, 0x40, opI32Const, 0, opBrIf, 0, opEnd}
	jump := slices.Concat(item{opBlock, 0x40, opI32Const, 0, opBrIf, 0, opEnd})
	many := func(functions int, body item) map[byte]item {
		types, bodies := make([]item, functions), make([]item, functions)
		for i := range functions {
			types[i], bodies[i] = item{0}, codeOf(noLocals, body)
		}
		return map[byte]item{secFunction: list(types...), secCode: list(bodies...)}
	}
	for _, c := range []struct {
		name    string
		module  item
		refused bool
	}{
		{"loops in one function", built(codeOf(noLocals, bytes.Repeat(loop, 16_000)), nil), true},
		{"branches in one function", built(codeOf(noLocals, bytes.Repeat(jump, 30_000)), nil), true},
		{"loops in many functions", built(nil, many(100, bytes.Repeat(loop, 2000))), true},
		{"some loops", built(codeOf(noLocals, bytes.Repeat(loop, 500)), nil), false},
		{"a large straight function", built(codeOf(noLocals, bytes.Repeat(item{opNop}, 1_000_000)), nil), false},
		{"locals of many functions", built(nil, map[byte]item{
			secFunction: list(slices.Repeat([]item{{0}}, 201)...), secCode: list(slices.Repeat([]item{codeOf(item{1, 0xd0, 0x86, 0x03, typeI64})}, 201)...),
		}), true},
		{"calls of many values", built(codeOf(noLocals, bytes.Repeat(item{opCall, 0}, 700_000)), map[byte]item{
			secType: list(slices.Concat(item{0x60}, appendU(nil, 1000), bytes.Repeat(item{typeI64}, 1000), item{0})),
		}), true},
		// What takes the rewriter no longer than their length: functions that call the next one, each of another type, with a segment of its own.
		{"functions in a row", row(200_000), false},
		{"types with two results", wide(100_000), false},
		{"segments", segments(50_000), false},
	} {
		began := time.Now()
		_, _, err := Rewrite(c.module)
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "very long to compile") && !strings.Contains(err.Error(), "locals") {
			t.Errorf("%s: %v", c.name, err)
		}
		if took := time.Since(began); took > tooLong {
			t.Errorf("%s: it took %v to say so", c.name, took)
		}
	}
}
