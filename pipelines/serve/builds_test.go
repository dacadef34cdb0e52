package serve

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
)

func (b *bench) takes(prefix string, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slow[prefix+"/"] = d
}

func (b *bench) wantBuilds(n int) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.builds != n {
		b.t.Errorf("%d builds, want %d", b.builds, n)
	}
}

// Fifty pipelines that build for an hour hold up neither the start of another, nor its edits, nor its end.
func TestSlowBuildsHoldUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := map[string]string{"z.yaml": "one"}
		for i := range 50 {
			files[fmt.Sprintf("a%02d.yaml", i)] = "slow"
		}
		b := start(t, files)
		b.takes("slow", time.Hour)
		b.serve()
		defer b.stop()
		b.wantRunning("z one")
		b.write("z.yaml", "two")
		b.look(2)
		b.wantRunning("z two")
		b.remove("z.yaml")
		b.look(3)
		b.wantRunning()
		b.write("a00.yaml", "three")
		b.wantBuilds(52)
	})
}

// What runs goes on while the next version is made ready, and one that is edited meanwhile is made ready once more, however often
// it was.
func TestAnEditDuringABuildIsBuiltAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.takes("two", time.Minute)
		b.takes("five", time.Minute)
		b.serve()
		defer b.stop()
		b.write("a.yaml", "two")
		b.look(3)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{})
		for _, prefix := range []string{"three", "four", "five"} {
			b.write("a.yaml", prefix)
			b.look(3)
		}
		b.wantRunning("a one")
		b.wantBuilds(2)
		time.Sleep(time.Minute)
		b.wantRunning("a two")
		time.Sleep(time.Minute)
		b.wantRunning("a five")
		b.wantBuilds(3)
		if b.most["a"] != 1 {
			t.Errorf("a ran %d times at once", b.most["a"])
		}
	})
}

// A pipeline that is removed while its next version is made ready stops at once, and comes back as what it is then.
func TestRemovalGivesUpABuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.takes("two", time.Hour)
		b.serve()
		defer b.stop()
		b.write("a.yaml", "two")
		b.look(3)
		b.remove("a.yaml")
		b.look(3)
		b.wantRunning()
		if checks := b.health.Check().Checks; len(checks) != 2 { // pipelines, streams
			t.Errorf("the checks of a pipeline that was removed are left: %+v", checks)
		}
		b.write("a.yaml", "three")
		b.look(2)
		b.wantRunning("a three")
	})
}

// A server that ends does not wait for what is being made ready.
func TestTheEndGivesUpBuilds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one", "b.yaml": "slow"})
		b.takes("slow", time.Hour)
		b.serve()
		b.write("a.yaml", "slow")
		b.look(3)
		began := time.Now()
		b.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		b.wantRunning()
	})
}

// A version that cannot be tied to its stream gives way to the one before, for as long as that is so; and a file that is put back as
// it was is as before.
func TestAVersionThatCannotBeTiedGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.untied["two/"] = fault.New(fault.Permanent, "test.sealed", "sealed objects are left")
		b.serve()
		defer b.stop()
		b.write("a.yaml", "two")
		b.look(10)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{"pipeline/a": "degraded the newest does not: sealed objects are left"})
		starts := b.starts()
		b.write("a.yaml", "one")
		b.look(3)
		b.wantHealth(map[string]string{})
		if b.starts() != starts {
			t.Error("what runs was started anew")
		}
	})
}

// A version whose new destination does not answer takes over once it does.
func TestAVersionWaitsForItsDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.silent["two/"] = fault.New(fault.Unavailable, "test.silent", "nobody answers")
		b.serve()
		defer b.stop()
		b.wantRunning("a one")
		b.write("a.yaml", "two")
		b.look(10)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{"pipeline/a": "degraded the newest does not: nobody answers"})
		if n := b.starts(); n != 1 {
			t.Errorf("%d starts", n)
		}
		b.mu.Lock()
		clear(b.silent)
		b.mu.Unlock()
		time.Sleep(lastPause)
		b.wantRunning("a two")
		b.wantHealth(map[string]string{})
	})
}

// A version that is tried again and again is a line of the log now and then; what comes of a change is told at once.
func TestTriesThatFailAreFewLinesOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.serve()
		defer b.stop()
		for _, version := range []string{"two", "three"} {
			told, began := "nobody answers "+version, time.Now()
			b.mu.Lock()
			b.silent[version+"/"] = fault.New(fault.Unavailable, "test.silent", "%s", told)
			b.mu.Unlock()
			b.write("a.yaml", version)
			b.look(2)
			if n := b.log.Count(told); n != 1 {
				t.Fatalf("%d lines at once", n)
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			most := 1 + int(time.Since(began)/fault.ComplaintInterval)
			if n := b.log.Count(told); n < most/2-1 || n > most {
				t.Errorf("%d lines, want %d at most", n, most)
			}
		}
		if b.log.Count("left_out=") == 0 {
			t.Error("no line says how many were left out")
		}
	})
}

// A pipeline whose destination refuses starts once it does not; but at once if it ran in an earlier process, for its stream keeps
// nothing for one that does not run.
func TestAPipelineWhoseDestinationRefuses(t *testing.T) {
	for _, ran := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, map[string]string{"a.yaml": "one", "b.yaml": "other"})
			b.silent["one/"] = fault.New(fault.Unauthorized, "test.denied", "access denied")
			b.ran = ran
			b.serve()
			defer b.stop()
			b.look(10)
			if ran {
				b.wantRunning("a one", "b other")
				b.wantHealth(map[string]string{})
				return
			}
			b.wantRunning("b other")
			b.wantHealth(map[string]string{"pipeline/a": "failing access denied"})
			b.mu.Lock()
			clear(b.silent)
			b.mu.Unlock()
			time.Sleep(lastPause)
			b.wantRunning("a one", "b other")
			b.wantHealth(map[string]string{})
		})
	}
}

// If neither can be tied, nothing runs, and that is a failure until it passes.
func TestNeitherVersionCanBeTied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.serve()
		defer b.stop()
		b.mu.Lock()
		b.untied["two/"] = fault.New(fault.Retryable, "test.full", "disk full")
		b.untied["one/"] = fault.New(fault.Retryable, "test.full", "disk still full")
		b.mu.Unlock()
		b.write("a.yaml", "two")
		b.look(10)
		b.wantRunning()
		b.wantHealth(map[string]string{"pipeline/a": "failing disk full"})
		b.mu.Lock()
		clear(b.untied)
		b.mu.Unlock()
		time.Sleep(lastPause)
		b.wantRunning("a two")
		b.wantHealth(map[string]string{})
	})
}
