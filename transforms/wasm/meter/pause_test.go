package meter

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// maxPause is how long a garbage collection may wait for a guest. The process stands still meanwhile.
const maxPause = 5 * time.Millisecond

// TestGarbageCollectionNeverWaitsLongForAGuest measures how long it takes to stop the world while guests work without end. Without
// safepoints it takes as long as the guest runs.
func TestGarbageCollectionNeverWaitsLongForAGuest(t *testing.T) {
	rewritten, _, err := Rewrite(readFile(t, "testdata/wat/pause.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range instantiate(t, nil, rewritten).ExportedFunctionDefinitions() {
		g := instantiate(t, nil, rewritten)
		g.fuel(MaxFuel)
		done := make(chan error)
		started := make(chan struct{})
		go func() {
			close(started)
			_, err := g.ExportedFunction(name).Call(context.Background())
			done <- err
		}()
		<-started
		time.Sleep(20 * time.Millisecond)
		var pauses []time.Duration
		var stats runtime.MemStats
		for range testenv.Count(60, 1000) {
			start := time.Now()
			runtime.ReadMemStats(&stats) // stops the world, as the beginning and the end of a garbage collection do
			pauses = append(pauses, time.Since(start))
			time.Sleep(time.Millisecond)
		}
		g.global(ExportStop).Set(1)
		if err := <-done; err == nil || g.global(ExportCause).Get() != CauseStopped {
			t.Errorf("%s: %v", name, err)
		}
		slices.Sort(pauses)
		// A machine with other work takes the processor away for some milliseconds now and then, from the guest too. A piece of work
		// that is too long shows in most of the pauses.
		median, p90 := pauses[len(pauses)/2], pauses[len(pauses)*9/10]
		t.Logf("%-8s median %s, p90 %s, longest %s", name, median, p90, pauses[len(pauses)-1])
		if median > maxPause {
			t.Errorf("%s: the world takes %s to stop", name, median)
		}
	}
}
