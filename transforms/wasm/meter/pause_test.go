package meter

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// maxPause is how long a garbage collection may wait for a guest. The process stands still meanwhile.
const maxPause = 5 * time.Millisecond

// stops measures how long it takes to stop the world, as the beginning and the end of a garbage collection do, while work runs. It
// returns the times in order. end ends the work.
func stops(n int, work func(), end func()) []time.Duration {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	time.Sleep(10 * time.Millisecond)
	var pauses []time.Duration
	var stats runtime.MemStats
	for range n {
		start := time.Now()
		runtime.ReadMemStats(&stats)
		pauses = append(pauses, time.Since(start))
		time.Sleep(time.Millisecond)
	}
	end()
	<-done
	slices.Sort(pauses)
	return pauses
}

// TestGarbageCollectionNeverWaitsLongForAGuest compares guests that work without end with a goroutine that does. Without safepoints
// it takes as long to stop the world as the guest runs.
func TestGarbageCollectionNeverWaitsLongForAGuest(t *testing.T) {
	rewritten, _, err := Rewrite(readFile(t, "testdata/wat/pause.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range instantiate(t, nil, rewritten).ExportedFunctionDefinitions() {
		var over atomic.Bool
		// What a machine that is busy with other things adds is not the guest's.
		usual := stops(20, func() {
			for n := 0; !over.Load(); n++ {
			}
		}, func() { over.Store(true) })
		g := instantiate(t, nil, rewritten)
		g.fuel(MaxFuel)
		pauses := stops(testenv.Count(50, 1000), func() {
			if _, err := g.ExportedFunction(name).Call(context.Background()); err == nil || g.global(ExportCause).Get() != CauseStopped {
				t.Errorf("%s: %v", name, err)
			}
		}, func() { g.global(ExportStop).Set(1) })
		median := pauses[len(pauses)/2]
		t.Logf("%-8s median %s, p90 %s, longest %s; a goroutine: %s", name, median, pauses[len(pauses)*9/10], pauses[len(pauses)-1], usual[len(usual)/2])
		if median > maxPause+4*usual[len(usual)/2] {
			t.Errorf("%s: the world takes %s to stop; %s for a goroutine", name, median, usual[len(usual)/2])
		}
	}
}
