package wasm

import (
	"bytes"
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// checkHeader tells core modules from everything else that people name .wasm.
func checkHeader(name string, b []byte) error {
	switch {
	case len(b) >= 8 && string(b[:8]) == "\x00asm\x01\x00\x00\x00":
		return nil
	case len(b) >= 8 && string(b[:4]) == "\x00asm" && b[6] == 1:
		return fault.New(fault.Permanent, CodeComponent, "%s is a component; leat runs core modules with WASI preview 1", name).
			WithHint("build for wasm32-wasip1, without wasm-tools component new")
	case len(b) >= 4 && string(b[:4]) == "\x00asm":
		return fault.New(fault.Permanent, CodeNotWASM, "%s has a WASM header of an unknown version", name)
	case bytes.HasPrefix(bytes.TrimSpace(b), []byte("(module")):
		return fault.New(fault.Permanent, CodeNotWASM, "%s is WASM text, not a module", name).WithHint("translate it with wat2wasm")
	case len(b) == 0:
		return fault.New(fault.Permanent, CodeNotWASM, "%s is empty", name)
	}
	return fault.New(fault.Permanent, CodeNotWASM, "%s is not a WASM module: it begins with %q", name, b[:min(len(b), 8)])
}

// signature is the type of a function of the interface.
type signature struct{ params, results []api.ValueType }

func (s signature) String() string {
	list := func(types []api.ValueType) string {
		var b bytes.Buffer
		for i, t := range types {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(api.ValueTypeName(t))
		}
		return b.String()
	}
	return fmt.Sprintf("(%s) -> (%s)", list(s.params), list(s.results))
}

func (s signature) fits(f api.FunctionDefinition) bool {
	return bytes.Equal(s.params, f.ParamTypes()) && bytes.Equal(s.results, f.ResultTypes())
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// exports lists the functions of the interface.
var exports = []struct {
	name     string
	required bool
	signature
}{
	{abi.ExportMarker, true, signature{}},
	{abi.ExportAlloc, true, signature{[]byte{i32}, []byte{i32}}},
	{abi.ExportConfigure, true, signature{[]byte{i32, i32}, []byte{i32}}},
	{abi.ExportTransform, true, signature{[]byte{i32, i32}, []byte{i64}}},
	{abi.ExportDescribe, false, signature{nil, []byte{i64}}},
	{abi.ExportInit, false, signature{}},
	{abi.ExportCursor, false, signature{nil, []byte{i32}}},
	{abi.ExportAllocated, false, signature{nil, []byte{i64}}},
}

// check compares the module's exports and imports with the interface.
func (m *Module) check() error {
	name, have := m.cfg.name(), m.compiled.ExportedFunctions()
	if len(m.compiled.ImportedMemories()) > 0 {
		return fault.New(fault.Permanent, CodeImportedMemory, "%s imports its memory; it must define and export it as %q", name, abi.ExportMemory).
			WithHint("do not link with --import-memory")
	}
	if err := m.checkImports(); err != nil {
		return err
	}
	for _, e := range exports {
		f, ok := have[e.name]
		switch {
		case !ok && e.name == abi.ExportMarker:
			return fault.New(fault.Permanent, CodeMissingExport, "%s is not a leat transform: it does not export %q", name, e.name).
				WithHint("use a leat SDK, whose Each or the like says what becomes of records; a Go module needs -buildmode=c-shared")
		case !ok && e.required:
			return fault.New(fault.Permanent, CodeMissingExport, "%s does not export %q", name, e.name)
		case ok && !e.fits(f):
			return fault.New(fault.Permanent, CodeWrongType, "%s exports %q as %s; it must be %s",
				name, e.name, signature{f.ParamTypes(), f.ResultTypes()}, e.signature)
		}
	}
	if _, ok := m.compiled.ExportedMemories()[abi.ExportMemory]; !ok {
		return fault.New(fault.Permanent, CodeMissingExport, "%s does not export its memory as %q", name, abi.ExportMemory)
	}
	for _, s := range m.compiled.CustomSections() {
		if s.Name() == abi.SectionManifest {
			m.manifest = s.Data()
		}
	}
	return nil
}

func (m *Module) checkImports() error {
	wasi := m.runtime.Module(wasi_snapshot_preview1.ModuleName).ExportedFunctionDefinitions()
	own := m.runtime.Module(abi.ImportModule).ExportedFunctionDefinitions()
	for _, f := range m.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		offered, known := wasi[name], module == wasi_snapshot_preview1.ModuleName
		if module == abi.ImportModule {
			offered, known = own[name], true
		}
		switch {
		case !known || offered == nil:
			return fault.New(fault.Permanent, CodeUnknownImport, "%s imports %s.%s, which leat does not offer", m.cfg.name(), module, name).
				WithHint("a transform may import leat.log, leat.fail, leat.count and WASI preview 1")
		case !(signature{offered.ParamTypes(), offered.ResultTypes()}).fits(f):
			return fault.New(fault.Permanent, CodeWrongType, "%s imports %s.%s as %s; it is %s", m.cfg.name(), module, name,
				signature{f.ParamTypes(), f.ResultTypes()}, signature{offered.ParamTypes(), offered.ResultTypes()})
		}
	}
	return nil
}
