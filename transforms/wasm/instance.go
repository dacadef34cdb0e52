package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/transforms/internal/printed"
	"github.com/leatstream/leat/transforms/wasm/abi"
	"github.com/leatstream/leat/transforms/wasm/meter"
)

// instance is one instance of the module with a memory of its own. It serves one call at a time.
type instance struct {
	m         *Module
	mod       api.Module
	alloc     api.Function
	transform api.Function
	memory    linearMemory
	cursor    api.Global // nil if the module does not say which record it works on; see worksOn
	cursorAt  uint32     // address of the cursor if a function of the module told it, else 0

	calls int    // with records
	start int64  // bytes of memory when it was ready
	grown int64  // bytes of memory after the last call
	worn  string // why it is to be replaced; see renew
	quiet bool   // what it logs and counts is passed over
	saved savepoint

	gauge  gauge           // if the module is metered
	within context.Context // of the current call
	until  time.Time       // when its time is over; zero if it may take as long as it likes

	stdin          io.Reader    // nil is empty
	outputs        [3]io.Writer // by their descriptors, 1 and 2
	stdout, stderr *printed.Stream
	failure        string // what leat.fail said during the current call

	stack  [2]uint64
	layout abi.Layout
	attrs  []abi.Attr    // scratch of decoding
	slab   []record.Attr // where attributes and partition keys of the current output are put
}

// instantiate makes an instance and configures it.
func (m *Module) instantiate(ctx context.Context) (*instance, error) {
	start := time.Now()
	i := &instance{m: m}
	i.stdout = printed.NewStream(m.log, slog.LevelInfo, "stdout")
	i.stderr = printed.NewStream(m.log, slog.LevelWarn, "stderr")
	i.outputs = [3]io.Writer{1: i.stdout, 2: i.stderr}
	guarded, cancel := i.guard(ctx)
	defer cancel()
	mod, err := m.newInstance(experimental.WithMemoryAllocator(guarded, allocator{i}), i, m.moduleConfig(i))
	if err != nil {
		if i.memory != nil {
			i.memory.release()
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, errNoMemory) {
			return nil, err
		}
		if timedOut(err) {
			return nil, i.timeout("the start of " + m.cfg.name())
		}
		cause, _, _ := strings.Cut(err.Error(), "\n") // without the stack, which names functions by number
		return nil, fault.New(fault.Permanent, CodeInvalidModule, "start %s: %s", m.cfg.name(), cause)
	}
	i.mod = mod
	if m.cfg.Guard == Metered {
		i.gauge.attach(mod)
	}
	if err := i.prepare(ctx); err != nil {
		return nil, errors.Join(err, i.close(ctx))
	}
	i.start = int64(mod.Memory().Size())
	i.grown = i.start
	if took := int64(time.Since(start)); m.making.Load() == 0 || took < m.making.Load() { // both of two at once are good
		m.making.Store(took)
	}
	return i, nil
}

// touched is whether the instance is not as it was when it was ready: it has served records, or was put back and has a memory that had
// grown, with less room than another.
func (i *instance) touched() bool { return i.calls > 0 || int64(i.mod.Memory().Size()) > i.start }

// close gives the instance's memory back.
func (i *instance) close(ctx context.Context) error {
	err := i.mod.Close(context.WithoutCancel(ctx))
	i.memory.release()
	return err
}

// prepare initializes the instance and hands it the configuration.
func (i *instance) prepare(ctx context.Context) error {
	if f := i.mod.ExportedFunction(meter.ExportStart); f != nil {
		err := i.call(ctx, "its start function", f)
		if fault.CodeOf(err) == CodeTrap {
			return fault.New(fault.Permanent, CodeInvalidModule, "start %s: %w", i.m.cfg.name(), err)
		}
		if err != nil {
			return err
		}
	}
	if f := i.mod.ExportedFunction(abi.ExportInit); f != nil {
		if err := i.call(ctx, abi.ExportInit, f); err != nil {
			return err
		}
	}
	i.alloc = i.mod.ExportedFunction(abi.ExportAlloc)
	i.transform = i.mod.ExportedFunction(abi.ExportTransform)
	if g := i.mod.ExportedGlobal(abi.ExportCursor); g != nil {
		if g.Type() != i32 {
			return fault.New(fault.Permanent, CodeWrongType, "%s exports the global %q as %s; it must be i32",
				i.m.cfg.name(), abi.ExportCursor, api.ValueTypeName(g.Type()))
		}
		i.cursor = g
	}
	if f := i.mod.ExportedFunction(abi.ExportCursor); f != nil {
		if err := i.call(ctx, abi.ExportCursor, f); err != nil {
			return err
		}
		i.cursorAt = uint32(i.stack[0])
	}
	return i.configure(ctx)
}

// worksOn returns what the module's cursor says: the index of the record in work. A global that cannot change is the address of a
// variable, which is how the linkers of C and Rust export one.
func (i *instance) worksOn() (index uint32, ok bool) {
	switch g := i.cursor.(type) {
	case nil:
		if i.cursorAt == 0 {
			return 0, false
		}
		return i.mod.Memory().ReadUint32Le(i.cursorAt)
	case api.MutableGlobal:
		return uint32(g.Get()), true
	default:
		return i.mod.Memory().ReadUint32Le(uint32(g.Get()))
	}
}

func (i *instance) configure(ctx context.Context) error {
	b, err := json.Marshal(struct {
		Config   json.RawMessage `json:"config"`
		Pipeline string          `json:"pipeline"`
		Stage    string          `json:"stage"`
	}{i.m.cfg.Config, i.m.cfg.Pipeline, i.m.cfg.Stage})
	if err != nil {
		return fault.New(fault.Permanent, CodeInvalidConfig, "config: %w", err)
	}
	ptr, refused, err := i.allocate(ctx, len(b))
	if err != nil {
		return err
	}
	if refused {
		return fault.New(fault.Permanent, CodeConfigRefused, "%s has no room for its configuration of %d bytes", i.m.cfg.name(), len(b))
	}
	i.mod.Memory().Write(ptr, b) // allocate has checked the range
	i.stack = [2]uint64{uint64(ptr), uint64(len(b))}
	if err := i.call(ctx, abi.ExportConfigure, i.mod.ExportedFunction(abi.ExportConfigure)); err != nil {
		return err
	}
	if code := int32(i.stack[0]); code != 0 {
		said := i.said()
		if said == "" {
			said = ", without a reason"
		}
		return fault.New(fault.Permanent, CodeConfigRefused, "%s refuses its config%s", i.m.cfg.name(), said)
	}
	return nil
}

// manifest calls leat_describe.
func (i *instance) manifest(ctx context.Context) ([]byte, error) {
	f := i.mod.ExportedFunction(abi.ExportDescribe)
	if f == nil {
		return nil, nil
	}
	if err := i.call(ctx, abi.ExportDescribe, f); err != nil {
		return nil, err
	}
	b, ok := i.mod.Memory().Read(uint32(i.stack[0]>>32), uint32(i.stack[0]))
	if !ok || !json.Valid(b) {
		return nil, fault.New(fault.Permanent, CodeBadFrame, "%s of %s did not return JSON in its memory", abi.ExportDescribe, i.m.cfg.name())
	}
	return append([]byte(nil), b...), nil
}

// allocate asks the module for n bytes. Memory views from before are out of date afterwards.
func (i *instance) allocate(ctx context.Context, n int) (ptr uint32, refused bool, err error) {
	i.stack[0] = uint64(n)
	if err := i.call(ctx, abi.ExportAlloc, i.alloc); err != nil {
		return 0, false, err
	}
	ptr = uint32(i.stack[0])
	if ptr == 0 {
		return 0, true, nil
	}
	if _, ok := i.mod.Memory().Read(ptr, uint32(n)); !ok || ptr%8 != 0 {
		return 0, false, fault.New(fault.Permanent, CodeBadFrame,
			"%s returned %d for %d bytes: outside the memory or not a multiple of 8", abi.ExportAlloc, ptr, n)
	}
	return ptr, false, nil
}

// call calls f with i.stack as parameters and leaves its result there. The error is about the module, unless ctx is done.
func (i *instance) call(ctx context.Context, name string, f api.Function) error {
	i.failure = ""
	i.stdout.Begin()
	i.stderr.Begin()
	guarded, cancel := i.guard(ctx)
	defer cancel()
	end := func() uint64 { return 0 }
	bytes := uint64(uint32(i.stack[1]))
	if i.m.cfg.Guard == Metered {
		end = i.begin(ctx, name)
	}
	err := f.CallWithStack(guarded, i.stack[:])
	if spent := end(); name == abi.ExportTransform {
		i.m.fuel.Add(spent)
		i.m.fuelBytes.Add(bytes)
		if i.m.cfg.Guard == Metered {
			i.m.cfg.Spent(spent, bytes)
		}
	}
	if err == nil {
		i.stdout.End(nil, false)
		i.stderr.End(nil, false)
		return nil
	}
	i.stdout.Cut(linesOfFailure)
	i.stderr.Cut(linesOfFailure)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return i.describe(name, err)
}

// guard returns the context of one call.
func (i *instance) guard(ctx context.Context) (context.Context, context.CancelFunc) {
	if i.within, i.until = ctx, (time.Time{}); i.m.cfg.Guard != None {
		i.until = time.Now().Add(i.m.cfg.Timeout)
	}
	if i.m.cfg.Guard != Interrupt {
		return &callContext{context.WithoutCancel(ctx), i}, func() {}
	}
	guarded, cancel := context.WithTimeout(ctx, i.m.cfg.Timeout)
	return &callContext{guarded, i}, cancel
}
