// Package crashtest kills a real process that works on streams, again and again, and checks what it left on the disk.
//
// The test binary runs itself as the child: producers, readers, reshards, and streams that come and go. The child reports
// each acked put over a pipe before it goes on. The parent kills it with SIGKILL at a random moment, opens the same
// directory, and reads everything back.
package crashtest

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/killtest"
	"github.com/leatstream/leat/internal/testenv"
)

const (
	producers = 4
	perCall   = 5 // entries of one put, each with a key of its own
	keys      = 3 // keys of a producer; more entries than keys, so that an order within a call can break too

	// maxOpen is how long a stream may take to be ready again: two seconds, and what a busy machine adds.
	maxOpen = 10 * time.Second
)

func TestMain(m *testing.M) {
	killtest.Main(work)
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
		life := killtest.Life{Child: killtest.Child{Dir: dir, Round: round}, For: time.Duration(rng.Int64N(int64(600 * time.Millisecond)))}
		if round == 0 {
			life.For += time.Second // at least one round gets to work
		}
		killtest.Run(t, life, func(report string, _ time.Duration) { acked.add(t, report) })
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
	if len(acked.puts) == 0 || acked.reshards == 0 {
		t.Fatalf("%d producers and %d splits and merges were acked in all rounds: not a mixed load", len(acked.puts), acked.reshards)
	}
	t.Logf("%d acked records in %d shards", len(acked.at), acked.shards)
}
