package crashtest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

const (
	example     = "../examples/birdstrikes"
	exampleRows = 10_000
	brokenRows  = 13
)

// TestTheQuickstartDeliversEachRowOnceThroughKill9 kills the README's first command at random moments, runs it to its end,
// and compares what is there then with what a run has made that nobody disturbed.
func TestTheQuickstartDeliversEachRowOnceThroughKill9(t *testing.T) {
	t.Parallel()
	testenv.Program(t, "go", "it builds leat and the example's transform")
	leat := filepath.Join(t.TempDir(), "leat")
	if out, err := exec.Command("go", "build", "-o", leat, "../../cmd/leat").CombinedOutput(); err != nil {
		t.Fatalf("build leat: %v: %s", err, out)
	}
	run := func(dir string, life time.Duration) (done bool) {
		cmd := exec.Command(leat, "run", "--until-idle", "--data", "leat-data", "pipeline.yaml")
		cmd.Dir = dir
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if life > 0 { // else nobody kills it
			defer time.AfterFunc(life, func() { _ = cmd.Process.Kill() }).Stop()
		}
		if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() >= 0 {
			t.Fatalf("leat run: %v: %s", err, out.String())
		}
		return cmd.ProcessState.Success()
	}

	reference := copyExample(t)
	run(reference, 0) // builds the transform unless the cache has it
	want := rowsOf(t, reference)
	if len(want) < exampleRows/2 || count(want) != exampleRows+brokenRows {
		t.Fatalf("an undisturbed run made %d rows, %d different ones", count(want), len(want))
	}
	timed := copyExample(t)
	began := time.Now()
	run(timed, 0)
	whole := time.Since(began)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d; a whole run takes %v", seed, whole.Round(time.Millisecond))
	rng := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for round := range testenv.Count(2, 10) {
		life := func() time.Duration { return 1 + time.Duration(rng.Int64N(int64(whole))) }
		dir := copyExample(t)
		for first := life(); run(dir, first); first /= 2 { // it was faster than the one that was timed
			dir = copyExample(t)
		}
		kills++
		for range rng.IntN(3) {
			if !run(dir, life()) {
				kills++
			}
		}
		if !run(dir, 0) {
			t.Fatal("a run that nobody killed was not completed")
		}
		got := rowsOf(t, dir)
		for row := range want {
			if got[row] != want[row] {
				t.Errorf("round %d: %d times instead of %d: %s", round, got[row], want[row], row)
			}
		}
		if count(got) != count(want) {
			t.Fatalf("round %d: %d rows, want %d", round, count(got), count(want))
		}
	}
	t.Logf("%d kills", kills)
}

func copyExample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(example, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(example, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (d.Name() == "out" || d.Name() == "out-errors" || d.Name() == "leat-data"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		name := filepath.Join(dir, rel)
		write(t, name, read(t, path))
		// A last line without a newline of a file that is new may still grow, and a run waits for that.
		old := time.Now().Add(-time.Hour)
		return os.Chtimes(name, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// rowsOf counts the rows in objects, by group, and those in the dead letters.
func rowsOf(t *testing.T, dir string) map[string]int {
	t.Helper()
	rows := map[string]int{}
	w := &world{dir: dir}
	w.eachObject(t, "out", func(name string, lines []string) {
		for _, line := range lines {
			rows[filepath.Dir(name)+" "+line]++
		}
	})
	w.eachObject(t, "out-errors", func(name string, lines []string) {
		for _, line := range lines {
			var letter struct{ RawData, ErrorCode string }
			if err := json.Unmarshal([]byte(line), &letter); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			rows[letter.ErrorCode+" "+letter.RawData]++
		}
	})
	return rows
}

func count(rows map[string]int) (n int) {
	for _, times := range rows {
		n += times
	}
	return n
}
