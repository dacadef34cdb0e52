package meter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/leatstream/leat/internal/testenv"
)

const exportCount = "executed"

// counted returns a module that does the same and counts in a global, one by one, the instructions that it executes: those that do
// something, which are all but nop and what only begins and ends blocks.
func counted(t testing.TB, module []byte) []byte {
	m, err := parse(module)
	if err != nil {
		t.Fatal(err)
	}
	var bodies []item
	for i := range m.bodies {
		b := &m.bodies[i]
		code := append(appendU(nil, b.groups), b.locals...)
		d := m.decoder(b)
		var in instr
		for d.next(&in) {
			switch in.op {
			case opBlock, opLoop, opElse, opEnd, opNop, opUnreachable:
			default:
				code = appendU(append(code, opGlobalGet), m.globals)
				code = append(code, opI64Const, 1, opI64Add)
				code = appendU(append(code, opGlobalSet), m.globals)
			}
			code = in.append(code)
			d.threader = threader{} // it knows no loop now, and threads nothing
		}
		if d.err != nil {
			t.Fatal(d.err)
		}
		bodies = append(bodies, sized(code))
	}
	sections := m.sections
	if !slices.ContainsFunc(sections, func(s section) bool { return s.id == secGlobal }) {
		at := slices.IndexFunc(sections, func(s section) bool { return s.id == secExport })
		sections = slices.Insert(slices.Clone(sections), at, section{secGlobal, []byte{0}})
	}
	out := item(header)
	for _, s := range sections {
		switch body := s.body; s.id {
		case secGlobal:
			out = append(out, sectionOf(s.id, extend(body, 1, func(b []byte) []byte { return append(b, typeI64, 1, opI64Const, 0, opEnd) }))...)
		case secExport:
			out = append(out, sectionOf(s.id, extend(body, 1, func(b []byte) []byte {
				return appendU(append(append(b, text(exportCount)...), 3), m.globals)
			}))...)
		case secCode:
			out = append(out, sectionOf(s.id, list(bodies...))...)
		default:
			out = append(out, sectionOf(s.id, body)...)
		}
	}
	return out
}

// executed calls an export of a module that counts.
func (g *guest) executed(name string, args ...uint64) (results []uint64, n uint64, err error) {
	before := g.global(exportCount).Get()
	results, err = g.ExportedFunction(name).Call(context.Background(), args...)
	return results, g.global(exportCount).Get() - before, err
}

// TestFuelIsNeverLessThanTheInstructionsExecuted compares fuel with a count, on shapes made by hand and on random programs. What traps
// by itself is left out: it does not settle.
func TestFuelIsNeverLessThanTheInstructionsExecuted(t *testing.T) {
	var fuel, instructions uint64
	compare := func(what string, metered, counted *guest, name string, args ...uint64) (ended bool) {
		t.Helper()
		metered.fuel(1_000_000)
		before := metered.left()
		if _, err := metered.ExportedFunction(name).Call(context.Background(), args...); err != nil {
			return false
		}
		spent := before - metered.left()
		_, n, err := counted.executed(name, args...)
		if err != nil || spent < n && n > maxFree { // the host does not pay for what is free to callers
			t.Fatalf("%s: %s(%d) spent %d units on %d instructions, %v", what, name, args, spent, n, err)
		}
		fuel, instructions = fuel+spent, instructions+n
		return true
	}
	shapes := readFile(t, "testdata/wat/shapes.wasm")
	m, c := metered(t, shapes), instantiate(t, nil, counted(t, shapes))
	for name := range m.ExportedFunctionDefinitions() {
		for arg := range uint64(130) {
			if name != ExportStart {
				compare("shapes", m, c, name, arg)
			}
		}
	}
	if t.Logf("shapes: %d units for %d instructions", fuel, instructions); fuel > 2*instructions {
		t.Errorf("shapes spent %d units on %d instructions", fuel, instructions)
	}
	seed := uint64(time.Now().UnixNano())
	fuel, instructions = 0, 0
	for round := range testenv.Count(300, 3000) {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		module := randomModule(rnd)
		m, c := metered(t, module), instantiate(t, nil, counted(t, module))
		for range 3 {
			if !compare(fmt.Sprintf("seed %d, round %d", seed, round), m, c, "f", uint64(rnd.IntN(20)), 5) {
				break // what it did to its memory, the other has not
			}
		}
	}
	t.Logf("seed %d: %d units for %d instructions", seed, fuel, instructions)
	if instructions == 0 { // how many units each depends on what is drawn: most programs are short, and pay for ways that they do not go
		t.Errorf("seed %d: no program ran", seed)
	}
}

// goModule builds testdata/go.
func goModule(t testing.TB) []byte {
	goTool, err := exec.LookPath("go")
	if err != nil {
		testenv.Missing(t, "no go command to build a module with")
	}
	out := filepath.Join(t.TempDir(), "work.wasm")
	cmd := exec.Command(goTool, "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./testdata/go")
	cmd.Env = append(cmd.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	return readFile(t, out)
}

// goCalls are the exports of testdata/go, with arguments.
var goCalls = []struct {
	name string
	args []uint64
}{{"upper", []uint64{0, 1, 300}}, {"parse", []uint64{0, 1, 30}}, {"words", []uint64{0, 3, 40}}, {"tree", []uint64{3, 19}}, {"panics", []uint64{2, 49}}, {"next", []uint64{0, 9, 5000}}}

func TestModulesOfGoDoTheSameForAboutOneUnitAnInstruction(t *testing.T) {
	module := goModule(t)
	metered, counted := metered(t, module), instantiate(t, nil, counted(t, module))
	for _, c := range goCalls {
		for _, arg := range c.args {
			got, spent, err := metered.call(c.name, arg)
			if err != nil {
				t.Fatal(err)
			}
			want, n, err := counted.executed(c.name, arg)
			if err != nil {
				t.Fatal(err)
			}
			if api.DecodeI32(got[0]) != api.DecodeI32(want[0]) {
				t.Errorf("%s(%d) is %d, want %d", c.name, arg, got[0], want[0])
			}
			t.Logf("%s(%d): %d instructions, %.2f units each", c.name, arg, n, float64(spent)/float64(n))
			if arg > 100 && (spent < n || spent > 2*n) {
				t.Errorf("%s(%d) spent %d units on %d instructions", c.name, arg, spent, n)
			}
		}
	}
}

// Only jumps that go forwards are threaded: those of the shapes, counted by hand, and nearly all of Go's.
func TestJumpsThatGoForwardsAreThreaded(t *testing.T) {
	for name, want := range map[string]int{"shapes": 6, "spin": 6, "bulk": 0} {
		if got := threaded(t, readFile(t, "testdata/wat/"+name+".wasm")); got != want {
			t.Errorf("%s: %d jumps are threaded, want %d", name, got, want)
		}
	}
	if got := threaded(t, goModule(t)); got < 10_000 {
		t.Errorf("of a module of Go %d jumps are threaded", got)
	}
}

func threaded(t *testing.T, module []byte) (n int) {
	m, err := parse(module)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.bodies {
		d := m.decoder(&m.bodies[i])
		for in := (instr{}); d.next(&in); {
			if in.op == opBr && in.b > 0 {
				n++
			}
		}
		if d.err != nil {
			t.Fatal(d.err)
		}
	}
	return n
}
