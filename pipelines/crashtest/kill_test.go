// Package crashtest kills leat as users run it, a whole pipeline in a process of its own, and proves from the files that
// it delivered that nothing was lost or doubled.
//
// The test binary runs itself as the child: producers put records and report each acked call over a pipe, a feeder reads
// files that the parent appends to and rotates, shards split and merge, and two sinks deliver into folders. The parent
// kills it with SIGKILL at random moments. In the end it lets a pipeline run dry, and reads the objects and the dead
// letters by means of the standard library alone.
package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/audit"
)

const (
	// childEnv makes the test binary a child that works in the world at the path it names. roundEnv tells it the round,
	// bugEnv a defect that it shall have.
	childEnv = "LEAT_CRASHTEST_DIR"
	roundEnv = "LEAT_CRASHTEST_ROUND"
	bugEnv   = "LEAT_CRASHTEST_BUG"

	// maxReady is how long a process may take from its start until it takes records and delivers them.
	maxReady = 2 * time.Second
)

// jobs are what the test binary does in a process of its own, by the variable that asks for it.
var jobs = map[string]func(dir string) error{childEnv: work}

func TestMain(m *testing.M) {
	for env, job := range jobs {
		if dir := os.Getenv(env); dir != "" {
			if err := job(dir); err != nil {
				fmt.Fprintln(os.Stderr, "child:", err)
				os.Exit(1)
			}
			return
		}
	}
	goleak.VerifyTestMain(m)
}

// failer is the part of testing.T that the checks use.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// TestEachRecordIsDeliveredOnceThroughKill9 runs rounds of work and sudden death on one data directory.
func TestEachRecordIsDeliveredOnceThroughKill9(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	stop := w.writeFiles(t, rand.New(rand.NewPCG(seed, 1)))
	defer stop()
	rounds := testenv.Count(3, 50)
	for round := range rounds {
		p := plan{afterReady: true, life: time.Duration(rng.Int64N(int64(1500 * time.Millisecond)))}
		switch {
		case round == 0:
			p.life += 1500 * time.Millisecond // time for objects of every group
		case rng.IntN(4) == 0:
			p.afterReady, p.life = false, p.life/10 // amid its recovery
		}
		w.runAndKill(t, round, p)
		w.auditOffline(t, round)
	}
	stop()
	w.drain(t)
	w.check(t)
	if w.reshards == 0 || len(w.ready) == 0 || len(w.files) < 2 {
		t.Errorf("%d reshards, %d times ready, %d files: not a mixed load", w.reshards, len(w.ready), len(w.files))
	}
	slowest := time.Duration(0)
	for _, took := range w.ready {
		slowest = max(slowest, took)
	}
	t.Logf("%d rounds, %d of them ready, after %v at most; %d records acked, %d lines in %d files, %d splits and merges; %d objects",
		rounds, len(w.ready), slowest.Round(time.Millisecond), w.ackedRecords(), w.fileLines(), len(w.files), w.reshards, w.objects)
}

// plan is when a child dies: life after its start or after it is ready.
type plan struct {
	afterReady bool
	life       time.Duration
	bug        string
}

// runAndKill runs a child until its plan is over and takes down what it reported.
func (w *world) runAndKill(t failer, round int, p plan) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+w.dir, fmt.Sprintf("%s=%d", roundEnv, round), bugEnv+"="+p.bug)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatalf("pipe: %v", err)
	}
	var complaints strings.Builder
	child.Stderr = &complaints
	began := time.Now()
	if err := child.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	var death *time.Timer
	die := func() { death = time.AfterFunc(p.life, func() { _ = child.Process.Kill() }) }
	if !p.afterReady {
		die()
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that is cut off was not reported
		}
		if line != "ready\n" {
			w.add(t, strings.TrimSuffix(line, "\n"))
			continue
		}
		took := time.Since(began)
		w.ready = append(w.ready, took)
		if took > maxReady {
			t.Errorf("round %d: ready after %v, want less than %v", round, took, maxReady)
		}
		if p.afterReady {
			die()
		}
	}
	if death != nil {
		defer death.Stop()
	}
	if err := child.Wait(); err == nil || complaints.Len() > 0 || child.ProcessState.ExitCode() >= 0 {
		t.Fatalf("round %d: the child was not simply killed: %v: %s", round, err, complaints.String())
	}
}

// auditOffline proves the ledger from what a killed process left behind.
func (w *world) auditOffline(t failer, round int) {
	t.Helper()
	reports, err := audit.Run(context.Background(), vfs.OS(), w.data(), pipelineName)
	switch code := fault.CodeOf(err); {
	case err == nil:
	case (code == "audit.no_data" || code == "audit.no_pipeline") && len(w.acked) == 0:
		return // it was killed before it had begun
	default:
		t.Fatalf("round %d: audit after the kill: %v", round, err)
	}
	for _, r := range reports {
		for _, p := range r.Problems {
			t.Errorf("round %d: sink %s: %s", round, r.Sink, p)
		}
	}
}
