package wasm

import (
	"context"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// leaking is a module that takes pages of memory with every call and never gives them back. It traps if there are none.
func leaking(pages int) []byte {
	a := newAssembly()
	leak := code(konst(pages), opMemGrow, 0, konst(-1), opI32Eq, opIf, void, opUnreachable, opEnd)
	return a.body(abi.ExportTransform, append(leak, a.funcs[abi.ExportTransform].body...)).bytes()
}

func TestAModuleThatLeaksNeverFailsARecord(t *testing.T) {
	for _, c := range []struct {
		pages    int
		keepWorn bool
		replaced bool
	}{{1, false, false}, {16, false, true}, {50, false, true}, {200, false, false}, {600, false, false}, {16, true, false}} {
		replaced := map[string]int{}
		m := open(t, Config{
			Bytes: leaking(c.pages), Instances: 1, KeepWorn: c.keepWorn,
			Replaced: func(reason string) { replaced[reason]++ },
		})
		chain := stage.NewChain(stage.Link{Name: "s", Transform: m})
		var f stage.Final
		for n := range 300 {
			if err := chain.Run(context.Background(), batch("a", "b"), &f); err != nil {
				t.Fatal(err)
			}
			for _, r := range f.Roots {
				if r.Fail != nil || r.N != 1 {
					t.Fatalf("%+v, call %d: %+v", c, n, r.Fail)
				}
			}
			if size := m.cfg.MemoryLimit; c.pages == 16 && !c.keepWorn {
				m.warm.Wait() // a machine that is busy may not have made the replacement yet
				for _, i := range m.pool.idle {
					if int64(i.mod.Memory().Size()) > size*15/16+1<<20 {
						t.Fatalf("an instance has %d bytes", i.mod.Memory().Size())
					}
				}
			}
		}
		f.Release()
		if n := replaced["memory"]; (n > 0) != c.replaced || len(replaced) > 1 {
			t.Errorf("%+v: %v", c, replaced)
		}
	}
}

func TestAMemoryThatIsLargeAndStaysSoIsLeftAlone(t *testing.T) {
	large := newAssembly()
	large.memory = []byte{0, 0xc0, 0x07} // 960 pages of 1,024 from the start
	for name, module := range map[string]*assembly{
		"from the start": large,
		"grown once":     newAssembly().when('G', code(konst(850), opMemGrow, 0, opDrop)), // of 960 that are left
	} {
		m := open(t, Config{Bytes: module.bytes(), Instances: 1, Replaced: func(string) { t.Errorf("%s: replaced", name) }})
		apply(t, m, "G")
		for range 50 {
			apply(t, m, "a")
		}
		m.warm.Wait()
	}
}

func TestInstancesAreReplacedAfterSoManyCalls(t *testing.T) {
	replaced := map[string]int{}
	m := open(t, Config{Path: guest(t, "probe"), Instances: 1, MaxCalls: 10, Replaced: func(reason string) { replaced[reason]++ }})
	most := 0
	for range 100 {
		got, _, err := apply(t, m, "calls")
		var n int
		if _, scan := fmt.Sscan(got[0], &n); err != nil || scan != nil {
			t.Fatal(got, err, scan)
		}
		most = max(most, n)
		m.warm.Wait()
	}
	if replaced["calls"] < 8 || len(replaced) != 1 || most > 11 { // one more, while the replacement is made
		t.Errorf("replaced %v, at most %d calls", replaced, most)
	}
}
