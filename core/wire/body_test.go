package wire

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

func TestMemoryIsHandedOutInOrderAndWaitedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		if !b.acquire(t.Context(), &connection{}, 80) {
			t.Fatal("free memory is not given")
		}
		began := time.Now()
		got := make(chan string, 4)
		ask := func(name string, ctx context.Context, n int64) {
			go func() {
				if !b.acquire(ctx, &connection{}, n) {
					name = "not " + name
				}
				got <- name
			}()
			synctest.Wait()
		}
		leaving, leave := context.WithCancel(t.Context())
		ask("impossible", t.Context(), 101)
		ask("first", leaving, 50)
		ask("second", t.Context(), 20) // there is as much, but first comes first
		want := func(name string, after time.Duration) {
			t.Helper()
			if g := <-got; g != name || time.Since(began) != after {
				t.Errorf("%s after %v, want %s after %v", g, time.Since(began), name, after)
			}
		}
		want("not impossible", 0)
		time.Sleep(time.Second)
		leave()
		want("not first", time.Second)
		want("second", time.Second)
		ask("third", t.Context(), 30)
		want("not third", time.Second+maxWait)
		ask("fourth", t.Context(), 30)
		time.Sleep(maxWait / 2)
		b.release(80)
		want("fourth", time.Second+maxWait*3/2)
		if b.free != 50 || len(b.waiting) != 0 {
			t.Errorf("%d are free and %d wait", b.free, len(b.waiting))
		}
	})
}

func TestMemoryIsNeitherLostNorInvented(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		const whole = 1000
		b := newBudget(whole)
		var mu sync.Mutex
		var held int64
		add := func(n int64) {
			mu.Lock()
			defer mu.Unlock()
			if held += n; held > whole {
				t.Errorf("%d of %d are in use", held, whole)
			}
		}
		for i := range testenv.Count(200, 5000) {
			go func() {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				time.Sleep(time.Duration(r.Int64N(int64(20 * time.Second))))
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.Int64N(int64(5*time.Second))))
				defer cancel()
				if n := r.Int64N(500); b.acquire(ctx, &connection{}, n) {
					add(n)
					time.Sleep(time.Duration(r.Int64N(int64(time.Second))))
					add(-n)
					b.release(n)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if b.free != whole || len(b.waiting) != 0 || held != 0 {
			t.Errorf("%d are free and %d wait", b.free, len(b.waiting))
		}
	})
}

func TestBuffersHoldWhatIsAskedFor(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 1 << 20, 1<<20 + 1, 1 << maxClass, 1<<maxClass + 1} {
		buf := getBuffer(n)
		if len(buf) < n || len(buf) > 2*max(n, 1<<minClass) {
			t.Errorf("%d bytes for %d", len(buf), n)
		}
		buf[len(buf)-1] = 1
		putBuffer(buf)
		putBuffer(append(buf[:0:len(buf)/3], make([]byte, len(buf))...)) // whatever append makes of it
		if again := getBuffer(n); len(again) != len(buf) {
			t.Errorf("%d bytes for %d, %d before", len(again), n, len(buf))
		}
	}
}
