// Package crashtest kills leat as users run it, a whole pipeline in a process of its own, and proves from the files that
// it delivered that nothing was lost or doubled.
//
// The test binary runs itself as the child: producers put records and report each acked call over a pipe, a feeder reads
// files that the parent appends to and rotates, shards split and merge, and two sinks deliver into folders. The parent
// kills it with SIGKILL at random moments. In the end it lets a pipeline run dry, and reads the objects and the dead
// letters by means of the standard library alone.
package crashtest

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/killtest"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/audit"
)

// maxReady is how long a process may take from its start until it takes records and delivers them: two seconds, and what a busy
// machine adds.
const maxReady = 10 * time.Second

func TestMain(m *testing.M) {
	killtest.Main(work)
	goleak.VerifyTestMain(m)
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
		life := w.life(round, time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
		switch {
		case round == 0:
			life.For += 1500 * time.Millisecond // time for objects of every group
		case rng.IntN(4) == 0:
			life.After, life.For = "", life.For/10 // amid its recovery
		}
		w.runAndKill(t, life)
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

// life is that of a child which is killed some time after it was ready.
func (w *world) life(round int, d time.Duration) killtest.Life {
	return killtest.Life{Child: killtest.Child{Dir: w.dir, Round: round}, After: "ready", For: d}
}

// runAndKill runs a child for its life and takes down what it reported.
func (w *world) runAndKill(t testenv.TB, l killtest.Life) {
	t.Helper()
	killtest.Run(t, l, func(report string, age time.Duration) {
		if report != "ready" {
			w.add(t, report)
			return
		}
		w.ready = append(w.ready, age)
		if age > maxReady {
			t.Errorf("round %d: ready after %v, want less than %v", l.Round, age, maxReady)
		}
	})
}

// auditOffline proves the ledger from what a killed process left behind.
func (w *world) auditOffline(t testenv.TB, round int) {
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
