package wasm

import (
	"slices"
	"strings"

	"github.com/leatstream/leat/transforms/wasm/abi"
)

// This file assembles the small modules of tests whose behaviour no compiler produces.

// Opcodes in use.
const (
	opUnreachable, opBlock, opLoop, opIf, opEnd, opBr, opBrIf     = 0x00, 0x02, 0x03, 0x04, 0x0b, 0x0c, 0x0d
	opCall, opDrop, opLocalGet, opLocalSet, opGlobalSet           = 0x10, 0x1a, 0x20, 0x21, 0x24
	opLocalTee, opI32LtU, opElse                                  = 0x22, 0x49, 0x05
	opI32Load, opI32Load8, opI32Store, opI32Store8, opMemGrow     = 0x28, 0x2d, 0x36, 0x3a, 0x40
	opI32Const, opI64Const, opI32Eq, opI32GtU, opI32GeU, opI32Add = 0x41, 0x42, 0x46, 0x4b, 0x4f, 0x6a
	opI32Mul, opI64Or, opExtendU                                  = 0x6c, 0x84, 0xad
	void                                                          = 0x40
)

func uleb(n int) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func sleb(n int64) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// code joins instructions: bytes as they are, ints as operands in LEB128.
func code(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func konst(n int) []byte   { return code(opI32Const, sleb(int64(n))) }
func konst64(n int) []byte { return code(opI64Const, sleb(int64(n))) }
func get(local int) []byte { return code(opLocalGet, uleb(local)) }
func set(local int) []byte { return code(opLocalSet, uleb(local)) }
func load(off int) []byte  { return code(opI32Load, 0, uleb(off)) }

func vec(items ...[]byte) []byte { return append(uleb(len(items)), slices.Concat(items...)...) }
func name(s string) []byte       { return append(uleb(len(s)), s...) }
func section(id byte, body []byte) []byte {
	return slices.Concat([]byte{id}, uleb(len(body)), body)
}

// function is a function of a module. Its locals, after the parameters, are i32.
type function struct {
	signature
	locals int
	extra  []byte // one more group of locals
	body   []byte
}

// assembly is a module: a working transform that keeps every record, unless a test changes it.
type assembly struct {
	imports  []string // module.name of functions
	memory   []byte   // limits
	imported bool     // the memory is imported
	global   byte     // type of the exported leat_cursor, 0 for none
	cursorAt int      // address of the variable that leat_cursor, then immutable, stands for
	funcs    map[string]function
	start    []byte // body of a start function
	data     []byte // at dataAt
	custom   []byte // content of the section leat.manifest
}

const (
	arenaAt  = 1 << 20
	answerAt = 3 << 20
	dataAt   = 64
)

func pack(ptr, n int) int { return ptr<<32 | n }

// newAssembly returns a transform that keeps records, sets the cursor, traps on records that begin with P and loops on those
// that begin with S. Its arena has 2 MiB.
func newAssembly() *assembly {
	const n, i, e = 2, 3, 4 // locals
	transform := code(
		get(0), load(8), set(n),
		opBlock, void, opLoop, void,
		get(i), get(n), opI32GeU, opBrIf, 1,
		get(i), opGlobalSet, 0,
		get(0), get(i), konst(abi.RecordSize), opI32Mul, opI32Add, set(e),
		get(0), get(e), load(abi.HeaderSize+16), opI32Add, opI32Load8, 0, 0, konst('P'), opI32Eq, opIf, void, opUnreachable, opEnd,
		get(0), get(e), load(abi.HeaderSize+16), opI32Add, opI32Load8, 0, 0, konst('S'), opI32Eq,
		opIf, void, opLoop, void, opBr, 0, opEnd, opEnd,
		get(i), konst(abi.ResultSize), opI32Mul, konst(int(abi.Unchanged)), opI32Store8, 0, uleb(answerAt+abi.HeaderSize),
		get(i), konst(1), opI32Add, set(i),
		opBr, 0, opEnd, opEnd,
		konst(0), konst(0x3152544c), opI32Store, 0, uleb(answerAt), // LTR1
		konst(0), konst(abi.HeaderSize<<16|abi.Version), opI32Store, 0, uleb(answerAt+4),
		konst(0), get(n), opI32Store, 0, uleb(answerAt+8),
		konst(0), konst(abi.HeaderSize), opI32Store, 0, uleb(answerAt+16),
		get(n), konst(abi.ResultSize), opI32Mul, konst(abi.HeaderSize), opI32Add, opExtendU, konst64(pack(answerAt, 0)), opI64Or,
	)
	return &assembly{
		memory: []byte{0, 64},
		global: i32,
		funcs: map[string]function{
			abi.ExportMarker:    {},
			abi.ExportAlloc:     {signature: exports[1].signature, body: konst(arenaAt)},
			abi.ExportConfigure: {signature: exports[2].signature, body: konst(0)},
			abi.ExportTransform: {signature: exports[3].signature, locals: 3, body: transform},
		},
	}
}

// answering makes leat_transform return the given bytes.
func (a *assembly) answering(frame []byte) *assembly {
	a.data = frame
	return a.body(abi.ExportTransform, konst64(pack(dataAt, len(frame))))
}

func (a *assembly) body(fn string, body []byte) *assembly {
	f := a.funcs[fn]
	f.body = body
	a.funcs[fn] = f
	return a
}

// bytes encodes the module.
func (a *assembly) bytes() []byte { return a.bytesImporting(signature{params: []byte{i32, i32}}) } // the type of leat.fail

// bytesImporting encodes the module; its imports are of the type given.
func (a *assembly) bytesImporting(imported signature) []byte {
	funcType := func(s signature) []byte {
		return slices.Concat([]byte{0x60}, uleb(len(s.params)), s.params, uleb(len(s.results)), s.results)
	}
	types := [][]byte{funcType(imported)}
	var imports, funcs, exported, bodies [][]byte
	for _, imp := range a.imports {
		mod, fn, _ := strings.Cut(imp, ".")
		imports = append(imports, slices.Concat(name(mod), name(fn), []byte{0, 0}))
	}
	if a.imported {
		imports = append(imports, slices.Concat(name("env"), name("memory"), []byte{2}, a.memory))
	}
	add := func(f function) int {
		types = append(types, funcType(f.signature))
		funcs = append(funcs, uleb(len(types)-1))
		groups := [][]byte{slices.Concat(uleb(f.locals), []byte{i32})}
		if f.extra != nil {
			groups = append(groups, f.extra)
		}
		body := slices.Concat(vec(groups...), f.body, []byte{opEnd})
		bodies = append(bodies, append(uleb(len(body)), body...))
		return len(a.imports) + len(funcs) - 1
	}
	var names []string
	for n := range a.funcs {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		exported = append(exported, slices.Concat(name(n), []byte{0}, uleb(add(a.funcs[n]))))
	}
	start := -1
	if a.start != nil {
		start = add(function{body: a.start})
	}
	exported = append(exported, slices.Concat(name(abi.ExportMemory), []byte{2, 0}))
	m := []byte("\x00asm\x01\x00\x00\x00")
	if a.custom != nil {
		m = append(m, section(0, append(name(abi.SectionManifest), a.custom...))...)
	}
	m = append(m, section(1, vec(types...))...)
	if len(imports) > 0 {
		m = append(m, section(2, vec(imports...))...)
	}
	m = append(m, section(3, vec(funcs...))...)
	if !a.imported {
		m = append(m, section(5, vec(a.memory))...)
	}
	if a.global != 0 {
		zero := konst(0)
		if a.global == i64 {
			zero = konst64(0)
		}
		mutable := byte(1)
		if a.cursorAt != 0 {
			zero, mutable = konst(a.cursorAt), 0
		}
		m = append(m, section(6, vec(slices.Concat([]byte{a.global, mutable}, zero, []byte{opEnd})))...)
		exported = append(exported, slices.Concat(name(abi.ExportCursor), []byte{3, 0}))
	}
	m = append(m, section(7, vec(exported...))...)
	if start >= 0 {
		m = append(m, section(8, uleb(start))...)
	}
	m = append(m, section(10, vec(bodies...))...)
	if a.data != nil {
		m = append(m, section(11, vec(slices.Concat([]byte{0}, konst(dataAt), []byte{opEnd}, uleb(len(a.data)), a.data)))...)
	}
	return m
}
