package meter

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// FuzzRewrite holds the rewriter to what the host relies on: what is invalid is refused, by the rewriter or by the runtime
// afterwards, what is valid stays valid, and nothing makes either panic.
func FuzzRewrite(f *testing.F) {
	for _, name := range []string{"wat/spin", "wat/bulk", "wat/shapes", "c/work"} {
		f.Add(readFile(f, "testdata/"+name+".wasm"))
	}
	for _, h := range hostile() {
		f.Add(h.complete())
	}
	for i := range uint64(20) {
		f.Add(randomModule(rand.New(rand.NewPCG(i, 0))))
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		if len(module) <= 1<<16 {
			checkRewrite(t, module)
		}
	})
}

// checkRewrite returns whether the module can be rewritten and whether it is valid.
func checkRewrite(t *testing.T, module []byte) (rewritten, valid bool) {
	out, info, err := Rewrite(module)
	if err != nil {
		var refused *Error
		var unknown *Unsupported
		if !errors.As(err, &refused) && !errors.As(err, &unknown) {
			t.Fatalf("an error of no kind: %v", err)
		}
		return false, false
	}
	before, after := compiles(module, true), compiles(out, true)
	switch {
	case before != nil && after == nil:
		t.Fatalf("invalid before (%v), valid after: %x", before, module)
	case before == nil && after != nil:
		t.Fatalf("valid before, invalid after: %v: %x", after, module)
	}
	if again, _, _ := Rewrite(module); !bytes.Equal(again, out) {
		t.Fatal("a second rewrite gives something else")
	}
	if _, _, err := Rewrite(out); err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Fatalf("what is metered can be metered again: %v", err)
	}
	if info.Free+info.Recursive > info.Functions {
		t.Fatalf("%+v", info)
	}
	return true, before == nil
}

// Modules with a byte or two changed get further into the rewriter than what a fuzzer makes up, and are often invalid in ways that only
// the runtime sees.
func TestDamagedModulesAreRefusedBeforeOrAfter(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	fixed := [][]byte{readFile(t, "testdata/wat/spin.wasm"), readFile(t, "testdata/wat/bulk.wasm"), readFile(t, "testdata/wat/shapes.wasm")}
	refused, invalid, valid := 0, 0, 0
	for i := range testenv.Count(2000, 100_000) {
		module := randomModule(rnd)
		if i%3 == 0 {
			module = bytes.Clone(fixed[rnd.IntN(len(fixed))])
		}
		for range 1 + rnd.IntN(2) {
			at := len(header) + rnd.IntN(len(module)-len(header))
			if rnd.IntN(2) == 0 {
				module[at] = byte(rnd.Uint32())
			} else {
				module[at] += byte(rnd.IntN(5) - 2)
			}
		}
		switch rewritten, ok := checkRewrite(t, module); {
		case !rewritten:
			refused++
		case ok:
			valid++
		default:
			invalid++
		}
	}
	t.Logf("%d refused, %d invalid, %d valid", refused, invalid, valid)
	if refused == 0 || invalid == 0 || valid == 0 {
		t.Error("the damage does not show everything that it should")
	}
}
