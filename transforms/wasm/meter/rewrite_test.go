package meter

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/leatstream/leat/internal/testenv"
)

// outcome is what a call returned, for comparison: its results or the first line of its error.
func (g *guest) outcome(name string, args ...uint64) string {
	results, _, err := g.call(name, args...)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return first
	}
	return fmt.Sprintf("%x", results)
}

// memory is all of the guest's memory, if it has one.
func (g *guest) memory() []byte {
	m := g.Memory()
	if m == nil {
		return nil
	}
	b, _ := m.Read(0, m.Size())
	return b
}

// same compares an export of the module as it is with the metered one: what they return and the memory that they leave.
func same(t *testing.T, plain, metered *guest, name string, args ...uint64) {
	t.Helper()
	sameResult(t, plain, metered, name, args...)
	if !bytes.Equal(plain.memory(), metered.memory()) {
		t.Fatalf("%s(%d): the memories differ", name, args)
	}
}

// sameResult is same for exports that do nothing to the memory.
func sameResult(t *testing.T, plain, metered *guest, name string, args ...uint64) {
	t.Helper()
	want, got := plain.outcome(name, args...), metered.outcome(name, args...)
	if want != got {
		t.Fatalf("%s(%d): got %s, want %s", name, args, got, want)
	}
}

func TestControlFlowOfAllShapesDoesTheSame(t *testing.T) {
	module := readFile(t, "testdata/wat/shapes.wasm")
	rewritten, _, err := Rewrite(module)
	if err != nil {
		t.Fatal(err)
	}
	for engine, rc := range map[string]wazero.RuntimeConfig{"compiler": wazero.NewRuntimeConfigCompiler(), "interpreter": wazero.NewRuntimeConfigInterpreter()} {
		plain := instantiate(t, rc, module)
		for name := range plain.ExportedFunctionDefinitions() {
			plain, metered := instantiate(t, rc, module), instantiate(t, rc, rewritten)
			for arg := range uint64(130) {
				same(t, plain, metered, name, arg)
			}
		}
		t.Log(engine)
	}
}

func TestModulesOfRealCompilersDoTheSame(t *testing.T) {
	for _, c := range []struct {
		file  string
		names string
		args  []uint64
	}{
		{"c", "csv upper hash json", []uint64{0, 1, 2}},
		{"c", "tree sort", []uint64{0, 1, 2, 12}},
		{"rust", "words floats dynamic panics", []uint64{0, 1, 2, 5, 100, 3000}},
		{"assemblyscript", "tree words", []uint64{0, 1, 2, 5, 100, 2000}},
	} {
		module := readFile(t, "testdata/"+c.file+"/work.wasm")
		for _, name := range strings.Fields(c.names) {
			plain, metered := instantiate(t, nil, module), metered(t, module)
			if c.file == "c" {
				same(t, plain, metered, "prepare", 3)
			}
			for _, arg := range c.args {
				same(t, plain, metered, name, arg)
			}
		}
	}
}

func TestBulkInstructionsDoTheSameInPieces(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	module := readFile(t, "testdata/wat/bulk.wasm")
	plain, metered := instantiate(t, nil, module), metered(t, module)
	edges := []uint64{0, 1, 36, 63, 64, 65, 65536, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2 * pieceBytes, 3*pieceBytes + 7, 80 << 16, 1<<32 - 1}
	number := func() uint64 {
		n := edges[rnd.IntN(len(edges))]
		if rnd.IntN(2) == 0 {
			n += uint64(rnd.IntN(200)) - 100
		}
		return uint64(uint32(n))
	}
	near := func() uint64 { return uint64(uint32(rnd.IntN(4 * pieceBytes))) }
	small := func() uint64 { return uint64(rnd.IntN(70)) }
	steps := []func(){
		func() { same(t, plain, metered, "fill", number(), number(), number()) },
		func() { same(t, plain, metered, "fill", near(), number(), near()) },
		func() { same(t, plain, metered, "copy", number(), number(), number()) },
		func() { same(t, plain, metered, "copy", near(), near(), near()) },
		func() { a := near(); same(t, plain, metered, "copy", a, a+small(), near()) },
		func() { a := near(); same(t, plain, metered, "copy", a+small(), a, near()) },
		func() { same(t, plain, metered, "init", number(), small(), small()) },
		func() { same(t, plain, metered, "init", number(), number(), number()) },
		func() { same(t, plain, metered, "table_fill", small(), small()) },
		func() { same(t, plain, metered, "table_copy", small(), small(), small()) },
		func() { same(t, plain, metered, "table_init", small(), small()/8, small()/8) },
		func() { same(t, plain, metered, "table_fill", small(), number()) },
		func() { same(t, plain, metered, "table_grow", small()/16) },
		func() { same(t, plain, metered, "table_grow", number()) },
		func() { same(t, plain, metered, "grow", small()/30) },
		func() { same(t, plain, metered, "grow", number()) },
		func() {
			// Noise, so that a copy that goes wrong shows.
			b := make([]byte, 4096)
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			at := uint32(near())
			plain.Memory().Write(at, b)
			metered.Memory().Write(at, b)
		},
	}
	for i := range testenv.Count(400, 20_000) {
		if i == 300 {
			same(t, plain, metered, "drop")
		}
		steps[rnd.IntN(len(steps))]()
		sameResult(t, plain, metered, "tables")
		sameResult(t, plain, metered, "table_sizes")
		if t.Failed() {
			t.Fatalf("seed %d, step %d", seed, i)
		}
	}
}

// A copy into a later part of itself has to begin at its end, piece by piece too.
func TestPiecesOfACopyOntoItselfAreInOrder(t *testing.T) {
	module := readFile(t, "testdata/wat/bulk.wasm")
	plain, metered := instantiate(t, nil, module), metered(t, module)
	numbered := make([]byte, 5*pieceBytes)
	for i := range len(numbered) / 4 {
		binary.LittleEndian.PutUint32(numbered[4*i:], uint32(i)) // no two parts are the same
	}
	for _, apart := range []uint64{1, 64, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2 * pieceBytes} {
		for _, n := range []uint64{pieceBytes, pieceBytes + 1, 2 * pieceBytes, 3*pieceBytes - 7} {
			for _, g := range []*guest{plain, metered} {
				g.Memory().Write(0, numbered)
			}
			same(t, plain, metered, "copy", apart, 0, n)
			same(t, plain, metered, "copy", 3, 3+apart, n)
		}
	}
}

// aSegmentOf makes the passive segment of bulk.wasm longer than a piece.
func aSegmentOf(t *testing.T, module []byte, n int) []byte {
	m, err := parse(module)
	if err != nil {
		t.Fatal(err)
	}
	out := []byte(header)
	for _, s := range m.sections {
		if s.id == secData {
			data := bytes.Repeat([]byte("some data, and more "), n/20+1)[:n]
			s.body = append(appendU([]byte{1, 1}, n), data...)
		}
		out = append(appendU(append(out, s.id), len(s.body)), s.body...)
	}
	return out
}

func TestALongSegmentIsCopiedInPieces(t *testing.T) {
	const length = 3*pieceBytes + 100
	module := aSegmentOf(t, readFile(t, "testdata/wat/bulk.wasm"), length)
	for _, args := range [][3]uint64{
		{0, 0, length}, {17, 5, length - 5}, {17, 6, length - 5}, {0, length, 0}, {0, length + 1, 0}, {2 << 20, 0, length}, {0, 1<<32 - 1, length},
		{1<<32 - 1, 0, length}, {80<<16 - length, 0, length}, {80<<16 - length + 1, 0, length}, {0, 0, 1<<32 - 1}, {0, 0, pieceBytes + 1},
	} {
		same(t, instantiate(t, nil, module), metered(t, module), "init", args[0], args[1], args[2])
	}
	plain, metered := instantiate(t, nil, module), metered(t, module)
	for _, g := range []*guest{plain, metered} {
		g.outcome("drop")
	}
	same(t, plain, metered, "init", 0, 0, 2*pieceBytes)
	same(t, plain, metered, "init", 0, 0, 0)
}

func TestWhateverSpinsOrRecursesTraps(t *testing.T) {
	rewritten, _, err := Rewrite(readFile(t, "testdata/wat/spin.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	const fuel = 40_000_000
	for name := range instantiate(t, nil, rewritten).ExportedFunctionDefinitions() {
		g := instantiate(t, nil, rewritten)
		g.fuel(fuel)
		start := time.Now()
		_, err := g.ExportedFunction(name).Call(context.Background())
		cause := g.global(ExportCause).Get()
		if err == nil || !strings.Contains(err.Error(), "unreachable") || cause != CauseFuel && cause != CauseDepth {
			t.Errorf("%s: cause %d, %v", name, cause, err)
		}
		if took := time.Since(start); took > tooLong {
			t.Errorf("%s: %s for %d instructions", name, took, fuel)
		}
		if left := g.left(); cause == CauseFuel && left != 0 {
			t.Errorf("%s: there are %d units left", name, left)
		}
	}
}

func TestRecursionEndsBeforeTheStackIsLarge(t *testing.T) {
	rewritten, _, err := Rewrite(readFile(t, "testdata/wat/spin.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"recursion", "deep_frames", "mutual", "recursion_by_table"} {
		g := instantiate(t, nil, rewritten)
		g.fuel(MaxFuel)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := g.ExportedFunction(name).Call(context.Background())
		runtime.ReadMemStats(&after)
		if cause := g.global(ExportCause).Get(); err == nil || cause != CauseDepth {
			t.Errorf("%s: cause %d, %v", name, cause, err)
		}
		// wazero doubles the stack, and copies it each time.
		if took := after.TotalAlloc - before.TotalAlloc; took > 8*MaxStackBytes {
			t.Errorf("%s: the stack took %d MiB", name, took>>20)
		}
	}
}

func TestASafepointComesAtLeastEverySliceOfWork(t *testing.T) {
	rewritten, _, err := Rewrite(readFile(t, "testdata/wat/spin.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range instantiate(t, nil, rewritten).ExportedFunctionDefinitions() {
		g := instantiate(t, nil, rewritten)
		g.fuel(MaxFuel)
		time.AfterFunc(20*time.Millisecond, func() { g.global(ExportStop).Set(1) })
		start := time.Now()
		_, err := g.ExportedFunction(name).Call(context.Background())
		if cause := g.global(ExportCause).Get(); err == nil || cause != CauseStopped && cause != CauseDepth {
			t.Errorf("%s: cause %d, %v", name, cause, err)
		}
		if took := time.Since(start); took > tooLong {
			t.Errorf("%s: it ran on for %s", name, took)
		}
	}
}

func TestFuelIsTheSameEveryTimeAndAboutOneAnInstruction(t *testing.T) {
	module := readFile(t, "testdata/c/work.wasm")
	for name, most := range map[string]float64{"csv": 60, "upper": 40, "hash": 20, "json": 60} { // a byte of text
		var first uint64
		for range 3 {
			g := metered(t, module)
			if _, _, err := g.call("prepare", 1); err != nil {
				t.Fatal(err)
			}
			_, spent, err := g.call(name, 2)
			if err != nil {
				t.Fatal(err)
			}
			if first == 0 {
				first = spent
			}
			if spent != first {
				t.Errorf("%s: %d units, then %d", name, first, spent)
			}
		}
		if per := float64(first) / (2 << 16); per < most/5 || per > most {
			t.Errorf("%s: %.1f units a byte", name, per)
		}
	}
}

func TestWhatIsLeftByAReturnIsPaidFor(t *testing.T) {
	g := metered(t, readFile(t, "testdata/wat/shapes.wasm"))
	for _, c := range []struct {
		name  string
		arg   uint64
		least uint64 // instructions that run
	}{{"early", 0, 3}, {"early", 6, 20}, {"early", 20, 7}, {"switch", 3, 300}, {"returning_recursion", 90, 600}} {
		if _, spent, err := g.call(c.name, c.arg); err != nil || spent < c.least || spent > 4*c.least+100 {
			t.Errorf("%s(%d) spent %d units, %v", c.name, c.arg, spent, err)
		}
	}
}

func TestBulkInstructionsCostByLength(t *testing.T) {
	const length = 4*pieceBytes + 33
	for name, args := range map[string][]uint64{
		"fill": {0, 1, length}, "copy": {100, 0, length}, "init": {0, 0, length}, "table_fill": {0, 60}, "table_copy": {0, 0, 30}, "table_init": {0, 0, 5},
	} {
		size := uint64(1)
		if strings.HasPrefix(name, "table") {
			size = 8
		}
		least := args[len(args)-1] * size / bytesPerUnit
		g := metered(t, aSegmentOf(t, readFile(t, "testdata/wat/bulk.wasm"), length))
		if _, spent, err := g.call(name, args...); err != nil || spent < least || spent > 2*least+100 {
			t.Errorf("%s(%d) spent %d units, %v", name, args, spent, err)
		}
	}
	g := metered(t, readFile(t, "testdata/wat/bulk.wasm"))
	if _, spent, err := g.call("copy", 0, 100, length); err != nil || spent < length/bytesPerUnit { // forward, within itself
		t.Errorf("copy to the front spent %d units, %v", spent, err)
	}
}

func TestWithoutFuelNothingRuns(t *testing.T) {
	module := readFile(t, "testdata/wat/shapes.wasm")
	rewritten, _, err := Rewrite(module)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	mod, err := r.Instantiate(ctx, rewritten) // does not run the start function
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sum", "ackermann", "switch"} {
		if _, err := mod.ExportedFunction(name).Call(ctx, 5000); err == nil {
			t.Errorf("%s ran", name)
		}
	}
	if mod.ExportedFunction(ExportStart) == nil {
		t.Error("the start function is not exported")
	}
}

func TestFuelThatIsLeftIsReturnedExactly(t *testing.T) {
	for _, fuel := range []uint64{0, 1, slice, 10*slice + 3, MaxFuel} {
		work, budget := Start(fuel)
		if got := Left(work, budget); got != fuel {
			t.Errorf("%d of %d", got, fuel)
		}
	}
	g := metered(t, readFile(t, "testdata/c/work.wasm"))
	_, spent, err := g.call("hash", 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fuel uint64
		ok   bool
	}{{spent - 1, false}, {spent - spent/100, false}, {spent + prepaid, true}} {
		g := metered(t, readFile(t, "testdata/c/work.wasm"))
		g.fuel(c.fuel)
		if _, err := g.ExportedFunction("hash").Call(context.Background(), 3); (err == nil) != c.ok && c.fuel != spent-1 {
			t.Errorf("with %d of %d: %v", c.fuel, spent, err)
		}
	}
}

// compiles reports whether the runtime takes a module.
func compiles(module []byte, interpreter bool) error {
	ctx := context.Background()
	rc := wazero.NewRuntimeConfigCompiler()
	if interpreter {
		rc = wazero.NewRuntimeConfigInterpreter()
	}
	r := wazero.NewRuntimeWithConfig(ctx, rc.WithMemoryLimitPages(1024).WithCoreFeatures(api.CoreFeaturesV2))
	_, err := r.CompileModule(ctx, module)
	return errors.Join(err, r.Close(ctx))
}
