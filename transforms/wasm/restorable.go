package wasm

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat/transforms/wasm/meter"
)

// What a module keeps between calls is its memory, its globals and its tables. restorable lets the host see and set all of
// it: it exports the globals that can change.

const (
	exportGlobal   = "leat_global_"    // and a number: names of the exported globals
	sectionState   = "leat.restorable" // custom section that says so
	sectionCustom  = 0
	sectionImport  = 2
	sectionGlobal  = 6
	sectionExport  = 7
	kindFunction   = 0
	kindGlobal     = 3
	typeF64        = 0x7c // the number types are 0x7c to 0x7f
	insnI64Const   = 0x42
	insnF32Const   = 0x43
	insnF64Const   = 0x44
	insnGlobalGet  = 0x23
	insnRefNull    = 0xd0
	insnRefFunc    = 0xd2
	exportsTooMany = 1 << 20
)

// restorable returns a module that does the same and exports its globals, with a section that says how many. It returns the
// module itself, without the section, if it has state elsewhere (tables that change, imported globals, vectors), or names of
// the kind that would be added, or looks unusual.
func restorable(module []byte) []byte {
	if len(module) < 8 || !meter.FixedTables(module) {
		return module
	}
	var globals []uint32
	out := slices.Clip(module[:8])
	r := wasmReader{rest: module[8:]}
	exported := false
	for len(r.rest) > 0 {
		start := r.rest
		id, body := r.byte(), wasmReader{rest: r.take(r.u32())}
		whole := start[:len(start)-len(r.rest)]
		ok := !r.bad
		switch id {
		case sectionImport:
			ok = ok && onlyFunctions(&body)
		case sectionGlobal:
			globals, ok = variables(&body)
		case sectionExport:
			if whole, ok = exportAll(&body, globals); ok {
				exported = true
			}
		}
		if !ok {
			return module
		}
		out = append(out, whole...)
	}
	if !exported {
		return module
	}
	body := append([]byte{byte(len(sectionState))}, sectionState...)
	body = binary.AppendUvarint(body, uint64(len(globals)))
	return append(append(out, sectionCustom, byte(len(body))), body...)
}

// onlyFunctions is whether a module imports nothing but functions.
func onlyFunctions(r *wasmReader) bool {
	for n := r.u32(); n > 0 && !r.bad; n-- {
		r.take(r.u32())
		r.take(r.u32())
		if r.byte() != kindFunction {
			return false
		}
		r.u32()
	}
	return !r.bad
}

// variables returns the indexes of the globals that can change. It is false if one is no number.
func variables(r *wasmReader) (indexes []uint32, ok bool) {
	count := r.u32()
	for n := uint32(0); n < count && !r.bad; n++ {
		typ, mutable := r.byte(), r.byte()
		if mutable != 0 {
			if typ < typeF64 || typ > i32 {
				return nil, false
			}
			indexes = append(indexes, n)
		}
		if !skipConstant(r) {
			return nil, false
		}
	}
	return indexes, !r.bad && len(r.rest) == 0
}

// skipConstant reads a constant expression.
func skipConstant(r *wasmReader) bool {
	for !r.bad {
		switch r.byte() {
		case insnEnd:
			return true
		case insnI32Const, insnI64Const, insnRefNull:
			for r.byte()&0x80 != 0 && !r.bad {
			}
		case insnF32Const:
			r.take(4)
		case insnF64Const:
			r.take(8)
		case insnGlobalGet, insnRefFunc:
			r.u32()
		default:
			return false
		}
	}
	return false
}

// exportAll returns an export section with the globals added.
func exportAll(r *wasmReader, globals []uint32) (section []byte, ok bool) {
	count := r.u32()
	entries := r.rest
	for n := count; n > 0 && !r.bad; n-- {
		if name := r.take(r.u32()); strings.HasPrefix(string(name), exportGlobal) {
			return nil, false
		}
		r.byte()
		r.u32()
	}
	if r.bad || len(r.rest) > 0 || count > exportsTooMany {
		return nil, false
	}
	body := binary.AppendUvarint(nil, uint64(count)+uint64(len(globals)))
	body = append(body, entries...)
	for n, index := range globals {
		name := exportGlobal + strconv.Itoa(n)
		body = append(append(body, byte(len(name))), name...)
		body = binary.AppendUvarint(append(body, kindGlobal), uint64(index))
	}
	return append(binary.AppendUvarint([]byte{sectionExport}, uint64(len(body))), body...), true
}
