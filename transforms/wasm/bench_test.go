package wasm

import (
	"context"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

func records(n, size int) *record.Batch {
	b := record.NewBatch()
	data := make([]byte, size)
	for i := range n {
		b.Add(record.Record{Seq: uint64(i), Key: "some-partition-key", Data: data})
	}
	return b
}

// BenchmarkCrossing is what a batch of 500 records costs that a module keeps: once as Go source through the SDK, once as the
// smallest module that works.
func BenchmarkCrossing(b *testing.B) {
	for _, g := range []struct {
		name string
		cfg  Config
	}{
		{"assembled", Config{Bytes: newAssembly().bytes()}},
		{"go", Config{Path: guest(b, "identity")}},
	} {
		for _, guard := range []Guard{None, Metered, Interrupt} {
			for _, size := range []int{16, 1024} {
				b.Run(g.name+"/"+string(guard)+"/"+map[int]string{16: "16B", 1024: "1KiB"}[size], func(b *testing.B) {
					g.cfg.Guard, g.cfg.Instances = guard, 1
					m := open(b, g.cfg)
					in := records(500, size)
					out := new(stage.Output)
					b.SetBytes(int64(500 * size))
					b.ReportAllocs()
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

// BenchmarkNativeFrameCopy is the part of a crossing that no module can avoid: laying the frame out and writing it.
func BenchmarkNativeFrameCopy(b *testing.B) {
	in := records(500, 1024)
	i := &instance{m: new(Module)}
	if err := i.plan(in.Records); err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, i.layout.Size())
	answer := frameOf(500)
	b.SetBytes(500 * 1024)
	for b.Loop() {
		if err := i.plan(in.Records); err != nil {
			b.Fatal(err)
		}
		i.encode(frame, in.Records)
		if _, err := i.layout.Decode(answer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
}
