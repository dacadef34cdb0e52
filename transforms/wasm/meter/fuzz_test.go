package meter

import (
	"bytes"
	"errors"
	"strings"
	"testing"
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
	f.Fuzz(func(t *testing.T, module []byte) {
		if len(module) > 1<<16 {
			return
		}
		out, info, err := Rewrite(module)
		if err != nil {
			var refused *Error
			var unknown *Unsupported
			if !errors.As(err, &refused) && !errors.As(err, &unknown) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
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
	})
}
