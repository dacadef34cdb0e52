package meter

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// TestSeededBugsAreCaught builds the rewriter with a mistake and sees that the named tests fail, or that they do not end: a mutant
// gets a few times the processor time that this build of the package takes for the same tests.
func TestSeededBugsAreCaught(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		testenv.Missing(t, "no go command to build mutants with")
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		testenv.Missing(t, "no shell to limit the processor time of mutants with")
	}
	faultless, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mutants := []struct{ name, file, old, new, tests string }{
		{"globals of the rewriter can be named", "instr.go", "d.m.index(&d.reader, \"global\", int(d.m.globals))", "d.m.index(&d.reader, \"global\", int(d.m.globals)+2)", "Hostile"},
		{"branches back to a loop pay nothing", "inject.go", "\tj.payBut(l.enter)\n\tj.solvent()\n", "\tj.solvent()\n", "TestWhateverSpins"},
		{"indices of globals are one too low", "rewrite.go", "int(w.m.globals)+g)", "int(w.m.globals)+g-1)", "Shapes|Spins|Fuel|Stack"},
		{"a function does not leave the stack", "inject.go", "settle -= j.plan.weight << fuelBits", "settle -= 0", "Random|Shapes|RealCompilers"},
		{"functions do not settle", "inject.go", "\tif pl.wrapped() {\n\t\tj.leave()\n", "\tif pl.wrapped() {\n", "Fuel|Random|Spins"},
		{"a return leaves without settling", "inject.go", "*in = instr{op: opBr, a: uint64(len(j.labels) - 1)}", "*in = instr{op: opReturn}", "Random|Shapes|Return"},
		{"br_table back to a loop is not checked", "inject.go", "\tif repeats {\n\t\tj.checkLocal()\n\t}\n", "", "TestWhateverSpins"},
		{"a loop that takes values is not checked", "inject.go", "\t\tj.payBut(l.enter)\n\t\tj.checkLocal()\n\t\treturn false\n", "\t\tj.payBut(l.enter)\n\t\treturn false\n", "TestWhateverSpins"},
		{"straight functions are free", "inject.go", "j.charge(-j.plan.cost)", "j.charge(0)", "TestWhateverSpins|Fuel"},
		{"recursion is not counted", "plan.go", "result[w] = result[w] || !alone", "result[w] = result[w] && alone", "Recursion|Spins"},
		{"bulk instructions cost the same whatever their length", "pieces.go", "s.charge(func() { s.i64(pieceBytes / bytesPerUnit) })", "", "Safepoint|Pieces|Garbage|Length"},
		{"a copy onto itself goes forward only", "pieces.go", "s.get(n)\n\t\ts.op(opI32LtU)", "s.i32(0)\n\t\ts.op(opI32LtU)", "Bulk|Pieces"},
		{"what lies outside is found too late", "pieces.go", "s.op(opMemorySize, 0, opExtendU)", "s.op(opMemorySize, 0, opExtendU)\n\t\ts.i64(1)\n\t\ts.op(opI64Add)", "Bulk|Pieces"},
		{"no safepoint", "helper.go", "s.op(opMemoryGrow, 0, opDrop)", "s.op(opDrop)", "Garbage"},
		{"the stop is ignored", "helper.go", "s.trap(CauseStopped)", "", "Safepoint"},
		{"a jump back is taken for one that goes forwards", "thread.go", " || t.open[to].id != t.open[loop].id+to-loop", "", "Shapes|Spins|Random"},
		{"a jump is threaded whatever variable is set", "thread.go", " || t.open[loop].table.local != t.local", "", "Shapes|Spins|Random"},
		{"a jump is threaded though the variable was set before", "thread.go", "\tt.at = nothing\n", "", "Shapes|Spins|Random"},
		{"a jump beyond the table is threaded to its first block", "thread.go", "min(uint64(t.constant), uint64(len(table.targets)-1))", "uint64(t.constant)%uint64(len(table.targets))", "Shapes|Spins|Random"},
		{"what a forward jump has not paid is forgotten", "inject.go", "\t\tj.pay()\n\t}\n\tl.most = max(l.most, j.pending)\n", "\t\tj.pay()\n\t}\n", "NeverLess"},
		{"what is paid before a loop is left unpaid in it", "inject.go", "\t\t\tl.enter = 0\n", "", "NeverLess|Spins"},
		{"what threading skips is free", "thread.go", "const tableCost = 2", "const tableCost = 0", "NeverLess"},
		{"labels of the rewriter can be named", "instr.go", "in.a = uint64(d.m.index(&d.reader, \"label\", d.depth+1))", "in.a = uint64(d.m.index(&d.reader, \"label\", d.depth+2))", "Hostile"},
	}
	for _, m := range mutants[:testenv.Count(1, len(mutants))] {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(src), m.old) != 1 {
				t.Fatalf("%q is there %d times", m.old, strings.Count(string(src), m.old))
			}
			here, err := filepath.Abs(m.file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			changed, overlay, mutant := filepath.Join(dir, m.file), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant.test")
			replace, err := json.Marshal(map[string]any{"Replace": map[string]string{here: changed}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.WriteFile(changed, []byte(strings.Replace(string(src), m.old, m.new, 1)), 0o600),
				os.WriteFile(overlay, replace, 0o600)); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(goTool, "test", "-c", "-vet=off", "-overlay="+overlay, "-o="+mutant, ".").CombinedOutput(); err != nil {
				t.Fatalf("it does not build: %v\n%s", err, out)
			}
			tests := func(binary string, most int) (out []byte, seconds int, err error) {
				// With quick counts, so that what takes long is a guest that hangs and not their number.
				cmd := exec.Command(shell, "-c", "ulimit -t $0 && exec \"$@\"", strconv.Itoa(most), binary, "-test.failfast", "-test.timeout=10m", "-test.run="+m.tests)
				cmd.Env = append(os.Environ(), "LEAT_TEST_FULL=")
				out, err = cmd.CombinedOutput()
				used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				return out, int(used / time.Second), err
			}
			out, seconds, err := tests(faultless, 600)
			if err != nil { // else every mutant would seem to be caught
				t.Fatalf("without the mistake: %v\n%s", err, out)
			}
			if out, took, err := tests(mutant, 2*seconds+3); err == nil {
				t.Errorf("nobody notices:\n%s", out)
			} else {
				first, _, _ := strings.Cut(string(out), "\n")
				t.Logf("%v after %d s: %s", err, took, first)
			}
		})
	}
}
