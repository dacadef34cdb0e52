// Package crashtest kills a real process that works on streams, again and again, and checks what it left on the disk.
//
// The test binary runs itself as the child: producers, readers, reshards, and streams that come and go. The child reports
// each acked put over a pipe before it goes on. The parent kills it with SIGKILL at a random moment, opens the same
// directory, and reads everything back.
package crashtest

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

const (
	// childEnv makes the test binary a child that works in the directory it names, childRound tells it the round.
	childEnv   = "LEAT_CRASHTEST_DIR"
	childRound = "LEAT_CRASHTEST_ROUND"

	producers = 4
	perCall   = 5 // entries of one put, each with a key of its own
	keys      = 3 // keys of a producer; more entries than keys, so that an order within a call can break too

	// maxOpen is how long a stream may take to be ready again.
	maxOpen = 2 * time.Second
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := work(dir, os.Getenv(childRound)); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// registry is the streams and the state store of a directory.
type registry struct {
	*stream.Streams
	store *state.Store
}

func open(dir string) (*registry, error) {
	store, err := state.Open(vfs.OS(), filepath.Join(dir, "state"), state.Options{})
	if err != nil {
		return nil, err
	}
	s, err := stream.Open(vfs.OS(), filepath.Join(dir, "streams"), store, stream.Options{})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &registry{s, store}, nil
}

func (r *registry) close() error { return errors.Join(r.Streams.Close(), r.store.Close()) }

// TestEveryAckedRecordSurvivesKill9 runs rounds of work and sudden death on one directory.
func TestEveryAckedRecordSurvivesKill9(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acked := newLedger()
	for round := range testenv.Count(3, 50) {
		life := time.Duration(rng.Int64N(int64(600 * time.Millisecond)))
		runAndKill(t, dir, round, life, acked)
		began := time.Now()
		r, err := open(dir)
		if err != nil {
			t.Fatalf("round %d: open after the kill: %v", round, err)
		}
		if took := time.Since(began); took > maxOpen {
			t.Errorf("round %d: ready after %v, want less than %v", round, took, maxOpen)
		}
		acked.check(t, r, round)
		if err := r.close(); err != nil {
			t.Fatalf("round %d: close: %v", round, err)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if len(acked.puts) == 0 {
		t.Fatal("no put was acked in any round")
	}
	t.Logf("%d acked records in %d shards", len(acked.at), acked.shards)
}

// runAndKill runs a child for a while and adds what it reported to acked.
func runAndKill(t *testing.T, dir string, round int, life time.Duration, acked *ledger) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir, fmt.Sprintf("%s=%d", childRound, round))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	child.Stderr = &complaints
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if round == 0 {
		life += time.Second // at least one round gets to work
	}
	timer := time.AfterFunc(life, func() { _ = child.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that is cut off was not reported
		}
		acked.add(t, strings.TrimSuffix(line, "\n"))
	}
	if err := child.Wait(); err == nil || complaints.Len() > 0 || child.ProcessState.ExitCode() >= 0 {
		t.Fatalf("round %d: the child was not killed but ended with %v: %s", round, err, complaints.String())
	}
}
