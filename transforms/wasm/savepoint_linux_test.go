package wasm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// wary opens a module that saves its instances before each call.
func wary(t testing.TB, cfg Config) *Module {
	m := open(t, cfg)
	m.making.Store(int64(time.Hour))
	m.size.failed(cautiousIfSaved)
	return m
}

func TestAnInstanceGoesOnAsIfACallThatFailedHadNotBeen(t *testing.T) {
	m := wary(t, Config{Path: guest(t, "probe"), Instances: 1, Fuel: Fuel{Base: 50_000_000}, Timeout: time.Minute})
	for range 2 {
		_, _, err := apply(t, m, "exit")
		if failed, ok := errors.AsType[*callError](err); !ok || failed.Tainted() {
			t.Fatalf("no record has touched the instance: %+v", err)
		}
	}
	got, _, err := apply(t, m, "calls", "calls")
	want(t, got, err, "1", "2")
	n := 2
	for _, data := range [][]string{{"exit"}, {"calls", "calls", "exit"}, {"spin"}, {"grow", "exit"}, {"hoard"}} {
		if _, _, err := apply(t, m, data...); fault.CodeOf(err) == "" {
			t.Fatalf("%q: %v", data, err)
		}
		got, _, err := apply(t, m, "calls", "grow")
		if data[0] == "hoard" { // it cannot shrink: this is another instance
			want(t, got, err, "1", "1")
			break
		}
		n += 2
		want(t, got, err, fmt.Sprint(n-1), fmt.Sprint(n/2-1))
	}
}

func TestAnInstanceThatWasSavedLongAgoIsNotPutBack(t *testing.T) {
	m := wary(t, Config{Path: guest(t, "probe"), Instances: 1})
	for n := range 3 {
		if n == 2 {
			m.size.most.Store(MaxBatchRecords)
		}
		got, _, err := apply(t, m, "calls")
		want(t, got, err, fmt.Sprint(n+1))
	}
	if _, _, err := apply(t, m, "exit"); fault.CodeOf(err) != CodeExit {
		t.Fatal(err)
	}
	got, _, err := apply(t, m, "calls")
	want(t, got, err, "1") // of another instance
}

func TestNothingThatIsDeliveredIsDrawnTwice(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	m := wary(t, Config{Path: guest(t, "probe"), Instances: 2})
	var mu sync.Mutex
	seen := map[string]bool{}
	var work sync.WaitGroup
	for range 2 {
		rnd := rand.New(rand.NewPCG(rnd.Uint64(), 0))
		work.Go(func() {
			var f stage.Final
			defer f.Release()
			chain := stage.NewChain(stage.Link{Name: "s", Transform: m})
			for range testenv.Count(10, 60) {
				data := strings.Fields(strings.Repeat("random ", 1+rnd.IntN(700)))
				guilty := map[int]bool{}
				for range rnd.IntN(4) {
					at := rnd.IntN(len(data))
					data[at], guilty[at] = []string{"exit", "huge", "exit"}[rnd.IntN(3)], true
				}
				if err := chain.Run(context.Background(), batch(data...), &f); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, r := range f.Roots {
					if (r.Fail != nil) != guilty[i] || r.N != 1 && !guilty[i] {
						t.Errorf("seed %d: record %d, %s: %+v", seed, i, data[i], r)
					} else if r.N == 1 {
						number := string(f.Outs[r.First].Data)
						if seen[number] {
							t.Errorf("seed %d: %s was drawn before", seed, number)
						}
						seen[number] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
}

// What a guest closes in a call that fails is not in its memory, and must be as it was all the same in the calls that decide about others.
func TestDescriptorsStayAsTheyAre(t *testing.T) {
	const wasi = "wasi_snapshot_preview1."
	a := newAssembly().when('C', code(konst(1), opCall, 0, opDrop, opUnreachable))
	a.when('W', code(konst(1), opCall, 0, opIf, void, opUnreachable, opEnd))
	a.imports = []string{wasi + "fd_close"}
	closing := a.bytesImporting(signature{[]byte{i32}, []byte{i32}})
	for name, m := range map[string]*Module{"judged": open(t, Config{Bytes: closing}), "saved": wary(t, Config{Bytes: closing, Instances: 1})} {
		for n, c := range []struct {
			data []string
			code string
		}{{[]string{"C"}, CodeTrap}, {[]string{"a", "W", "C", "W"}, CodeTrap}, {[]string{"W"}, ""}} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				checkFates(t, m, c.data, func(i int) bool { return c.data[i] == "C" }, c.code, "")
			})
		}
	}
	a = newAssembly().when('R', code(konst(1), konst(1<<24), opCall, 0, konst(int(errnoBadf)), opI32Eq, opIf, void, opElse, opUnreachable, opEnd))
	a.imports = []string{wasi + "fd_renumber"}
	m := open(t, Config{Bytes: a.bytesImporting(signature{[]byte{i32, i32}, []byte{i32}}), Instances: 1})
	var got []string
	var err error
	if n := allocated(func() { got, _, err = apply(t, m, "R") }); n > 10<<20 {
		t.Errorf("a descriptor takes %d MiB", n>>20)
	}
	want(t, got, err, "=")
}

// A module without room for a call gets it in two, and the results of the first count although the second fails.
func TestAnInstanceIsNotPutBackBeforeWhatIsDelivered(t *testing.T) {
	const counted = 32
	a := newAssembly().when('N', code(
		konst(0), konst(0), load(counted), konst(1), opI32Add, opI32Store, 2, uleb(counted)))
	a.body(abi.ExportAlloc, code(get(0), konst(200), opI32GtU, opIf, 0x7f, konst(0), opElse, konst(arenaAt), opEnd))
	for _, last := range []string{"P", "Z"} { // Z fails its batch in order, and what P does is put back
		a.when('Z', code(konst64(0), opReturn))
		m := wary(t, Config{Bytes: a.bytes(), Instances: 1})
		m.pool.mu.Lock()
		before := m.pool.idle[len(m.pool.idle)-1]
		m.pool.mu.Unlock()
		_, out, err := apply(t, m, "N", "N", last, "P")
		if failed, ok := errors.AsType[*callError](err); !ok || failed.Done() != 2 || len(out.Results) != 2 {
			t.Fatalf("%d results, %+v", len(out.Results), err)
		}
		_, _, _ = apply(t, m, "P")
		m.pool.mu.Lock()
		for _, i := range m.pool.idle {
			if n, _ := i.mod.Memory().ReadUint32Le(counted); i == before && n < 2 {
				t.Errorf("%s: two records are done, and the instance has met %d", last, n)
			}
		}
		m.pool.mu.Unlock()
	}
}

func TestAnInstanceThatHasGrownIsNotAsGoodAsNew(t *testing.T) {
	a := newAssembly().when('G', code(konst(10), opMemGrow, 0, opDrop, opUnreachable)) // of 1,024 pages, 64 to begin with
	m := wary(t, Config{Bytes: a.bytes(), Instances: 1})
	for n, data := range []string{"G", "P"} {
		_, _, err := apply(t, m, data)
		if failed, ok := errors.AsType[*callError](err); !ok || failed.Tainted() != (n > 0) {
			t.Errorf("%s: %+v", data, err)
		}
	}
	i, err := m.take(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if size := int64(i.mod.Memory().Size()); size != i.start {
		t.Errorf("a fresh instance has %d bytes, and had %d", size, i.start)
	}
	if err := m.give(t.Context(), i); err != nil {
		t.Error(err)
	}
}

func TestALargeMemoryIsNotKeptBeforeCalls(t *testing.T) {
	a := newAssembly()
	a.memory = megabytes(65)
	m := wary(t, Config{Bytes: a.bytes(), Instances: 1, MemoryLimit: 128 << 20})
	got, _, err := apply(t, m, "a")
	want(t, got, err, "=")
	i, err := m.take(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if size := i.memory.(*mappedMemory).kept.size; size != 0 || i.calls != 1 {
		t.Errorf("%d bytes are kept of an instance with %d calls, and never again", size, i.calls)
	}
	if err := m.give(t.Context(), i); err != nil {
		t.Error(err)
	}
}

func TestAnInstanceThatIsNearlyFullIsReplacedWhenACallFails(t *testing.T) {
	a := newAssembly().when('L', code(konst(750), opMemGrow, 0, opDrop)) // of 1,024 pages, 64 to begin with
	a.when('N', code(konst(300), opMemGrow, 0, konst(-1), opI32Eq, opIf, void, opUnreachable, opEnd))
	m := wary(t, Config{Bytes: a.bytes(), Instances: 1})
	got, _, err := apply(t, m, "L")
	want(t, got, err, "=")
	m.making.Store(int64(time.Hour))
	if _, _, err := apply(t, m, "N"); fault.CodeOf(err) != CodeTrap {
		t.Fatal(err)
	}
	got, _, err = apply(t, m, "N")
	want(t, got, err, "=")
}
