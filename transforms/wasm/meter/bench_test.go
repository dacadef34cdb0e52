package meter

import (
	"context"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
)

// BenchmarkLoops compares loops of C as they are, metered, and with the checks of WithCloseOnContextDone, in turns: the quickest turns in
// relation to one another.
func BenchmarkLoops(b *testing.B) {
	module := readFile(b, "testdata/c/work.wasm")
	ctx, cancel := context.WithCancel(context.Background()) // one that can be done, or there would be nothing to check
	defer cancel()
	guests := []*guest{
		instantiate(b, nil, module), metered(b, module), instantiate(b, wazero.NewRuntimeConfig().WithCloseOnContextDone(true), module),
	}
	for _, g := range guests {
		if _, _, err := g.call("prepare", 1); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		arg  uint64
	}{{"csv", 5}, {"upper", 5}, {"hash", 5}, {"json", 5}, {"tree", 22}, {"sort", 1}} {
		b.Run(c.name, func(b *testing.B) {
			best := make([]time.Duration, len(guests))
			for b.Loop() {
				for i, g := range guests {
					g.fuel(MaxFuel)
					start := time.Now()
					if _, err := g.ExportedFunction(c.name).Call(ctx, c.arg); err != nil {
						b.Fatal(err)
					}
					if took := time.Since(start); best[i] == 0 || took < best[i] {
						best[i] = took
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(best[1])/float64(best[0]), "metered/none")
			b.ReportMetric(float64(best[2])/float64(best[0]), "interrupt/none")
		})
	}
}

// BenchmarkRewrite is what a module costs before it is compiled for the first time.
func BenchmarkRewrite(b *testing.B) {
	module := readFile(b, "testdata/c/work.wasm")
	b.SetBytes(int64(len(module)))
	for b.Loop() {
		if _, _, err := Rewrite(module); err != nil {
			b.Fatal(err)
		}
	}
}
