package benchtransforms

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

// coldModule makes the test program a process that starts cold.
const coldModule = "LEAT_TEST_COLD_MODULE"

func TestMain(m *testing.M) {
	if module, ok := os.LookupEnv(coldModule); ok {
		if err := ColdStart(context.Background(), module); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func cold(ctx context.Context, module string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), coldModule+"="+module)
	return cmd
}

func needGo(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "no go command to build modules with")
	}
}

func TestEveryFigureIsMeasured(t *testing.T) {
	needGo(t)
	rows, err := Run(t.Context(), Options{Time: time.Millisecond, Rounds: 1, Dir: t.TempDir(), Size: 1 << 20, Cold: cold})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, r := range rows {
		seen[r.Figure]++
		if r.Value <= 0 || r.Unit == "" || r.Module == "" || (r.Against != "") != (r.Bare > 0) || (r.Against != "") != (r.Ratio > 0) {
			t.Errorf("%+v", r)
		}
	}
	for _, f := range Figures {
		if seen[f] == 0 {
			t.Errorf("nothing is said about %s", f)
		}
	}
}

func TestAFigureThatIsUnknownIsRefused(t *testing.T) {
	if _, err := Run(t.Context(), Options{Only: []string{"crosing"}}); fault.CodeOf(err) != "bench.options" {
		t.Errorf("got %v", err)
	}
}

func TestATargetThatIsMissedIsAnError(t *testing.T) {
	rows := []Row{{Figure: "a", Target: "1", Met: true}, {Figure: "b"}}
	if err := Missed(rows); err != nil {
		t.Error(err)
	}
	if err := Missed(append(rows, Row{Figure: "c", Target: "2"})); fault.CodeOf(err) != "bench.target_missed" {
		t.Errorf("got %v", err)
	}
}

// The filters are only comparable if they do the same, natively and in each language.
func TestTheFiltersAgree(t *testing.T) {
	needGo(t)
	var m modules
	if err := m.prepare(t.Context(), t.TempDir(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	in := logs(true)
	for _, name := range []string{"filter", "batch", "json", "c"} {
		module, err := m.open(t.Context(), name, wasm.Metered, 1)
		if err != nil {
			t.Fatal(err)
		}
		var f stage.Final
		err = stage.NewChain(stage.Link{Name: "f", Transform: module}).Run(t.Context(), in, &f)
		if err := errors.Join(err, module.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		for i, r := range f.Roots {
			keep := bytes.Contains(in.Records[i].Data, []byte(`"level":"error"`))
			if guilty := i == perCall/2; (r.Fail != nil) != guilty || !guilty && (r.N == 1) != keep {
				t.Fatalf("%s: record %d: %+v", name, i, r)
			}
		}
		f.Release()
	}
}

func TestTheModuleOfCIsWhatItsSourceBuilds(t *testing.T) {
	if _, err := exec.LookPath("clang"); err != nil {
		testenv.Missing(t, "no clang to build the module of C with")
	}
	path, err := build.Build(t.Context(), build.Config{Dir: "guests/c"})
	if fault.CodeOf(err) == build.CodeNoToolchain {
		testenv.Missing(t, "build the module of C: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	built, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(built, cFilter) {
		return
	}
	if os.Getenv("LEAT_TEST_UPDATE") != "" {
		if err := os.WriteFile("c.wasm", built, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Missing(t, "c.wasm is not what guests/c and this clang make; another clang may have made it, and LEAT_TEST_UPDATE=1 replaces it")
}
