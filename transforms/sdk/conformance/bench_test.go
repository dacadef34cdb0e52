package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm"
)

// BenchmarkLanguages is what a record of 1 KiB costs in a batch of 500: one that the guest keeps, and one whose letters it makes large,
// byte by byte. Compare within one run.
func BenchmarkLanguages(b *testing.B) {
	for _, guard := range []wasm.Guard{wasm.None, wasm.Metered} {
		for _, work := range []string{"identity", "upper"} {
			for _, l := range languages {
				b.Run(string(guard)+"/"+work+"/"+l, func(b *testing.B) {
					config := json.RawMessage(`{"upper":` + map[bool]string{true: "true", false: "false"}[work == "upper"] + `}`)
					m := open(b, "bench/"+l, wasm.Config{Instances: 1, Config: config, Guard: guard})
					in := record.NewBatch()
					for i := range 500 {
						in.Add(record.Record{Seq: uint64(i), Key: "some-partition-key", Data: bytes.Repeat([]byte("some text "), 103)[:1024]})
					}
					out := new(stage.Output)
					b.SetBytes(500 << 10)
					for b.Loop() {
						out.Reset()
						if err := m.Apply(context.Background(), in, out); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
				})
			}
		}
	}
}
