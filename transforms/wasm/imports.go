package wasm

import (
	"context"
	"log/slog"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/leatstream/leat/transforms/internal/printed"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// callContext carries the instance to the host functions that it calls.
type callContext struct {
	context.Context
	instance *instance
}

type instanceKey struct{}

func (c *callContext) Value(key any) any {
	if key == (instanceKey{}) {
		return c.instance
	}
	return c.Context.Value(key)
}

func calling(ctx context.Context) *instance { return ctx.Value(instanceKey{}).(*instance) }

// instantiateImports offers the module leat to guests.
func (m *Module) instantiateImports(ctx context.Context) error {
	_, err := m.runtime.NewHostModuleBuilder(abi.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(hostLog), []api.ValueType{i32, i32, i32}, nil).Export(abi.ImportLog).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(hostFail), []api.ValueType{i32, i32}, nil).Export(abi.ImportFail).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(hostCount), []api.ValueType{i32, i32, i64}, nil).Export(abi.ImportCount).
		Instantiate(ctx)
	return err
}

// text reads at most limit bytes of a guest's string. A string outside its memory traps the guest, like any wild pointer.
func text(mod api.Module, ptr, n uint64, limit int) string {
	b, ok := mod.Memory().Read(uint32(ptr), uint32(n))
	if !ok {
		panic("a string passed to the host lies outside the memory")
	}
	return strings.ToValidUTF8(string(b[:min(len(b), limit)]), "")
}

func hostLog(ctx context.Context, mod api.Module, stack []uint64) {
	level := slog.Level(max(-4, min(8, int32(stack[0]))))
	line := text(mod, stack[1], stack[2], printed.MaxLine)
	if i := calling(ctx); !i.quiet {
		i.m.log.Write(level, "transform", line)
	}
}

func hostFail(ctx context.Context, mod api.Module, stack []uint64) {
	calling(ctx).failure = text(mod, stack[0], stack[1], maxFailure)
}

func hostCount(ctx context.Context, mod api.Module, stack []uint64) {
	name := text(mod, stack[0], stack[1], maxName)
	if i := calling(ctx); !i.quiet {
		i.m.counts.add(name, int64(stack[2]))
	}
}
