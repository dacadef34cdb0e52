package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

func TestOpenRefusesWhatIsNoTransform(t *testing.T) {
	without := func(export string) []byte {
		a := newAssembly()
		delete(a.funcs, export)
		return a.bytes()
	}
	change := func(fn func(*assembly)) []byte {
		a := newAssembly()
		fn(a)
		return a.bytes()
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		code  string
		says  string
	}{
		{"nothing", []byte{}, CodeNotWASM, "is empty"},
		{"text", []byte("(module)"), CodeNotWASM, "wat2wasm"},
		{"a shell script", []byte("#!/bin/sh\n"), CodeNotWASM, `begins with "#!/bin/s"`},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00rest"), CodeComponent, "wasm32-wasip1"},
		{"a later version", []byte("\x00asm\x02\x00\x00\x00"), CodeNotWASM, "unknown version"},
		{"rubbish", []byte("\x00asm\x01\x00\x00\x00rubbish"), CodeInvalidModule, "not a valid module"},
		{"no marker", without(abi.ExportMarker), CodeMissingExport, "-buildmode=c-shared"},
		{"no alloc", without(abi.ExportAlloc), CodeMissingExport, `"leat_alloc"`},
		{"no configure", without(abi.ExportConfigure), CodeMissingExport, `"leat_configure"`},
		{"no transform", without(abi.ExportTransform), CodeMissingExport, `"leat_transform"`},
		{"alloc of another type", change(func(a *assembly) {
			a.funcs[abi.ExportAlloc] = function{signature: signature{[]byte{i64}, []byte{i32}}, body: konst(8)}
		}), CodeWrongType, "(i64) -> (i32); it must be (i32) -> (i32)"},
		{"a cursor of another type", change(func(a *assembly) {
			a.global = i64
			a.answering([]byte("x"))
		}), CodeWrongType, "i64; it must be i32"},
		{"imported memory", change(func(a *assembly) { a.imported = true }), CodeImportedMemory, "imports its memory"},
		{"an import of another host", change(func(a *assembly) { a.imports = []string{"env.abort"} }), CodeUnknownImport, "env.abort"},
		{"an import that leat lacks", change(func(a *assembly) { a.imports = []string{"leat.read_file"} }), CodeUnknownImport, "leat.read_file"},
		{"an import of another type", change(func(a *assembly) { a.imports = []string{"leat.log"} }), CodeWrongType, "leat.log"},
		{"more memory than allowed", change(func(a *assembly) { a.memory = code(0, uleb(2000)) }), CodeInvalidModule, "raise the stage's memory"},
		{"a start that traps", change(func(a *assembly) { a.start = code(opUnreachable) }), CodeInvalidModule, "unreachable"},
		{"a start without end", change(func(a *assembly) { a.start = code(opLoop, void, opBr, 0, opEnd) }), CodeFuel, "its start function spent its fuel"},
		{"a start that calls the host", change(func(a *assembly) {
			a.imports = []string{"leat.fail"}
			a.global = 0
			a.answering([]byte("x"))
			a.start = code(konst(-1), konst(9), opCall, 0)
		}), CodeInvalidModule, "outside the memory"},
		{"alloc outside the memory", change(func(a *assembly) { a.body(abi.ExportAlloc, konst(-8)) }), CodeBadFrame, "outside the memory"},
		{"alloc not aligned", change(func(a *assembly) { a.body(abi.ExportAlloc, konst(12)) }), CodeBadFrame, "multiple of 8"},
		{"no room for the config", change(func(a *assembly) { a.body(abi.ExportAlloc, konst(0)) }), CodeConfigRefused, "no room"},
		{"config refused", change(func(a *assembly) { a.body(abi.ExportConfigure, konst(1)) }), CodeConfigRefused, "without a reason"},
		{"configure without end", change(func(a *assembly) {
			a.body(abi.ExportConfigure, code(opLoop, void, opBr, 0, opEnd, opUnreachable))
		}), CodeFuel, "leat_configure spent its fuel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Open(context.Background(), Config{Bytes: c.bytes, Path: "some.wasm", Fuel: Fuel{Base: 1e8}, CacheDir: t.TempDir()})
			if err == nil {
				m.Close(context.Background())
				t.Fatal("it was opened")
			}
			if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || fault.ClassOf(err) != fault.Permanent {
				t.Errorf("got %s: %v", fault.CodeOf(err), err)
			}
		})
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	for path, code := range map[string]string{filepath.Join(dir, "absent.wasm"): CodeNoModule, dir: CodeNotWASM, os.DevNull: CodeNotWASM} {
		if _, err := Open(context.Background(), Config{Path: path}); fault.CodeOf(err) != code || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	path := filepath.Join(dir, "notes.wasm")
	if err := os.WriteFile(path, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), Config{Path: path}); !strings.Contains(err.Error(), "notes.wasm is not a WASM module") {
		t.Error(err)
	}
}

func TestConfigIsValidated(t *testing.T) {
	for _, c := range []Config{
		{MemoryLimit: 1}, {MemoryLimit: 5 << 30}, {Guard: "meter"}, {Fuel: Fuel{Base: 1 << 62}}, {Fuel: Fuel{PerByte: 1 << 60}}, {Timeout: -1}, {Instances: -1}, {Config: []byte("{")},
	} {
		c.Bytes = newAssembly().bytes()
		if _, err := Open(context.Background(), c); fault.CodeOf(err) != CodeInvalidConfig {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestTheCursorNamesTheRecordOfATrap(t *testing.T) {
	for _, guard := range []Guard{Metered, Interrupt, None} {
		m := open(t, Config{Bytes: newAssembly().bytes(), Guard: guard, Timeout: 200 * time.Millisecond})
		got, _, err := apply(t, m, "a", "b")
		want(t, got, err, "=", "=")
		big := strings.Repeat("x", MaxBatchBytes-10) // so that the trap happens in the second call
		_, _, err = apply(t, m, big, "c", "d", "Poison", "e")
		var culprit stage.Culprit
		if !errors.As(err, &culprit) || culprit.Record() != 3 || fault.CodeOf(err) != CodeTrap {
			t.Errorf("guard %s: %v", guard, err)
		}
	}
	m := open(t, Config{Bytes: newAssembly().bytes(), Timeout: 200 * time.Millisecond})
	_, _, err := apply(t, m, "a", "Spin", "b")
	var culprit stage.Culprit
	if !errors.As(err, &culprit) || culprit.Record() != 1 || fault.CodeOf(err) != CodeTimeout {
		t.Errorf("after a time limit: %v", err)
	}
}

func TestACursorInMemoryNamesTheRecordOfATrap(t *testing.T) {
	a := newAssembly()
	a.cursorAt = dataAt
	transform := a.funcs[abi.ExportTransform].body
	a.body(abi.ExportTransform, bytes.ReplaceAll(transform, code(get(3), opGlobalSet, 0), code(konst(dataAt), get(3), opI32Store, 2, 0)))
	m := open(t, Config{Bytes: a.bytes()})
	_, _, err := apply(t, m, "a", "b", "Poison", "c")
	var culprit stage.Culprit
	if !errors.As(err, &culprit) || culprit.Record() != 2 || fault.CodeOf(err) != CodeTrap {
		t.Error(err)
	}
}

func TestManyPoisonRecordsOfOneBatchEachFailAlone(t *testing.T) {
	for _, cursor := range []bool{true, false} {
		a := newAssembly()
		if !cursor {
			a.body(abi.ExportTransform, bytes.ReplaceAll(a.funcs[abi.ExportTransform].body, code(get(3), opGlobalSet, 0), nil))
			a.global = 0
		}
		m := open(t, Config{Bytes: a.bytes()})
		chain := stage.NewChain(stage.Link{Name: "s", Transform: m})
		data := make([]string, 300)
		for i := range data {
			data[i] = "fine"
			if i%3 == 0 {
				data[i] = "Poison"
			}
		}
		var f stage.Final
		if err := chain.Run(context.Background(), batch(data...), &f); err != nil {
			t.Fatal(err)
		}
		for i, r := range f.Roots {
			if (r.Fail != nil) != (i%3 == 0) || r.Fail == nil && string(f.Outs[r.First].Data) != "fine" {
				t.Fatalf("cursor %v, record %d: %+v", cursor, i, r)
			}
		}
		f.Release()
	}
}

// frameOf encodes an OUTPUT frame of n unchanged records.
func frameOf(n int) []byte {
	b := make([]byte, abi.HeaderSize+abi.ResultSize*n)
	copy(b, abi.MagicOutput)
	binary.LittleEndian.PutUint16(b[4:], abi.Version)
	binary.LittleEndian.PutUint16(b[6:], abi.HeaderSize)
	binary.LittleEndian.PutUint32(b[8:], uint32(n))
	binary.LittleEndian.PutUint32(b[16:], abi.HeaderSize)
	for i := range n {
		b[abi.HeaderSize+abi.ResultSize*i] = byte(abi.Unchanged)
	}
	return b
}

func TestBadAnswersAreErrorsOfTheBatch(t *testing.T) {
	returning := func(ptr, n int) []byte {
		return newAssembly().body(abi.ExportTransform, konst64(pack(ptr, n))).bytes()
	}
	unknown := frameOf(1)
	unknown[abi.HeaderSize] = 9
	for _, c := range []struct {
		name  string
		bytes []byte
		code  string
		says  string
	}{
		{"0", returning(0, 0), CodeBatchFailed, "failed the batch"},
		{"outside the memory", returning(64*pageSize-8, 16), CodeBadFrame, "outside the memory"},
		{"wrapping around", returning(1<<31-8, 1<<20), CodeBadFrame, "outside the memory"},
		{"not aligned", returning(dataAt+4, 32), CodeBadFrame, "multiple of 8"},
		{"too long", returning(dataAt, MinOutputCap+1), CodeOutputTooLarge, "limit"},
		{"zeros", returning(answerAt, 56), CodeBadFrame, "magic"},
		{"too short", newAssembly().answering(frameOf(0)[:31]).bytes(), CodeBadFrame, "shorter than its header"},
		{"too few results", newAssembly().answering(frameOf(0)).bytes(), CodeBadFrame, "0 results for 1 records"},
		{"too many results", newAssembly().answering(frameOf(2)).bytes(), CodeBadFrame, "2 results for 1 records"},
		{"an unknown status", newAssembly().answering(unknown).bytes(), CodeBadFrame, "result 0: status 9"},
	} {
		m := open(t, Config{Bytes: c.bytes, Instances: 1})
		only := m.pool.idle[0]
		_, _, err := apply(t, m, "a")
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %s: %v", c.name, fault.CodeOf(err), err)
		}
		m.warm.Wait()
		if kept := slices.Contains(m.pool.idle, only); kept != (c.code == CodeBatchFailed) {
			t.Errorf("%s: the instance was kept: %v", c.name, kept)
		}
	}
	m := open(t, Config{Bytes: newAssembly().answering(frameOf(1)).bytes()})
	got, _, err := apply(t, m, "a")
	want(t, got, err, "=")
}

func TestAGuestThatRefusesMemoryGetsSmallerBatches(t *testing.T) {
	a := newAssembly()
	a.body(abi.ExportAlloc, code(konst(arenaAt), get(0), konst(1000), opI32GtU, opIf, void, konst(0), code(0x0f), opEnd))
	m := open(t, Config{Bytes: a.bytes()})
	data := make([]string, 100)
	expect := make([]string, 100)
	for i := range data {
		data[i], expect[i] = "record", "="
	}
	data[60], expect[60] = strings.Repeat("x", 1000), "!"+CodeAllocRefused
	got, _, err := apply(t, m, data...)
	want(t, got, err, expect...)
}

func TestMemoryThatTheGuestGrowsInACallIsReadAnew(t *testing.T) {
	a := newAssembly()
	a.body(abi.ExportTransform, append(code(konst(100), opMemGrow, 0, opDrop), a.funcs[abi.ExportTransform].body...))
	m := open(t, Config{Bytes: a.bytes()})
	for range 3 {
		got, _, err := apply(t, m, "a", "b")
		want(t, got, err, "=", "=")
	}
}

func TestDescribeReturnsTheManifest(t *testing.T) {
	a := newAssembly()
	m := open(t, Config{Bytes: a.bytes()})
	if b, err := m.Describe(context.Background()); b != nil || err != nil {
		t.Errorf("without a manifest: %q, %v", b, err)
	}
	a.custom = []byte(`{"name":"from the section"}`)
	m = open(t, Config{Bytes: a.bytes()})
	if b, err := m.Describe(context.Background()); string(b) != `{"name":"from the section"}` || err != nil {
		t.Errorf("section: %q, %v", b, err)
	}
	a.custom, a.data = nil, []byte(`{"name":"from the export"}`)
	a.funcs[abi.ExportDescribe] = function{signature: signature{nil, []byte{i64}}, body: konst64(pack(dataAt, len(a.data)))}
	m = open(t, Config{Bytes: a.bytes()})
	if b, err := m.Describe(context.Background()); string(b) != string(a.data) || err != nil {
		t.Errorf("export: %q, %v", b, err)
	}
	a.data = []byte(`not JSON`)
	m = open(t, Config{Bytes: a.bytes()})
	if _, err := m.Describe(context.Background()); fault.CodeOf(err) != CodeBadFrame {
		t.Errorf("not JSON: %v", err)
	}
}
