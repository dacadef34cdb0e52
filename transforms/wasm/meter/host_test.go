package meter

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// tooLong is more than what ends within a blink takes on a machine that is busy with other things.
const tooLong = time.Minute

// guest is an instance of a module, metered or not, with hosts that do nothing for the module leat.
type guest struct {
	api.Module
	t testing.TB
}

// instantiate runs a module as it is. rc nil is the compiler.
func instantiate(t testing.TB, rc wazero.RuntimeConfig, wasm []byte) *guest {
	t.Helper()
	g, err := tryInstantiate(t, rc, wasm)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func tryInstantiate(t testing.TB, rc wazero.RuntimeConfig, wasm []byte) (*guest, error) {
	t.Helper()
	ctx := context.Background()
	if rc == nil {
		rc = wazero.NewRuntimeConfig().WithMemoryLimitPages(1024 * 4)
	}
	r := wazero.NewRuntimeWithConfig(ctx, rc)
	t.Cleanup(func() {
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		return nil, err
	}
	hosts := map[string]wazero.HostModuleBuilder{}
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if hosts[module] == nil {
			hosts[module] = r.NewHostModuleBuilder(module)
			if module == wasi_snapshot_preview1.ModuleName {
				wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(hosts[module])
			}
		}
		if module == wasi_snapshot_preview1.ModuleName {
			continue
		}
		hosts[module].NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(func(context.Context, api.Module, []uint64) {}), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for _, h := range hosts {
		if _, err := h.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mod, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions().WithSysNanotime().WithSysWalltime())
	if err != nil {
		return nil, err
	}
	g := &guest{mod, t}
	for _, name := range []string{ExportStart, "_initialize"} {
		if mod.ExportedFunction(name) != nil {
			if _, _, err := g.call(name); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

// metered rewrites a module and runs it.
func metered(t testing.TB, wasm []byte) *guest {
	t.Helper()
	out, _, err := Rewrite(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return instantiate(t, nil, out)
}

func (g *guest) global(name string) api.MutableGlobal {
	m, _ := g.ExportedGlobal(name).(api.MutableGlobal)
	return m
}

// fuel gives a metered guest its fuel; others take none.
func (g *guest) fuel(n uint64) {
	if work := g.global(ExportWork); work != nil {
		w, b := Start(n)
		work.Set(w)
		g.global(ExportBudget).Set(b)
	}
}

func (g *guest) left() uint64 { return Left(g.global(ExportWork).Get(), g.global(ExportBudget).Get()) }

// call calls an export with plenty of fuel and returns its results and what was spent.
func (g *guest) call(name string, args ...uint64) (results []uint64, spent uint64, err error) {
	const fuel = 1 << 50
	g.fuel(fuel)
	results, err = g.ExportedFunction(name).Call(context.Background(), args...)
	if g.global(ExportWork) == nil {
		return results, 0, err
	}
	// Fuel is below half of its range, one way or the other.
	if weight := int64(g.global(ExportWork).Get()+1<<(fuelBits-1)) >> fuelBits; err == nil && weight != emptyStack>>fuelBits {
		g.t.Errorf("%s%d left %d units of weight on the stack", name, args, weight-emptyStack>>fuelBits)
	}
	return results, fuel - g.left(), err
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
