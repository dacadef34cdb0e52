package state

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// crashWorld is a store that several writers use while the power fails, again and again. Each transaction counts the key n
// up, so that n names the transaction that a store has seen last.
type crashWorld struct {
	rng  *rand.Rand
	mem  *vfs.Mem
	opts Options

	frozen atomic.Bool

	mu      sync.Mutex
	history map[int]uint64 // dump after transaction n, as the writer that ran it saw them
	acked   int            // the newest transaction that was acked
}

func (w *crashWorld) random(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

// write runs transactions until one fails for good.
func (w *crashWorld) write(s *Store, writer int) {
	for {
		n := 0
		err := s.Update(context.Background(), func(tx *Tx) error {
			v, _ := tx.Get("n")
			n, _ = strconv.Atoi(string(v))
			n++
			tx.Put("n", strconv.AppendInt(nil, int64(n), 10))
			for range w.random(3) {
				tx.Put(fmt.Sprintf("k/%d", w.random(20)), fmt.Append(nil, n, strings.Repeat("x", w.random(4000))))
			}
			tx.Delete(fmt.Sprintf("k/%d", w.random(20)))
			tx.Put(fmt.Sprintf("w/%d", writer), strconv.AppendInt(nil, int64(n), 10))
			w.mu.Lock()
			defer w.mu.Unlock()
			w.history[n] = dump(tx)
			return nil
		})
		if err != nil && (fault.CodeOf(err) != "state.full" || w.frozen.Load()) {
			return
		}
		if err == nil {
			w.mu.Lock()
			w.acked = max(w.acked, n)
			w.mu.Unlock()
		}
		if w.random(10) == 0 {
			time.Sleep(time.Duration(w.random(300)) * time.Millisecond)
		}
	}
}

var dumpSeed = maphash.MakeSeed()

// dump is a hash of all keys and values.
func dump(tx *Tx) uint64 {
	var h maphash.Hash
	h.SetSeed(dumpSeed)
	tx.Scan("", func(key string, value []byte) bool {
		fmt.Fprintf(&h, "%q %d ", key, len(value))
		h.Write(value)
		return true
	})
	return h.Sum64()
}

// check compares a store that was just opened with the history.
func (w *crashWorld) check(s *Store) error {
	var got uint64
	n := 0
	s.View(func(tx *Tx) {
		got = dump(tx)
		v, _ := tx.Get("n")
		n, _ = strconv.Atoi(string(v))
	})
	if n < w.acked {
		return fmt.Errorf("transaction %d was acked, and the store has %d", w.acked, n)
	}
	if want := w.history[n]; got != want {
		return fmt.Errorf("contents after transaction %d differ from what its writer saw", n)
	}
	w.acked = n // it is durable now, acked or not
	return nil
}

// slowSnapshots takes its time with snapshots, so that the journal goes on meanwhile.
type slowSnapshots struct {
	vfs.FS
	world *crashWorld
}

func (f slowSnapshots) Create(name string) (vfs.File, error) {
	if strings.HasSuffix(name, snapshotTemp) {
		time.Sleep(time.Duration(f.world.random(400)) * time.Millisecond)
	}
	return f.FS.Create(name)
}

// life opens the store, lets writers work, and stops the world at some operation on the file system.
func (w *crashWorld) life() error {
	stop := 1 + w.rng.IntN(400)
	if w.rng.IntN(3) == 0 {
		stop = 1 + w.rng.IntN(40) // while it opens
	}
	w.frozen.Store(false)
	fsys := vfs.NewErrors(w.mem, func(op vfs.Op, _ string, n int) vfs.Fault {
		if n == stop {
			w.frozen.Store(true)
			w.mem.Freeze()
		}
		return vfs.Fault{}
	})
	s, err := Open(slowSnapshots{fsys, w}, dir, w.opts)
	if err != nil {
		if errors.Is(err, vfs.ErrFrozen) {
			return nil
		}
		return fmt.Errorf("open (frozen: %t): %w", w.frozen.Load(), err)
	}
	defer s.Close()
	if err := w.check(s); err != nil {
		return err
	}
	var writers sync.WaitGroup
	for i := range 1 + w.rng.IntN(4) {
		writers.Go(func() { w.write(s, i) })
	}
	writers.Wait()
	return nil
}

// crashRun lives several lives with a power failure, or a kill, behind each.
func crashRun(t *testing.T, seed uint64, seams seams) (err error) {
	synctest.Test(t, func(t *testing.T) {
		w := &crashWorld{
			rng: rand.New(rand.NewPCG(seed, 1)), mem: vfs.NewMem(), history: map[int]uint64{0: dump(&Tx{version: version{keys: new(keys)}})},
			opts: Options{snapshotBytes: 16 << 10, segmentSize: 64 << 10, journalSlack: 64 << 10, seams: seams},
		}
		for range 4 {
			if err = w.life(); err != nil {
				return
			}
			if w.rng.IntN(4) == 0 {
				w.mem = w.mem.Kill()
			} else {
				w.mem = w.mem.Crash(w.rng, []int{0, 20, 50, 80, 100}[w.rng.IntN(5)])
			}
		}
		s, openErr := Open(w.mem, dir, w.opts)
		if openErr != nil {
			err = fmt.Errorf("last open: %w", openErr)
			return
		}
		err = w.check(s)
		s.Close()
	})
	return err
}

// TestPowerFailures is the promise of this package: what was acked is there, in order, and every transaction is whole.
func TestPowerFailures(t *testing.T) {
	for seed := range uint64(testenv.Count(100, 5000)) {
		if err := crashRun(t, seed, seams{}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestPowerFailuresCatchMutants shows that the test above finds what it is meant to find.
func TestPowerFailuresCatchMutants(t *testing.T) {
	for name, mutant := range map[string]seams{
		"snapshot not synced":                 {noSnapshotSync: true},
		"snapshot's name not synced":          {noDirSync: true},
		"journal trimmed before the snapshot": {trimEarly: true},
		"acked before the journal has it":     {ackEarly: true},
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 2000
			for seed := range uint64(runs) {
				if err := crashRun(t, seed, mutant); err != nil {
					t.Logf("caught in run %d: %.200s", seed+1, err)
					return
				}
			}
			t.Errorf("not caught in %d runs", runs)
		})
	}
}
