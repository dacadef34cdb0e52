package benchtransforms

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm"
)

// coldCommand is this program's command that calls ColdStart.
func coldCommand(ctx context.Context, module string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.CommandContext(ctx, self, "bench", "transforms-cold", "--module", module)
}

// ColdStart opens a module and transforms a record, as the first thing that a process does. Without a module it does nothing.
func ColdStart(ctx context.Context, module string) (err error) {
	if module == "" {
		return nil
	}
	m, err := wasm.Open(ctx, wasm.Config{Path: module, Instances: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close(ctx)) }()
	in := logs(false)
	in.Records = in.Records[:1]
	out := new(stage.Output)
	out.Reset()
	return m.Apply(ctx, in, out)
}

// coldStart: new processes, from their start to their end. The difference to one that does nothing is the module's.
func (b *bench) coldStart(ctx context.Context) error {
	if err := ColdStart(ctx, b.modules["filter"]); err != nil { // now it is in the cache
		return err
	}
	var nothing, module []float64
	for range max(b.Rounds, 3) {
		for _, s := range []struct {
			module string
			times  *[]float64
		}{{"", &nothing}, {b.modules["filter"], &module}} {
			began := time.Now()
			cmd := b.Cold(ctx, s.module)
			cmd.Stderr = os.Stderr
			if err := cmd.Run(); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				return fmt.Errorf("%s: %w", cmd, err)
			}
			*s.times = append(*s.times, float64(time.Since(began).Microseconds())/1000)
		}
	}
	ms := median(module)
	b.rows = append(b.rows, Row{
		Figure: "cold-start", Module: label("filter", wasm.Metered), Value: ms, Unit: "ms", Against: "a process that does nothing", Bare: median(nothing),
		Ratio: ratio(nothing, module), Target: "below 60 ms", Met: ms < 60,
	})
	return nil
}
