package examples

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/lambda"
)

// BenchmarkHandlers measures batches of 500 orders through one process of each example.
func BenchmarkHandlers(b *testing.B) {
	for _, c := range []struct {
		dir     string
		command []string
	}{
		{"lambda-python", []string{"python3", "main.py"}},
		{"lambda-javascript", []string{"node", "main.mjs"}},
		{"lambda-go", nil},
	} {
		b.Run(c.dir, func(b *testing.B) {
			if c.command == nil {
				c.command = []string{buildExample(b, ".")}
			}
			testenv.Program(b, c.command[0], "see transforms/examples")
			dir, err := filepath.Abs(c.dir)
			if err != nil {
				b.Fatal(err)
			}
			cfg := lambda.Config{Command: c.command, Mode: lambda.Stream, Workers: 1, Timeout: 1 << 36, Buffer: 1 << 20, WhenUnavailable: lambda.Wait}
			tr, err := cfg.Open(b.Context(), lambda.Env{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close(b.Context())
			in := record.NewBatch()
			for i := range 500 {
				in.Add(record.Record{Seq: uint64(i + 1), Data: fmt.Appendf(nil, `{"tenant":"t%d","card":"4111111111111111","sum":%d}`, i%10, i)})
			}
			var out stage.Output
			for b.Loop() {
				out.Reset()
				if err := tr.Apply(b.Context(), in, &out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
