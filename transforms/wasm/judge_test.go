package wasm

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

func TestTheJudgeKeepsNothingOfATrial(t *testing.T) {
	for _, copied := range []bool{false, true} {
		m := open(t, Config{Path: guest(t, "probe"), Instances: 1, Fuel: Fuel{Base: 50_000_000}, Timeout: time.Minute})
		for n, c := range []struct {
			data []string
			at   int
			code string
		}{
			{[]string{"calls"}, 0, ""},
			{[]string{"upper a", "upper b", "exit", "upper c"}, 2, CodeExit},
			{[]string{"calls"}, 0, ""},
			{[]string{"exit"}, 0, CodeExit},
			{[]string{"huge"}, 0, CodeOutputTooLarge},
			{[]string{"calls"}, 0, ""},
			{[]string{"calls", "calls", "calls"}, 0, ""},
			{[]string{"spin"}, 0, CodeFuel},
			{[]string{"exit"}, 0, CodeExit},
			{[]string{"calls"}, 0, ""},
		} {
			at, err := m.search(context.Background(), batch(c.data...).Records)
			if at != c.at || (err != nil) != (c.code != "") || err != nil && fault.CodeOf(err) != c.code {
				t.Fatalf("trial %d, %q: record %d, %v", n, c.data, at, err)
			}
			if c.data[0] == "calls" && string(m.judge.out.Outs[0].Data) != fmt.Sprint(len(c.data)) {
				t.Errorf("trial %d: it has served %s calls", n, m.judge.out.Outs[0].Data)
			}
			if m.judge.i == nil {
				continue // it has grown too much
			}
			if saved := &m.judge.i.saved; copied && saved.memory == nil { // as where the system cannot keep memory
				view, _ := m.judge.i.mod.Memory().Read(0, m.judge.i.mod.Memory().Size())
				saved.memory, saved.size = bytes.Clone(view), len(view)
			}
			if m.judge.i.calls != 0 {
				t.Errorf("trial %d: it counts %d calls", n, m.judge.i.calls)
			}
		}
	}
}

func TestWhatTheJudgeHearsIsNotSaidTwice(t *testing.T) {
	var log bytes.Buffer
	m := open(t, Config{
		Path: guest(t, "probe"), Logger: slog.New(slog.NewTextHandler(&log, nil)), Count: func(string, int64) { t.Error("it is counted") },
	})
	if _, err := m.search(context.Background(), batch("log aloud", "upper x").Records); err != nil || strings.Contains(log.String(), "aloud") {
		t.Errorf("%v, %s", err, log.String())
	}
}

func TestAJudgeWhoseMemoryHasGrownBlamesNobodyForWantOfRoom(t *testing.T) {
	a := newAssembly().when('G', code(konst(40), opMemGrow, 0, opDrop)) // of 1,024 pages, 64 to begin with
	a.when('M', untilFull)
	a.when('R', code(konst(940), opMemGrow, 0, konst(-1), opI32Eq, opIf, void, opUnreachable, opEnd)) // at once, which only a new instance has
	m := open(t, Config{Bytes: a.bytes()})
	try := func(data string) (judged bool, err error) {
		err = m.guilty(context.Background(), batch(data).Records)
		return m.judge.i != nil, err
	}
	if judged, err := try("G"); !judged || err != nil {
		t.Fatal(judged, err)
	}
	if judged, err := try("P"); !judged || fault.CodeOf(err) != CodeTrap {
		t.Error(judged, err)
	}
	for _, c := range []struct{ data, code string }{{"M", CodeMemory}, {"R", ""}} {
		if judged, err := try(c.data); judged || err != nil { // a new instance has more room: it decides
			t.Error(c.data, judged, err)
		}
		if judged, err := try(c.data); judged || (err != nil || c.code != "") && fault.CodeOf(err) != c.code {
			t.Errorf("%s, of a judge that is new: %v, %v", c.data, judged, err)
		}
		if judged, err := try("G"); !judged || err != nil {
			t.Fatal(judged, err)
		}
	}
}

// stateful is newAssembly's module with instructions in front of its transform.
func stateful(instructions []byte) []byte {
	a := newAssembly()
	return a.body(abi.ExportTransform, append(instructions, a.funcs[abi.ExportTransform].body...)).bytes()
}

func TestOnlyModulesWhoseWholeStateIsKnownAreRestorable(t *testing.T) {
	plain := newAssembly().bytes()
	if bytes.Equal(restorable(plain), plain) {
		t.Error("a plain module is not restorable")
	}
	named := newAssembly()
	named.funcs[exportGlobal+"7"] = function{}
	for name, m := range map[string][]byte{
		"no module":          []byte("no module"),
		"a name of the kind": named.bytes(),
		"imported memory":    func() []byte { a := newAssembly(); a.imported = true; return a.bytes() }(),
		"segments dropped":   stateful([]byte{0xfc, 9, 0}),
		"cut short":          plain[:len(plain)-3],
	} {
		if !bytes.Equal(restorable(m), m) {
			t.Errorf("%s: the module was changed", name)
		}
	}
}

// FuzzRestorable shows that exporting globals neither hides what is wrong with a module nor breaks one that is right.
func FuzzRestorable(f *testing.F) {
	f.Add(newAssembly().bytes())
	f.Add(misbehaving().withoutCursor().bytes())
	f.Add(withMemory(dataSegment(0, []byte("a"))))
	f.Fuzz(func(t *testing.T, module []byte) {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
		defer r.Close(ctx)
		changed := restorable(module)
		_, wrong := r.CompileModule(ctx, module)
		_, err := r.CompileModule(ctx, changed)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("it was %v, and is %v", wrong, err)
		}
	})
}
