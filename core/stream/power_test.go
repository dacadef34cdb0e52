package stream

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// TestAckedRecordsSurviveAPowerFailureDuringReshards puts from several producers while shards split and merge, lets the
// power fail before a random operation on the file system, and reads back what the disk holds.
func TestAckedRecordsSurviveAPowerFailureDuringReshards(t *testing.T) {
	base := uint64(time.Now().UnixNano())
	for round := range testenv.Count(15, 500) {
		seed := base + uint64(round)
		if powerFails(t, seed, func(fsys vfs.FS) vfs.FS { return fsys }); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

const (
	powerProducers = 3
	powerKeys      = 4 // of a producer, one entry each a call
)

// powerFails is one round. disk is put between the streams and the file system that loses power.
func powerFails(t failer, seed uint64, disk func(vfs.FS) vfs.FS) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	mem, clock := vfs.NewMem(), newClock()
	dieAt := 60 + rng.IntN(600)
	w := mustOpen(t, disk(vfs.NewErrors(mem, func(_ vfs.Op, _ string, n int) vfs.Fault {
		if n == dieAt {
			mem.Freeze()
		}
		return vfs.Fault{}
	})), clock)
	s := w.mustCreate(t, "s", Config{Shards: 2})

	stop := make(chan struct{})
	var resharding, producing sync.WaitGroup
	resharding.Go(func() { reshardAtRandom(&recorder{}, s, rand.New(rand.NewPCG(seed, 1)), stop) })
	var acked [powerProducers]int // calls
	for p := range powerProducers {
		producing.Go(func() {
			for c := 0; ; c++ {
				if putCall(s, p, c, powerKeys, p == 0) != nil {
					return // a part is stored if the power failed between the two appends of a put that met a reshard
				}
				acked[p] = c + 1
			}
		})
	}
	producing.Wait()
	close(stop)
	resharding.Wait()
	_ = w.close()

	w = mustOpen(t, mem.Crash(rng, []int{0, 50, 100}[rng.IntN(3)]), clock)
	defer func() {
		if err := w.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	s, err := w.Get("s")
	if err != nil {
		t.Fatalf("%v", err)
	}
	got := byKey(t, s)
	for p := range powerProducers {
		for k := range powerKeys {
			numbers := got[fmt.Sprintf("p%d-k%d", p, k)]
			for i, n := range numbers {
				if n != fmt.Sprint(i) {
					t.Fatalf("record %d of producer %d, key %d is %s", i, p, k, n)
				}
			}
			// The call that the failure met may be stored, in whole or in part.
			if len(numbers) < acked[p] || len(numbers) > acked[p]+1 {
				t.Fatalf("%d records of producer %d, key %d; %d were acked", len(numbers), p, k, acked[p])
			}
			if m, ok := s.Mark("p0"); p == 0 && string(m.State) != fmt.Sprint(len(numbers)) && (ok || len(numbers) > 0) {
				t.Fatalf("the mark says %q, but there are %d records", m.State, len(numbers))
			}
		}
	}
	put(t, s, "on", "we", "go")
}

// lyingDisk says that it has synced files, and has not.
type lyingDisk struct{ vfs.FS }

type lyingFile struct{ vfs.File }

func (lyingFile) Sync() error { return nil }

func lie(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return lyingFile{f}, nil
}

func (d lyingDisk) Create(name string) (vfs.File, error) { return lie(d.FS.Create(name)) }
func (d lyingDisk) Open(name string) (vfs.File, error)   { return lie(d.FS.Open(name)) }

func TestThePowerFailuresFindADiskThatLies(t *testing.T) {
	found := 0
	for seed := range uint64(10) {
		r := &recorder{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			powerFails(r, seed, func(fsys vfs.FS) vfs.FS { return lyingDisk{fsys} })
		}()
		<-done
		if r.Failed() {
			found++
		}
	}
	if found == 0 {
		t.Fatal("in 10 rounds nothing was missed on a disk that never syncs")
	}
	t.Logf("found in %d of 10 rounds", found)
}
