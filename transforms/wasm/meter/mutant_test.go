package meter

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
)

// TestSeededBugsAreCaught builds the rewriter with a mistake and sees that the named tests fail.
func TestSeededBugsAreCaught(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		testenv.Missing(t, "no go command to build mutants with")
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
	mutants = mutants[:min(len(mutants), testenv.Count(1, len(mutants)))]
	var all []string
	for _, m := range mutants {
		all = append(all, m.tests)
	}
	if out, err := verdict(goTool, strings.Join(all, "|")); err != nil { // else every mutant would seem to be caught
		t.Fatalf("without a mistake: %v\n%s", err, out)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(src), m.old) != 1 {
				t.Fatalf("%q is there %d times", m.old, strings.Count(string(src), m.old))
			}
			dir := t.TempDir()
			changed := filepath.Join(dir, m.file)
			if err := os.WriteFile(changed, []byte(strings.Replace(string(src), m.old, m.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			here, err := filepath.Abs(m.file)
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: changed}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := verdict(goTool, m.tests, "-overlay="+filepath.Join(dir, "overlay.json"))
			switch {
			case err == nil:
				t.Errorf("nobody notices:\n%s", out)
			case strings.Contains(string(out), "[build failed]"):
				t.Errorf("it does not build:\n%s", out)
			}
		})
	}
}

// verdict runs tests of this package with their quick counts, so that what ends them is a guest that hangs and not their number.
func verdict(goTool, tests string, flags ...string) ([]byte, error) {
	args := append([]string{"test", "-count=1", "-vet=off", "-timeout=60s", "-run=" + tests}, flags...)
	cmd := exec.Command(goTool, append(args, ".")...)
	cmd.Env = append(os.Environ(), "LEAT_TEST_FULL=")
	return cmd.CombinedOutput()
}
