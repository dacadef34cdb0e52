package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

func TestFuelGrowsWithTheInputAndIsCounted(t *testing.T) {
	var spent, bytes atomic.Uint64
	m := open(t, Config{Path: guest(t, "probe"), Instances: 1, Spent: func(f, b uint64) { spent.Add(f); bytes.Add(b) }})
	var per [2]uint64
	for i, n := range []int{10, 1000} {
		spent.Store(0)
		data := make([]string, 200)
		for j := range data {
			data[j] = "upper " + strings.Repeat("x", n)
		}
		for range 2 { // the first call warms the guest's heap up
			spent.Store(0)
			if _, _, err := apply(t, m, data...); err != nil {
				t.Fatal(err)
			}
		}
		per[i] = spent.Load()
	}
	if per[0] == 0 || per[1] < 2*per[0] {
		t.Errorf("records of 10 and 1000 bytes spend %d", per)
	}
	total, in := m.Fuel()
	if total < per[0]+per[1] || in != bytes.Load() || in < 2*200*(1000+abi.RecordSize) {
		t.Errorf("%d units for %d bytes; %d bytes were told", total, in, bytes.Load())
	}
	var counts stage.Metered = m
	if again, _ := counts.Fuel(); again != total {
		t.Error(again)
	}
}

func TestTheFuelOfACallIsItsBaseAndItsBytes(t *testing.T) {
	cfg := Config{Path: guest(t, "probe"), Instances: 1, Fuel: Fuel{Base: 60_000_000, PerByte: 1}}
	m := open(t, cfg)
	_, _, err := apply(t, m, "spin")
	if fault.CodeOf(err) != CodeFuel || !strings.Contains(err.Error(), "of 6000") {
		t.Errorf("%v", err)
	}
	cfg.Fuel.PerByte = 1000
	_, _, err = apply(t, open(t, cfg), "spin "+strings.Repeat("x", 100_000))
	if fault.CodeOf(err) != CodeFuel || !strings.Contains(err.Error(), "of 1600") {
		t.Errorf("%v", err)
	}
}

// The guard Interrupt would run it, but ends no recursion that has no loop.
func TestWhatCannotBeMeteredIsRefusedUnlessItIsTrusted(t *testing.T) {
	a := newAssembly()
	f := a.funcs[abi.ExportTransform]
	f.extra = []byte{1, 0x63, 0x70} // a local (ref null func), as later versions of WebAssembly write a funcref: wazero knows it
	a.funcs[abi.ExportTransform] = f
	_, err := Open(context.Background(), Config{Bytes: a.bytes(), CacheDir: t.TempDir()})
	if fault.CodeOf(err) != CodeUnmeterable || !strings.Contains(err.Error(), "value type 0x63") || !strings.Contains(err.Error(), "guard: interrupt") {
		t.Error(err)
	}
	m := open(t, Config{Bytes: a.bytes(), Guard: Interrupt, Timeout: 200 * time.Millisecond})
	got, _, err := apply(t, m, "a", "b")
	want(t, got, err, "=", "=")
	if _, _, err := apply(t, m, "Spin"); fault.CodeOf(err) != CodeTimeout {
		t.Error(err)
	}
	if spent, bytes := m.Fuel(); spent != 0 || bytes == 0 {
		t.Errorf("it counts %d for %d bytes", spent, bytes)
	}
}

func TestReservedNamesAreRefused(t *testing.T) {
	a := newAssembly()
	a.funcs["leat_meter_budget"] = function{body: nil}
	_, err := Open(context.Background(), Config{Bytes: a.bytes(), CacheDir: t.TempDir()})
	if fault.CodeOf(err) != CodeReservedName || !strings.Contains(err.Error(), "leat_meter_budget") {
		t.Error(err)
	}
}

func TestAnInvalidModuleIsRefusedThoughItCouldBeMetered(t *testing.T) {
	a := newAssembly()
	a.body(abi.ExportConfigure, konst64(0)) // it promises an i32
	_, err := Open(context.Background(), Config{Bytes: a.bytes(), CacheDir: t.TempDir()})
	if fault.CodeOf(err) != CodeInvalidModule {
		t.Error(err)
	}
}

func TestTheMeteredModuleIsKeptAndADamagedOneMadeAgain(t *testing.T) {
	dir, module := t.TempDir(), newAssembly().bytes()
	open(t, Config{Bytes: module, CacheDir: dir})
	files, err := filepath.Glob(filepath.Join(dir, "*", "metered-*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	kept, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][]byte{kept[:len(kept)/2], {}, append(kept[:len(kept)-1:len(kept)-1], kept[len(kept)-1]^1)} {
		if err := os.WriteFile(files[0], damage, 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := apply(t, open(t, Config{Bytes: module, CacheDir: dir}), "a")
		want(t, got, err, "=")
		if b, _ := os.ReadFile(files[0]); !bytes.Equal(b, kept) {
			t.Error("the damaged module was not made again")
		}
	}
}

func TestACancelledContextEndsAMeteredCallAtOnce(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe"), Instances: 2, Fuel: Fuel{Base: 1e15}, Timeout: time.Hour})
	for _, record := range []string{"spin", "sleep"} {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(30*time.Millisecond, cancel)
		start := time.Now()
		if err := m.Apply(ctx, batch(record), output()); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", record, err)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s: it ended after %s", record, took)
		}
	}
	got, _, err := apply(t, m, "upper a")
	want(t, got, err, "UPPER A")
}

// A stop that comes late must not end the next call.
func TestCallsThatEndAsTheirTimeDoesHarmNoOther(t *testing.T) {
	m := open(t, Config{Bytes: newAssembly().bytes(), Instances: 4, Timeout: time.Millisecond})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 300 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%20)*10*time.Microsecond)
				err := m.Apply(ctx, batch("a", "b"), output())
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) && fault.CodeOf(err) != CodeTimeout {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAGoGuestCollectsItsGarbageAndSleepsWithinItsFuel(t *testing.T) {
	m := open(t, Config{Path: guest(t, "json"), Instances: 1, Config: json.RawMessage("null")})
	record := `{"a":[1,2,3,{"b":"` + strings.Repeat("text ", 30) + `"}],"c":{"d":null,"e":1.5e3}}`
	data := make([]string, 200)
	for i := range data {
		data[i] = record
	}
	for range 5 {
		out := output()
		if err := m.Apply(context.Background(), batch(data...), out); err != nil || len(out.Results) != len(data) {
			t.Fatal(len(out.Results), err)
		}
	}
	spent, bytes := m.Fuel()
	if per := float64(spent) / float64(bytes); per < 100 || per > DefaultFuelPerByte/5 {
		t.Errorf("%.0f units a byte, where a call may spend %d", per, DefaultFuelPerByte)
	}
}

func TestGoModulesDoTheSameUnderEveryGuard(t *testing.T) {
	records := []string{
		`{"a":1}`, `{"b":[1.5e300,"\u00e9\n",null,true],"c":{"d":{"e":"` + strings.Repeat("long ", 200) + `"}}}`, `not JSON`, `[]`, `{"x":"` + strings.Repeat("y", 5000) + `"}`,
	}
	var data []string
	for i := range 40 {
		data = append(data, records[i%len(records)])
	}
	var first []string
	for _, guard := range []Guard{None, Metered, Interrupt} {
		m := open(t, Config{Path: guest(t, "json"), Guard: guard, Timeout: time.Minute, Instances: 1})
		for range 2 { // with what it keeps from call to call
			got, _, err := apply(t, m, data...)
			if err != nil {
				t.Fatal(guard, err)
			}
			if first == nil {
				first = got
			}
			want(t, got, nil, first...)
		}
	}
}

func TestTimeInFunctionsOfTheHostIsLimitedToo(t *testing.T) {
	const wasi = "wasi_snapshot_preview1"
	types := map[string]signature{
		wasi + ".fd_write":   {[]byte{i32, i32, i32, i32}, []byte{i32}},
		wasi + ".random_get": {[]byte{i32, i32}, []byte{i32}},
	}
	for name, body := range map[string][]byte{
		// 1,024 times the same megabyte to standard output, in one call after the other: the list of buffers is at 2 MiB, each (0, 1 MiB).
		wasi + ".fd_write": code(
			opLoop, void,
			get(2), konst(2<<20), opI32Add, konst(1<<20), opI32Store, 2, uleb(4),
			get(2), konst(8), opI32Add, opLocalTee, 2, konst(8<<10), opI32LtU, opBrIf, 0, opEnd,
			opLoop, void, konst(1), konst(2<<20), konst(1024), konst(64), opCall, 0, opDrop, opBr, 0, opEnd, konst64(0)),
		wasi + ".random_get": code(opLoop, void, konst(0), konst(4<<20-8), opCall, 0, opDrop, opBr, 0, opEnd, konst64(0)),
	} {
		for _, guard := range []Guard{Metered, Interrupt} {
			a := newAssembly()
			a.imports = []string{name}
			a.global = 0
			a.funcs[abi.ExportTransform] = function{signature: exports[3].signature, locals: 1, body: body}
			m := open(t, Config{Bytes: a.bytesImporting(types[name]), Guard: guard, Timeout: 200 * time.Millisecond, Fuel: Fuel{Base: 1e15}, Instances: 1})
			if _, _, err := apply(t, m, "a"); fault.CodeOf(err) != CodeTimeout { // without the limit it would take for ever
				t.Errorf("%s, %s: %v", name, guard, err)
			}
		}
	}
}
