package meter

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/leatstream/leat/internal/testenv"
)

// program writes random valid functions: (i32, i64) -> i32, with two more locals of i32 and i64, that call one another, directly and
// through a table, loop with and without end, and use memory.
type program struct {
	rnd   *rand.Rand
	funcs int
	b     []byte
	// labels are the open blocks: whether a branch to them goes back, and whether it takes an i32.
	labels []label
	budget int // statements that may still be written
}

type label struct {
	loop, takes bool
	cases       int // of a loop that begins with a table
}

func (p *program) op(b ...byte)   { p.b = append(p.b, b...) }
func (p *program) pick(n int) int { return p.rnd.IntN(n) }

// i32 writes an expression.
func (p *program) i32(depth int) {
	p.budget--
	if depth <= 0 || p.budget < 0 {
		if p.pick(2) == 0 {
			p.b = appendS(append(p.b, opI32Const), int64(p.pick(40)-8))
		} else {
			p.op(opLocalGet, []byte{0, 2}[p.pick(2)])
		}
		return
	}
	switch p.pick(12) {
	case 0, 1, 2:
		p.i32(depth - 1)
		p.i32(depth - 1)
		p.op([]byte{0x6a, 0x6b, 0x6c, 0x71, 0x73, 0x46, 0x48, 0x4d}[p.pick(8)])
	case 3:
		p.i32(depth - 1)
		p.i32(depth - 1)
		p.op([]byte{0x6d, 0x70}[p.pick(2)]) // may trap
	case 4:
		p.i64(depth - 1)
		p.op(0xa7) // i32.wrap_i64
	case 5:
		p.i32(depth - 1)
		p.op(opI32Const)
		p.b = appendS(p.b, 0xffff)
		p.op(0x71, opI32Load, 2, 0)
	case 6:
		p.i32(depth - 1)
		p.op(opLocalTee, 2)
	case 7:
		p.call(depth)
	case 8: // a block with a value, which some branch may leave
		p.op(opBlock, typeI32)
		p.labels = append(p.labels, label{takes: true})
		p.statements(2)
		p.i32(depth - 1)
		p.end()
	case 9:
		p.i32(depth - 1)
		p.op(opIf, typeI32)
		p.labels = append(p.labels, label{takes: true})
		p.statements(1)
		p.i32(depth - 1)
		p.op(opElse)
		p.statements(1)
		p.i32(depth - 1)
		p.end()
	case 10:
		p.i32(depth - 1)
		p.op(opMemoryGrow, 0)
	case 11:
		p.i32(depth - 1)
		p.i32(depth - 1)
		p.i32(depth - 1)
		p.op(opSelect)
	}
}

func (p *program) i64(depth int) {
	p.budget--
	switch {
	case depth <= 0 || p.budget < 0 || p.pick(4) == 0:
		p.op(opLocalGet, []byte{1, 3}[p.pick(2)])
	case p.pick(2) == 0:
		p.i32(depth - 1)
		p.op(0xac) // i64.extend_i32_s
	default:
		p.i64(depth - 1)
		p.i64(depth - 1)
		p.op([]byte{0x7c, 0x7d, 0x7e, 0x85}[p.pick(4)])
	}
}

func (p *program) call(depth int) {
	p.i32(depth - 1)
	p.i64(depth - 1)
	if p.pick(3) == 0 {
		p.i32(depth - 1)
		p.op(opI32Const, 7, 0x71) // one in eight is beyond the table, or another type
		p.op(opCallIndirect, 0, 0)
		return
	}
	p.op(opCall, byte(p.pick(p.funcs)))
}

func (p *program) end() {
	p.op(opEnd)
	p.labels = p.labels[:len(p.labels)-1]
}

// target returns a label that a branch without a value can go to.
func (p *program) target(loops bool) (byte, bool) {
	for range 4 {
		if len(p.labels) == 0 {
			return 0, false
		}
		n := p.pick(len(p.labels))
		if l := p.labels[len(p.labels)-1-n]; !l.takes && (loops || !l.loop) {
			return byte(n), true
		}
	}
	return 0, false
}

func (p *program) statements(n int) {
	for range n {
		p.statement()
	}
}

func (p *program) statement() {
	if p.budget--; p.budget < 0 {
		return
	}
	switch p.pick(17) {
	case 14:
		p.table()
	case 15, 16:
		p.jump()
	case 0, 1:
		p.i32(3)
		p.op(opLocalSet, []byte{0, 2}[p.pick(2)])
	case 2:
		p.i64(3)
		p.op(opLocalSet, []byte{1, 3}[p.pick(2)])
	case 3:
		p.i32(2)
		p.op(opI32Const)
		p.b = appendS(p.b, 0xffff)
		p.op(0x71)
		p.i32(2)
		p.op(0x36, 2, 0) // i32.store
	case 4, 5: // a loop that ends, most of the time
		p.op(opLoop, 0x40)
		p.labels = append(p.labels, label{loop: true})
		p.statements(1 + p.pick(4))
		p.op(opLocalGet, 0, opI32Const, 1, 0x6b, opLocalTee, 0, opI32Const, 0, 0x4a, opBrIf, 0) // i32.gt_s
		p.end()
	case 6:
		p.op(opBlock, 0x40)
		p.labels = append(p.labels, label{})
		p.statements(1 + p.pick(4))
		p.end()
	case 7:
		p.i32(2)
		p.op(opIf, 0x40)
		p.labels = append(p.labels, label{})
		p.statements(1 + p.pick(3))
		if p.pick(2) == 0 {
			p.op(opElse)
			p.statements(1 + p.pick(3))
		}
		p.end()
	case 8:
		if l, ok := p.target(true); ok {
			p.i32(2)
			p.op(opBrIf, l)
		}
	case 9:
		if l, ok := p.target(p.pick(3) == 0); ok {
			p.op(opBr, l)
		}
	case 10:
		a, ok1 := p.target(p.pick(2) == 0)
		b, ok2 := p.target(p.pick(2) == 0)
		if ok1 && ok2 {
			p.i32(2)
			p.op(opBrTable, 2, a, b, a)
		}
	case 11:
		if p.pick(3) == 0 {
			p.i32(2)
			p.op(opReturn)
		}
	case 12:
		p.call(2)
		p.op(opDrop)
	case 13:
		p.i32(1)
		p.i32(1)
		p.i32(1)
		p.op(opI32Const)
		p.b = appendS(p.b, 1023)
		p.op(0x71, opMisc, []byte{10, 11}[p.pick(2)], 0)
		if p.b[len(p.b)-2] == 10 {
			p.op(0)
		}
	}
}

// table writes a loop as Go's compiler writes functions: it begins with a table, by which jumps go to the ends of blocks.
func (p *program) table() {
	cases := 1 + p.pick(4)
	p.op(opLoop, 0x40)
	p.labels = append(p.labels, label{loop: true, cases: cases})
	for range cases {
		p.op(opBlock, 0x40)
		p.labels = append(p.labels, label{})
	}
	p.op(opLocalGet, 2, opBrTable, byte(cases))
	for range cases {
		p.op(byte(p.pick(cases)))
	}
	p.op(byte(p.pick(cases + p.pick(2)))) // the loop itself, rarely
	for range cases {
		p.end()
		p.statements(p.pick(3))
		p.jump()
	}
	p.end()
}

// jump writes a branch to a loop that begins with a table, as a rule with the variable set to a constant, and only as long as another
// variable, which it counts down, is not 0.
func (p *program) jump() {
	for depth := range p.labels {
		l := p.labels[len(p.labels)-1-depth]
		if l.cases == 0 || p.pick(4) == 0 {
			continue
		}
		p.op(opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opI32Const, 0, 0x4a, opIf, 0x40) // i32.gt_s
		p.b = appendS(append(p.b, opI32Const), int64(p.pick(l.cases+3)-1))
		p.op(opLocalSet, []byte{2, 2, 2, 2, 0}[p.pick(5)])
		if p.pick(6) == 0 {
			p.op(opNop)
		}
		p.op(opBr, byte(depth+1), opEnd)
		return
	}
}

func randomModule(rnd *rand.Rand) []byte {
	p := &program{rnd: rnd, funcs: 1 + rnd.IntN(6)}
	var funcs, bodies, elements []item
	for range p.funcs {
		p.b, p.labels, p.budget = nil, nil, 10+rnd.IntN(120)
		p.labels = append(p.labels, label{takes: true}) // the function's own
		p.statements(2 + rnd.IntN(10))
		p.budget = 10
		p.i32(2)
		funcs = append(funcs, item{0})
		bodies = append(bodies, codeOf(item{2, 1, typeI32, 1, typeI64}, p.b))
		elements = append(elements, item{byte(rnd.IntN(p.funcs))})
	}
	return built(nil, map[byte]item{
		secType: list(item{0x60, 2, typeI32, typeI64, 1, typeI32}), secFunction: list(funcs...), secMemory: list(item{1, 1, 3}),
		secExport:  list(slices.Concat(text("f"), item{0, 0}), slices.Concat(text("memory"), item{2, 0})),
		secElement: list(slices.Concat(item{0, opI32Const, 1, opEnd}, list(elements...))), secCode: list(bodies...),
	})
}

// TestRandomProgramsDoTheSame runs random programs. Those that end, metered, within some fuel must do the same as they are; the others
// must be stopped for want of fuel or stack, and in time.
func TestRandomProgramsDoTheSame(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	ended, stopped := 0, 0
	for round := range testenv.Count(400, 10_000) {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		module := randomModule(rnd)
		rewritten, _, err := Rewrite(module)
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		rc := wazero.NewRuntimeConfigInterpreter()
		if round%2 == 0 {
			rc = wazero.NewRuntimeConfigCompiler()
		}
		if runBoth(t, rc, seed, round, module, rewritten, uint64(rnd.IntN(20))) {
			ended++
		} else {
			stopped++
		}
	}
	t.Logf("seed %d: %d ended, %d were stopped", seed, ended, stopped)
	if ended < stopped/2 || stopped == 0 {
		t.Errorf("the programs are of little use: %d ended, %d were stopped", ended, stopped)
	}
}

func runBoth(t *testing.T, rc wazero.RuntimeConfig, seed uint64, round int, module, rewritten []byte, arg uint64) (ended bool) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, rc)
	defer r.Close(ctx)
	compile := func(wasm []byte) wazero.CompiledModule {
		c, err := r.CompileModule(ctx, wasm)
		if err != nil {
			t.Fatalf("seed %d, round %d: %v: %x", seed, round, err, wasm)
		}
		return c
	}
	run := func(c wazero.CompiledModule) *guest {
		mod, err := r.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		return &guest{mod, t}
	}
	compiled := compile(rewritten)
	metered := run(compiled)
	metered.fuel(100_000)
	start := time.Now()
	_, err := metered.ExportedFunction("f").Call(ctx, arg, 5)
	if took := time.Since(start); took > tooLong {
		t.Fatalf("seed %d, round %d: it ran for %s", seed, round, took)
	}
	switch cause := metered.global(ExportCause).Get(); {
	case cause == CauseFuel || cause == CauseDepth:
		if err == nil || !strings.Contains(err.Error(), "unreachable") {
			t.Fatalf("seed %d, round %d: cause %d, %v", seed, round, cause, err)
		}
		return false
	case cause != CauseNone && cause != CauseRoom:
		t.Fatalf("seed %d, round %d: cause %d", seed, round, cause)
	}
	again, plain := run(compiled), run(compile(module))
	want, got := plain.outcome("f", arg, 5), again.outcome("f", arg, 5)
	if strings.Contains(want, "stack overflow") && strings.Contains(got, "stack overflow") {
		return true // at a depth of the interpreter's own, where the helpers of metering count too
	}
	if want != got || !bytes.Equal(plain.memory(), again.memory()) {
		t.Fatalf("seed %d, round %d: got %s, want %s, or their memories differ: %x", seed, round, got, want, module)
	}
	return true
}
