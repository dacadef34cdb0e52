package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

const opReturn = 0x0f

// when makes the module of newAssembly do something when it meets a record that begins with a letter.
func (a *assembly) when(letter byte, do []byte) *assembly {
	const i, e = 3, 4
	keep := code(get(i), konst(abi.ResultSize), opI32Mul, konst(int(abi.Unchanged)), opI32Store8)
	meet := code(get(0), get(e), load(abi.HeaderSize+16), opI32Add, opI32Load8, 0, 0, konst(int(letter)), opI32Eq, opIf, void, do, opEnd)
	return a.body(abi.ExportTransform, bytes.Replace(a.funcs[abi.ExportTransform].body, keep, append(meet, keep...), 1))
}

// withoutCursor makes the module of newAssembly keep to itself which record it works on.
func (a *assembly) withoutCursor() *assembly {
	a.global = 0
	return a.body(abi.ExportTransform, bytes.Replace(a.funcs[abi.ExportTransform].body, code(get(3), opGlobalSet, 0), nil, 1))
}

// untilFull grows the memory until there is no more, and traps then.
var untilFull = code(opLoop, void, konst(1), opMemGrow, 0, konst(-1), opI32Eq, opIf, void, opUnreachable, opEnd, opBr, 0, opEnd)

// misbehaviours are ways to break a whole call, by the letter that makes newAssembly's module do it.
var misbehaviours = []struct {
	name   string
	letter byte
	do     []byte
	code   string
	says   string
}{
	{"a trap", 'P', nil, CodeTrap, "unreachable"},
	{"a loop without end", 'S', nil, CodeTimeout, "longer than"},
	{"all memory", 'M', untilFull, CodeMemory, "64 MiB"},
	{"an output too large", 'O', code(konst64(pack(answerAt, MinOutputCap+1)), opReturn), CodeOutputTooLarge, "limit"},
	{"an output that is not aligned", 'A', code(konst64(pack(answerAt+4, 64)), opReturn), CodeBadFrame, "multiple of 8"},
	{"an output outside the memory", 'W', code(konst64(pack(1<<30, 64)), opReturn), CodeBadFrame, "outside the memory"},
	{"an output that is no frame", 'F', code(konst64(pack(dataAt, 64)), opReturn), CodeBadFrame, "magic"},
	{"a batch that the module fails", 'Z', code(konst64(0), opReturn), CodeBatchFailed, "failed the batch"},
}

func misbehaving() *assembly {
	a := newAssembly()
	for _, m := range misbehaviours {
		if m.do != nil {
			a.when(m.letter, m.do)
		}
	}
	return a
}

func TestWhateverBreaksACallFailsItsRecordsAlone(t *testing.T) {
	for _, cursor := range []bool{true, false} {
		a := misbehaving()
		if !cursor {
			a.withoutCursor()
		}
		for _, guard := range []Guard{Interrupt, Metered} {
			m := open(t, Config{Bytes: a.bytes(), Guard: guard, Timeout: time.Minute, Fuel: Fuel{Base: 10_000_000, PerByte: 100}, Instances: 1})
			for _, c := range misbehaviours {
				m, everywhere := m, [][]int{{0}, {59}, {30}, {0, 1, 2, 58, 59}, {7, 29, 31}}
				if c.code == CodeTimeout && guard == Metered {
					c.code, c.says = CodeFuel, "spent its fuel"
				} else if c.code == CodeTimeout { // long enough for what is fine on a busy machine
					m, everywhere = open(t, Config{Bytes: a.bytes(), Guard: guard, Timeout: 500 * time.Millisecond, Instances: 1}), [][]int{{29}}
				}
				for _, places := range everywhere {
					data := make([]string, 60)
					for i := range data {
						data[i] = fmt.Sprint("fine ", i)
					}
					for _, p := range places {
						data[p] = string(c.letter) + fmt.Sprint(p)
					}
					checkFates(t, m, data, func(i int) bool { return data[i][0] == c.letter }, c.code, c.says)
				}
			}
			if judged := m.judge.i != nil; judged != (guard == Metered) {
				t.Errorf("guard %s: there is a judge: %v", guard, judged)
			}
		}
	}
}

// checkFates runs a batch through a chain of a module that keeps records, and fails the guilty ones for a reason.
func checkFates(t *testing.T, m *Module, data []string, guilty func(int) bool, code, says string) {
	t.Helper()
	var f stage.Final
	defer f.Release()
	chain := stage.NewChain(stage.Link{Name: "s", Transform: m, Digest: m.Digest()})
	if err := chain.Run(context.Background(), batch(data...), &f); err != nil {
		t.Fatalf("%s: %v", code, err)
	}
	for i, r := range f.Roots {
		if !guilty(i) {
			if r.Fail != nil || r.N != 1 || string(f.Outs[r.First].Data) != data[i] {
				t.Errorf("%s: record %d of %q: %+v", code, i, data, r)
			}
		} else if r.N != 0 || r.Fail == nil || r.Fail.Code != code || !strings.Contains(r.Fail.Reason, says) ||
			string(r.Fail.Input.Data) != data[i] || r.Fail.Input.Seq != uint64(100+i) || r.Fail.Digest != m.Digest() {
			t.Errorf("%s: the guilty record %d of %q: %+v", code, i, data, r.Fail)
		}
	}
}

func TestOnlyTheCallThatFailedIsMadeAgain(t *testing.T) {
	const calls, guilty = 3, 2*MaxBatchRecords + 250
	data := make([]string, calls*MaxBatchRecords)
	for i := range data {
		data[i] = "fine"
	}
	data[guilty] = "Poison"
	for _, c := range []struct {
		module      *assembly
		guard       Guard
		done, calls int
	}{
		{newAssembly(), None, 2 * MaxBatchRecords, calls},
		{newAssembly().withoutCursor(), None, guilty, calls + 251}, // the third call's records one by one
		{newAssembly(), Metered, 2 * MaxBatchRecords, calls},
		{newAssembly().withoutCursor(), Metered, 2 * MaxBatchRecords, calls + 251}, // by the judge
	} {
		m := open(t, Config{Bytes: c.module.bytes(), Instances: 1, Guard: c.guard})
		_, out, err := apply(t, m, data...)
		failed, ok := errors.AsType[*callError](err)
		if !ok || failed.Record() != guilty || failed.Done() != c.done || len(out.Results) != c.done || !failed.Tainted() {
			t.Errorf("%v: %+v with %d results, want %d", err, failed, len(out.Results), c.done)
		}
		if n := int(m.batch.Load()); n != c.calls {
			t.Errorf("%d calls, want %d", n, c.calls)
		}
	}
}

func TestCallsHoldFewerRecordsWhileCallsFail(t *testing.T) {
	m := open(t, Config{Bytes: newAssembly().bytes(), Instances: 1})
	fine := make([]string, MaxBatchRecords)
	for i := range fine {
		fine[i] = "fine"
	}
	calls := func(data ...string) int {
		before := m.batch.Load()
		if _, _, err := apply(t, m, data...); err != nil && !strings.Contains(err.Error(), "unreachable") {
			t.Fatal(err)
		}
		return int(m.batch.Load() - before)
	}
	if n := calls(fine...); n != 1 {
		t.Errorf("at first %d calls", n)
	}
	calls("Poison")
	if n := calls(fine...); n < MaxBatchRecords/cautiousIfSaved { // more if instances are cheap
		t.Errorf("%d calls after a failure", n)
	}
	for range 40 {
		calls(fine...)
	}
	if n := calls(fine...); n != 1 {
		t.Errorf("%d calls long after the failure", n)
	}
}

// remembering is a module that traps on every record once it has met one that begins with X: a broken state.
func remembering() []byte {
	const broken = 32
	a := newAssembly().when('X', code(konst(broken), konst(1), opI32Store8, 0, 0))
	return a.body(abi.ExportTransform, append(code(konst(broken), opI32Load8, 0, 0, opIf, void, opUnreachable, opEnd), a.funcs[abi.ExportTransform].body...)).bytes()
}

func TestARecordThatMeetsABrokenStateDoesNotFail(t *testing.T) {
	for _, guard := range []Guard{None, Metered} {
		meetBrokenState(t, guard)
	}
}

func meetBrokenState(t *testing.T, guard Guard) {
	t.Helper()
	m := open(t, Config{Bytes: remembering(), Instances: 1, Guard: guard})
	chain := stage.NewChain(stage.Link{Name: "s", Transform: m})
	for _, data := range [][]string{{"X"}, {"innocent"}, {"X"}, {"a", "b", "c"}, {"X", "d"}, {"X", "e"}, {"f"}} {
		var f stage.Final
		if err := chain.Run(context.Background(), batch(data...), &f); err != nil {
			t.Fatal(err)
		}
		for i, r := range f.Roots {
			if r.Fail != nil || r.N != 1 {
				t.Errorf("%q: record %d: %+v", data, i, r.Fail)
			}
		}
		f.Release()
	}
}

func TestAFreshCallGetsAnInstanceThatNoRecordHasTouched(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe"), Instances: 2})
	ask := func(ctx context.Context) string {
		out := output()
		if err := m.Apply(ctx, batch("calls"), out); err != nil {
			t.Fatal(err)
		}
		return string(out.Outs[0].Data)
	}
	for n := range 6 {
		ask(context.Background())
		if got := ask(stage.WithFresh(context.Background())); got != "1" {
			t.Errorf("round %d: call %s of its instance", n, got)
		}
		if m.pool.live > 2+spares {
			t.Errorf("%d instances", m.pool.live)
		}
	}
}

// bounded fails the test if the module ever has more instances than it may.
func bounded(t *testing.T, m *Module, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		m.pool.mu.Lock()
		live, idle := m.pool.live, len(m.pool.idle)
		m.pool.mu.Unlock()
		if most := cap(m.pool.slots) + spares; live > most || idle > live {
			t.Errorf("%d instances, %d idle, at most %d", live, idle, most)
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func TestInstancesStayBoundedWhateverFails(t *testing.T) {
	m := open(t, Config{Bytes: misbehaving().bytes(), Timeout: 20 * time.Millisecond, Instances: 3, MaxCalls: 5})
	stop := make(chan struct{})
	var watch, wg sync.WaitGroup
	watch.Go(func() { bounded(t, m, stop) })
	for g := range 6 {
		wg.Go(func() {
			for n := range 60 {
				ctx := context.Background()
				if n%3 == 0 {
					ctx = stage.WithFresh(ctx)
				}
				word := []string{"fine", "Poison", "Oversize", "fine", "Zero", "Full"}[(n+g)%6]
				if err := m.Apply(ctx, batch("a", word, "b"), output()); err != nil && fault.ClassOf(err) != fault.Permanent {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	watch.Wait()
	m.warm.Wait()
	if n := len(m.pool.idle); n != m.pool.live || len(m.pool.slots) != 0 || m.pool.waits != 0 {
		t.Errorf("%d idle instances of %d, %d slots in use, %d waiting", n, m.pool.live, len(m.pool.slots), m.pool.waits)
	}
}

func TestSparesGoWhenCallsSucceedForLong(t *testing.T) {
	m := open(t, Config{Bytes: newAssembly().bytes(), Instances: 1})
	apply(t, m, "Poison")
	m.warm.Wait()
	if m.pool.live != 1+spares {
		t.Fatalf("%d instances after a failure", m.pool.live)
	}
	m.pool.wanted = time.Now().Add(-spareTime)
	for range spares {
		apply(t, m, "fine")
	}
	if m.pool.live != 1 || len(m.pool.idle) != 1 {
		t.Errorf("%d instances, %d idle", m.pool.live, len(m.pool.idle))
	}
}

func TestAFreshInstanceTakesThePlaceOfAnotherWhenThereAreEnough(t *testing.T) {
	var p pool
	p.init(1)
	for range 1 + spares {
		p.idle = append(p.idle, &instance{calls: 1})
	}
	p.live = len(p.idle)
	i, wait, instead := p.get(true)
	if i != nil || wait != nil || instead == nil || p.live != 1+spares || len(p.idle) != spares {
		t.Errorf("%v, %v, %v: %d instances, %d idle", i, wait, instead, p.live, len(p.idle))
	}
}
