//go:build unix

package meter

import (
	"context"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// maxPause is how long a garbage collection may wait for a guest. The process stands still meanwhile.
const maxPause = 5 * time.Millisecond

// processorTime is what this process has used. While the world stops it is the guest's, however busy the machine is with other things.
func processorTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestGarbageCollectionNeverWaitsLongForAGuest measures how much a guest that works without end still does when the world is to stop, as
// at the beginning and the end of a garbage collection. Without safepoints it would never stop.
func TestGarbageCollectionNeverWaitsLongForAGuest(t *testing.T) {
	rewritten, _, err := Rewrite(readFile(t, "testdata/wat/pause.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range instantiate(t, nil, rewritten).ExportedFunctionDefinitions() {
		g := instantiate(t, nil, rewritten)
		g.fuel(MaxFuel)
		done := make(chan error)
		go func() {
			_, err := g.ExportedFunction(name).Call(context.Background())
			done <- err
		}()
		var pauses []time.Duration
		var stats runtime.MemStats
		for range testenv.Count(50, 300) {
			time.Sleep(time.Millisecond)
			before := processorTime(t)
			runtime.ReadMemStats(&stats)
			pauses = append(pauses, processorTime(t)-before)
		}
		g.global(ExportStop).Set(1)
		if err := <-done; err == nil || g.global(ExportCause).Get() != CauseStopped {
			t.Errorf("%s: %v", name, err)
		}
		slices.Sort(pauses)
		median := pauses[len(pauses)/2]
		t.Logf("%-8s median %s, p90 %s, longest %s", name, median, pauses[len(pauses)*9/10], pauses[len(pauses)-1])
		if median > maxPause {
			t.Errorf("%s: the world takes %s to stop", name, median)
		}
	}
}
