package wasm

import (
	"context"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/leatstream/leat/transforms/wasm/abi"
	"github.com/leatstream/leat/transforms/wasm/meter"
)

// gauge gives an instance of a metered module its fuel, call by call, and ends calls that take too long: setting one of the module's
// variables while it runs makes it trap at its next safepoint, less than 2 ms of work away.
type gauge struct {
	work, budget, stop, cause api.MutableGlobal
	given                     uint64 // to the current call

	mu      sync.Mutex
	running int // the number of the current call, or 0
	calls   int
	started time.Time
	timer   *time.Timer
}

// attach finds the variables of the metered module.
func (g *gauge) attach(mod api.Module) {
	find := func(name string) api.MutableGlobal { return mod.ExportedGlobal(name).(api.MutableGlobal) }
	g.work, g.budget = find(meter.ExportWork), find(meter.ExportBudget)
	g.stop, g.cause = find(meter.ExportStop), find(meter.ExportCause)
}

// begin hands out the fuel of a call and starts to watch its time. end must be called once the call is over; it returns what was
// spent.
func (i *instance) begin(ctx context.Context, name string) (end func() (spent uint64)) {
	g := &i.gauge
	g.given = i.fuelOf(name)
	work, budget := meter.Start(g.given)
	g.work.Set(work)
	g.budget.Set(budget)
	g.cause.Set(meter.CauseNone)
	g.mu.Lock()
	g.calls++
	call := g.calls
	g.running, g.started = call, time.Now()
	g.stop.Set(0)
	g.mu.Unlock()
	if g.timer == nil {
		g.timer = time.AfterFunc(i.m.cfg.Timeout, func() { i.gauge.expire(i.m.cfg.Timeout) })
	} else {
		g.timer.Reset(i.m.cfg.Timeout)
	}
	watched := func() bool { return true }
	if ctx.Done() != nil {
		watched = context.AfterFunc(ctx, func() { g.halt(call) })
	}
	return func() uint64 {
		g.timer.Stop()
		watched()
		g.mu.Lock()
		g.running = 0
		g.mu.Unlock()
		return g.given - meter.Left(g.work.Get(), g.budget.Get())
	}
}

// fuelOf is what a call of an export may spend. The functions that get a frame have its length as their second parameter.
func (i *instance) fuelOf(name string) uint64 {
	fuel := i.m.cfg.Fuel.Base
	if name == abi.ExportTransform || name == abi.ExportConfigure {
		fuel += i.m.cfg.Fuel.PerByte * uint64(uint32(i.stack[1]))
	}
	return min(fuel, meter.MaxFuel)
}

// halt ends the call of that number if it still runs.
func (g *gauge) halt(call int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running == call {
		g.stop.Set(1)
	}
}

// expire ends the call that runs if its time is over. A timer that fires late may find the next call.
func (g *gauge) expire(limit time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running != 0 && time.Since(g.started) >= limit {
		g.stop.Set(1)
	}
}

// Fuel is what the module has spent in calls with records, and how many bytes of records it got in them; 0 without the guard Metered.
// One unit is about one instruction.
func (m *Module) Fuel() (spent, bytes uint64) { return m.fuel.Load(), m.fuelBytes.Load() }
