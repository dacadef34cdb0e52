package benchtransforms

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// crossing: a call with 500 small records.
func (b *bench) crossing(ctx context.Context) (err error) {
	var c closing
	defer c.close(ctx, &err)
	sides, names, err := c.sides(ctx, b.modules, []string{"min", "identity"}, []wasm.Guard{wasm.None, wasm.Metered}, sized(16))
	if err != nil {
		return err
	}
	times, err := b.takeTurns(ctx, sides...)
	if err != nil {
		return err
	}
	for i, t := range times {
		ns := median(t)
		b.rows = append(b.rows, Row{Figure: "crossing", Module: names[i], Value: ns, Unit: "ns/record", Target: "at most 40 ns", Met: ns <= 40})
	}
	return nil
}

// label names a module and how it runs. The module identity is of Go, as the filters are.
func label(module string, guard wasm.Guard) string {
	switch module {
	case "identity", "filter":
		module = "go"
	case "json":
		module = "go encoding/json"
	}
	return fmt.Sprintf("%s, %s", module, guard)
}

// identity: a call with records of 1 KiB.
func (b *bench) identity(ctx context.Context) (err error) {
	var c closing
	defer c.close(ctx, &err)
	in := sized(1 << 10)
	bare, err := frameCopy(in)
	if err != nil {
		return err
	}
	sides, names, err := c.sides(ctx, b.modules, []string{"min", "identity"}, []wasm.Guard{wasm.None, wasm.Metered}, in)
	if err != nil {
		return err
	}
	times, err := b.takeTurns(ctx, append([]side{bare}, sides...)...)
	if err != nil {
		return err
	}
	for i, t := range times[1:] {
		r := ratio(times[0], t)
		b.rows = append(b.rows, Row{
			Figure: "identity", Module: names[i], Value: median(t), Unit: "ns/record", Against: "frame copy", Bare: median(times[0]), Ratio: r,
			Target: "ratio 0.7", Met: r >= 0.7,
		})
	}
	return nil
}

// frameCopy is the part of a call that no module can avoid: laying out and writing the frame, and checking an answer.
func frameCopy(in *record.Batch) (side, error) {
	recs := make([]abi.Record, in.Len())
	for i := range in.Records {
		r := &in.Records[i]
		recs[i] = abi.Record{Seq: r.Seq, Arrived: r.Arrived, Shard: uint32(r.Shard), Sub: r.Sub, Key: r.Key, Data: r.Data}
	}
	var layout abi.Layout
	if err := layout.Plan(recs); err != nil {
		return side{}, err
	}
	frame := make([]byte, layout.Size())
	layout.EncodeInput(frame, 1, recs)
	input, err := abi.DecodeInput(frame)
	if err != nil {
		return side{}, err
	}
	var w abi.OutputWriter
	w.Reset(&input)
	for range recs {
		w.Result(abi.Unchanged, 0)
	}
	answer := w.Finish()
	return side{records: len(recs), op: func() error {
		if err := layout.Plan(recs); err != nil {
			return err
		}
		layout.EncodeInput(frame, 1, recs)
		_, err := layout.Decode(answer)
		return err
	}}, nil
}

// native is the guests' filter on the host.
func native(in *record.Batch) side {
	var doc leatjson.Doc
	level := doc.Field("level")
	kept := 0
	return side{records: in.Len(), op: func() error {
		for i := range in.Records {
			if err := doc.Parse(in.Records[i].Data); err != nil {
				return err
			}
			if level.Equal("error") {
				kept++
			}
		}
		return nil
	}}
}

// filter: records a second on one core.
func (b *bench) filter(ctx context.Context) (err error) {
	var c closing
	defer c.close(ctx, &err)
	in := logs(false)
	modules := []string{"filter", "batch", "c"}
	sides, names, err := c.sides(ctx, b.modules, modules, []wasm.Guard{wasm.Metered}, in)
	if err != nil {
		return err
	}
	times, err := b.takeTurns(ctx, append([]side{native(in)}, sides...)...)
	if err != nil {
		return err
	}
	for i, t := range times[1:] {
		row := Row{
			Figure: "filter", Module: names[i], Value: 1e9 / median(t), Unit: "records/s",
			Against: "native", Bare: 1e9 / median(times[0]), Ratio: ratio(times[0], t),
		}
		if modules[i] == "filter" {
			row.Target, row.Met = "500,000 records/s", row.Value >= 500_000
		}
		b.rows = append(b.rows, row)
	}
	return nil
}

// guards: what it costs that a module cannot run for ever.
func (b *bench) guards(ctx context.Context) (err error) {
	var c closing
	defer c.close(ctx, &err)
	in := logs(false)
	for _, module := range []struct {
		name  string
		least float64 // that metering must leave
	}{{"c", 1 / 1.1}, {"filter", 1 / 1.3}, {"json", 1 / 1.3}} {
		guards := []wasm.Guard{wasm.None, wasm.Metered, wasm.Interrupt}
		sides, names, err := c.sides(ctx, b.modules, []string{module.name}, guards, in)
		if err != nil {
			return err
		}
		times, err := b.takeTurns(ctx, sides...)
		if err != nil {
			return err
		}
		for i, t := range times[1:] {
			row := Row{
				Figure: "guards", Module: names[i+1], Value: median(t), Unit: "ns/record",
				Against: "none", Bare: median(times[0]), Ratio: ratio(times[0], t),
			}
			if guards[i+1] == wasm.Metered {
				row.Target, row.Met = fmt.Sprintf("ratio %.2f", module.least), row.Ratio >= module.least
			}
			b.rows = append(b.rows, row)
		}
	}
	return nil
}

// chain: eight stages against one.
func (b *bench) chain(ctx context.Context) (err error) {
	var c closing
	defer c.close(ctx, &err)
	m, err := c.open(ctx, b.modules, "identity", wasm.Metered, 1)
	if err != nil {
		return err
	}
	in := sized(1 << 10)
	of := func(stages int) side {
		var links []stage.Link
		for i := range stages {
			links = append(links, stage.Link{Name: fmt.Sprint(i), Transform: m})
		}
		chain, final := stage.NewChain(links...), new(stage.Final)
		return side{records: in.Len(), op: func() error { return chain.Run(ctx, in, final) }}
	}
	times, err := b.takeTurns(ctx, of(1), of(8))
	if err != nil {
		return err
	}
	r := ratio(times[1], times[0])
	b.rows = append(b.rows, Row{
		Figure: "chain", Module: label("identity", wasm.Metered), Value: median(times[1]), Unit: "ns/record", Against: "one stage", Bare: median(times[0]), Ratio: r,
		Target: "ratio below 9", Met: r < 9,
	})
	return nil
}

// poison: a chain on all cores, with one record in 500 that breaks its call.
func (b *bench) poison(ctx context.Context) (err error) {
	var c closing
	defer c.close(ctx, &err)
	workers := runtime.GOMAXPROCS(0)
	for _, module := range []string{"filter", "batch", "c"} {
		m, err := c.open(ctx, b.modules, module, wasm.Metered, workers)
		if err != nil {
			return err
		}
		chain := stage.NewChain(stage.Link{Name: "filter", Transform: m})
		of := func(poison bool) side {
			in, finals := logs(poison), make([]stage.Final, workers)
			const each = 8
			return side{records: workers * each * in.Len(), op: func() error {
				errs := make([]error, workers)
				var wg sync.WaitGroup
				for w := range workers {
					wg.Go(func() {
						for range each {
							if errs[w] = chain.Run(ctx, in, &finals[w]); errs[w] != nil {
								return
							}
							if fail := finals[w].Roots[perCall/2].Fail; (fail != nil) != poison {
								errs[w] = fmt.Errorf("the record in the middle: %+v", fail)
								return
							}
						}
					})
				}
				wg.Wait()
				return errors.Join(errs...)
			}}
		}
		times, err := b.takeTurns(ctx, of(false), of(true))
		if err != nil {
			return err
		}
		b.rows = append(b.rows, Row{
			Figure: "poison", Module: label(module, wasm.Metered), Value: 1e9 / median(times[1]), Unit: "records/s",
			Against: "no poison", Bare: 1e9 / median(times[0]), Ratio: ratio(times[0], times[1]),
		})
	}
	return nil
}
