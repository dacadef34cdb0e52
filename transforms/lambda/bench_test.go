package lambda

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/lambda/lambdatest"
)

// benchBatch is 500 records of 1 KiB, the most that a chain hands over at once.
func benchBatch() *record.Batch {
	b := record.NewBatch()
	data := bytes.Repeat([]byte("0123456789abcdef"), 64)
	for i := range 500 {
		b.Add(record.Record{Seq: uint64(i + 1), Arrived: 1_700_000_000_000_000_000, Key: fmt.Sprint("key ", i), Data: data})
	}
	return b
}

// BenchmarkTransports measures batches over each transport. The handler of lambdatest, with Go's encoding/json, is most of it.
func BenchmarkTransports(b *testing.B) {
	for _, tp := range transports {
		b.Run(tp.name, func(b *testing.B) {
			tr, in := open(b, tp.cfg(b), Env{}), benchBatch()
			var out stage.Output
			b.SetBytes(int64(in.Size()))
			for b.Loop() {
				out.Reset()
				if err := tr.Apply(context.Background(), in, &out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// What leat itself does for a batch: the request, and the response.
func BenchmarkEvent(b *testing.B) {
	in, w := benchBatch(), newWriter(&testEnv)
	var e event
	b.SetBytes(int64(in.Size()))
	b.ReportAllocs()
	for b.Loop() {
		if w.write(&e, in.Records, 1<<20) != 500 {
			b.Fatal("not all")
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	in, w := benchBatch(), newWriter(&testEnv)
	var e event
	w.write(&e, in.Records, 1<<20)
	response, _ := lambdatest.Respond(e.text)
	var out stage.Output
	b.SetBytes(int64(len(response)))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := e.decode(response, in.Records, 0, &out); err != nil {
			b.Fatal(err)
		}
	}
}
