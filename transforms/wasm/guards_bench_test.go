package wasm

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

// BenchmarkGuards compares the guards on the same work, in turns, so that a busy machine slows all of them: it reports the time of the
// quickest turn without a guard, and those with one in relation to it.
func BenchmarkGuards(b *testing.B) {
	const text = `{"id":12345,"name":"a sparrow hit the wing","airport":"KLAX","cost":12.5,"tags":["bird","strike","wing"],` +
		`"at":{"lat":33.9,"lon":-118.4},"note":"the crew reported no damage, landed safely and taxied to the gate"}`
	batch := record.NewBatch()
	for i := range 200 {
		batch.Add(record.Record{Seq: uint64(i), Key: "key", Data: []byte(text)})
	}
	const sdk = "../../../sdk/"
	for _, c := range []struct{ name, dir, config string }{
		{"json", "json", ""},
		{"identity", "identity", ""},
		{"filter-c", "../../../../pipelines/benchtransforms/c.wasm", ""},
		{"upper", sdk + "conformance/testdata/bench/go", `{"upper":true}`},
		{"get", sdk + "go/leatjson/testdata/guests/json", `{"Work":"get"}`},
		{"patch", sdk + "go/leatjson/testdata/guests/json", `{"Work":"patch"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join("testdata", "guests", c.dir)
			if filepath.Ext(path) != ".wasm" {
				path = guest(b, c.dir)
			}
			var modules []*Module
			for _, guard := range []Guard{None, Metered, Interrupt} {
				modules = append(modules, open(b, Config{Path: path, Config: json.RawMessage(c.config), Guard: guard, Instances: 1}))
			}
			best := make([]time.Duration, len(modules))
			out := new(stage.Output)
			for b.Loop() {
				for i, m := range modules {
					out.Reset()
					start := time.Now()
					if err := m.Apply(context.Background(), batch, out); err != nil {
						b.Fatal(err)
					}
					if took := time.Since(start); best[i] == 0 || took < best[i] {
						best[i] = took
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(best[0].Nanoseconds())/float64(batch.Len()), "ns/record")
			b.ReportMetric(float64(best[1])/float64(best[0]), "metered/none")
			b.ReportMetric(float64(best[2])/float64(best[0]), "interrupt/none")
		})
	}
}

// BenchmarkColdStart opens a module of 3 MB that the cache has.
func BenchmarkColdStart(b *testing.B) {
	for _, guard := range []Guard{None, Metered} {
		b.Run(string(guard), func(b *testing.B) {
			cfg := Config{Path: guest(b, "json"), Guard: guard, Instances: 1, CacheDir: b.TempDir()}
			open(b, cfg)
			for b.Loop() {
				m, err := Open(context.Background(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				if err := m.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
