package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// What guests do to their host on purpose.

const opMemFill = "\xfc\x0b\x00"

// megabytes is a memory of so many MiB.
func megabytes(n int) []byte { return append([]byte{0}, uleb(n*16)...) }

// calls makes leat_transform call an imported function for ever, after it has filled 60 MiB from 64 on with b.
func (a *assembly) callsForever(imp string, b byte, before []byte, params ...int) *assembly {
	var args []byte
	for _, p := range params {
		args = append(args, konst(p)...)
	}
	a.imports, a.global, a.memory = []string{imp}, 0, megabytes(64)
	a.funcs[abi.ExportTransform] = function{signature: exports[3].signature, locals: 1, body: code(
		konst(64), konst(int(b)), konst(60<<20), []byte(opMemFill), before,
		opLoop, void, args, opCall, 0, opDrop, opBr, 0, opEnd, konst64(0))}
	return a
}

func TestLongPathsAndManyLinesDoNotOutliveTheTimeLimit(t *testing.T) {
	const wasi = "wasi_snapshot_preview1"
	path := newAssembly().callsForever(wasi+".path_create_directory", 'a', nil, 3, 64, 60<<20).
		bytesImporting(signature{[]byte{i32, i32, i32}, []byte{i32}})
	lines := newAssembly().callsForever(wasi+".fd_write", '\n',
		code(get(2), konst(64), opI32Store, 2, 0, get(2), konst(60<<20), opI32Store, 2, 4), 1, 0, 1, 16).
		bytesImporting(signature{[]byte{i32, i32, i32, i32}, []byte{i32}})
	reads := newAssembly().callsForever(wasi+".fd_read", 0, nil, 0, 64, 7<<20, 16).bytesImporting(signature{[]byte{i32, i32, i32, i32}, []byte{i32}})
	polls := newAssembly().callsForever(wasi+".poll_oneoff", 0, nil, 64, 64, 1<<20, 16).bytesImporting(signature{[]byte{i32, i32, i32, i32}, []byte{i32}})
	for name, module := range map[string][]byte{"path": path, "lines": lines, "reads": reads, "polls": polls} {
		m := open(t, Config{Bytes: module, Timeout: 200 * time.Millisecond, Instances: 1, Fuel: Fuel{Base: 1e15}})
		start := time.Now()
		if _, _, err := apply(t, m, "a"); fault.CodeOf(err) != CodeTimeout {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %s", name, time.Since(start))
	}
}

// outsThatShare is a frame with one result and n outs whose attributes are the same block of so many entries.
func outsThatShare(n, entries int) []byte {
	le := binary.LittleEndian
	block := append(le.AppendUint32(nil, uint32(entries)), make([]byte, 8*entries)...)
	frame := append([]byte("LTR1\x01\x00\x20\x00\x01\x00\x00\x00"), make([]byte, 20+abi.ResultSize+n*abi.OutSize)...)
	const results = abi.HeaderSize
	const outs = results + abi.ResultSize
	le.PutUint32(frame[12:], uint32(n))
	le.PutUint32(frame[16:], results)
	le.PutUint32(frame[20:], outs)
	le.PutUint32(frame[results+8:], uint32(n))
	for i := range n {
		le.PutUint32(frame[outs+i*abi.OutSize+24:], uint32(len(frame)))
		le.PutUint32(frame[outs+i*abi.OutSize+28:], uint32(len(block)))
	}
	return append(frame, block...)
}

// allocated is how many bytes f has allocated.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestOutsThatShareAttributesTakeNoMoreThanOthers(t *testing.T) {
	a := newAssembly().answering(outsThatShare(1000, 60_000)) // half a megabyte, and two gigabytes once it is decoded
	a.memory = megabytes(4)
	m := open(t, Config{Bytes: a.bytes(), Instances: 1})
	var err error
	if n := allocated(func() { _, _, err = apply(t, m, "a") }); n > 50<<20 {
		t.Errorf("it takes %d MiB", n>>20)
	}
	if fault.CodeOf(err) != CodeBadFrame || !strings.Contains(err.Error(), "share") {
		t.Error(err)
	}
	got, out, err := apply(t, open(t, Config{Bytes: newAssembly().answering(outsThatShare(100, 10)).bytes()}), "a")
	if err != nil || len(got) != 100 || len(out.Outs[99].Attrs) != 10 {
		t.Error(len(got), err)
	}
}

func TestFramesThatBreakTheRulesTakeNoRoom(t *testing.T) {
	a := newAssembly().body(abi.ExportTransform, konst64(pack(0, MinOutputCap)))
	a.memory = megabytes(8)
	m := open(t, Config{Bytes: a.bytes(), Instances: 1})
	chain := stage.NewChain(stage.Link{Name: "s", Transform: m})
	var f stage.Final
	defer f.Release()
	n := allocated(func() {
		if err := chain.Run(context.Background(), batch(make([]string, 30)...), &f); err != nil {
			t.Error(err)
		}
	})
	for _, r := range f.Roots {
		if r.Fail == nil || r.Fail.Code != CodeBadFrame {
			t.Fatal(r.Fail)
		}
	}
	if n > 60<<20 {
		t.Errorf("30 records take %d MiB", n>>20)
	}
}

func TestTheCodeAndTheReasonOfAFailureAreCut(t *testing.T) {
	le := binary.LittleEndian
	const results, textAt = abi.HeaderSize, abi.HeaderSize + abi.ResultSize
	frame := append([]byte("LTR1\x01\x00\x20\x00\x01\x00\x00\x00"), make([]byte, 20+abi.ResultSize)...)
	le.PutUint32(frame[16:], results)
	frame[results], frame[results+1] = byte(abi.Failed), byte(fault.Permanent)
	le.PutUint32(frame[results+12:], textAt)
	le.PutUint16(frame[results+16:], 60_000)
	le.PutUint16(frame[results+18:], 60_000)
	le.PutUint32(frame[results+20:], textAt)
	m := open(t, Config{Bytes: newAssembly().answering(append(frame, strings.Repeat("x", 60_000)...)).bytes()})
	_, out, err := apply(t, m, "a")
	if err != nil || len(out.Results[0].Code) != maxCode || len(out.Results[0].Reason) != maxFailure {
		t.Error(len(out.Results[0].Code), len(out.Results[0].Reason), err)
	}
}

func TestADamagedCacheOfCompiledCodeIsMadeAgain(t *testing.T) {
	dir, module := t.TempDir(), newAssembly().bytes()
	open(t, Config{Bytes: module, CacheDir: dir})
	var compiled string
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if e.Type().IsRegular() && strings.Contains(filepath.Dir(path), "wazero") {
			compiled = path
		}
		return err
	}); err != nil || compiled == "" {
		t.Fatal(compiled, err)
	}
	kept, err := os.ReadFile(compiled)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(kept)
	flipped[len(kept)/2] ^= 0xff
	for name, damage := range map[string][]byte{"empty": {}, "header": kept[:10], "half": kept[:len(kept)/2], "flipped": flipped} {
		if err := os.WriteFile(compiled, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := apply(t, open(t, Config{Bytes: module, CacheDir: dir}), "a")
		want(t, got, err, "=")
		if now, _ := os.ReadFile(compiled); !bytes.Equal(now, kept) {
			t.Errorf("%s: the damaged code was not made again", name)
		}
	}
}

// The runtime tells the size of a memory in 32 bits: for one of 4 GiB it would be 0.
func TestTheLargestMemoryHasASize(t *testing.T) {
	a := newAssembly().body(abi.ExportTransform, code(konst(1<<16-1-64), opMemGrow, 0, opDrop, konst(1), opMemGrow, 0, opDrop, konst64(0)))
	a.memory, a.global = []byte{1, 64, 0x80, 0x80, 0x04}, 0
	m := open(t, Config{Bytes: a.bytes(), MemoryLimit: 4 << 30, Instances: 1})
	if _, _, err := apply(t, m, "a"); fault.CodeOf(err) != CodeBatchFailed {
		t.Error(err)
	}
	if got := m.Footprint(); got != maxMemory {
		t.Errorf("a memory of %d bytes", got)
	}
}
