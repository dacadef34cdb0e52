package query

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/itchyny/gojq"
)

// firstLook is when a guard looks at a run for the first time, and how often from then on: most runs have ended by then and have
// cost it a timer that did not fire.
const firstLook = 5 * time.Millisecond

// Natives may make so many bytes before the heap is looked at for the first time, and after each look until the next.
const (
	unseenFirst = 1 << 20
	unseen      = 16 << 20
)

// Guard is the context of runs, one after the other, that ends each which takes too long or too much memory. It is for one
// goroutine.
type Guard struct {
	limit  time.Duration
	memory uint64
	timer  *time.Timer

	// Of the goroutine that runs queries alone:
	codes    map[*Code]*gojq.Code // with natives of this guard
	patterns map[[2]string]*pattern
	text     runes
	free     int // how many bytes natives may make before room looks at the heap

	looking atomic.Bool // the heap is looked at: a run that might make it grow waits
	mu      sync.Mutex
	running bool
	outer   context.Context
	began   time.Time
	heap    uint64        // at the first look; 0 before
	done    chan struct{} // replaced by Begin alone
	err     error
}

// NewGuard returns a guard with a limit of time and of the heap's growth, in bytes, for each run.
func NewGuard(limit time.Duration, memory uint64) *Guard {
	g := &Guard{limit: limit, memory: memory, done: make(chan struct{})}
	g.timer = time.AfterFunc(time.Hour, g.look)
	g.timer.Stop()
	return g
}

// Begin starts the watch over a run, which also ends when ctx does.
func (g *Guard) Begin(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		g.done, g.err = make(chan struct{}), nil
	}
	g.running, g.outer, g.heap, g.began, g.free = true, ctx, 0, time.Now(), unseenFirst
	g.timer.Reset(min(firstLook, g.limit))
}

// End ends the watch.
func (g *Guard) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running, g.outer, g.text.text = false, nil, ""
	g.timer.Stop()
}

// look is called by the timer. It may come late, after the run has ended or while the next one is young.
func (g *Guard) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.running || g.err != nil {
		return
	}
	took, heap := time.Since(g.began), heapSize(allObjects)
	if g.heap == 0 {
		g.heap = heap
	}
	switch {
	case g.outer.Err() != nil:
		g.stop(context.Cause(g.outer))
	case took >= g.limit:
		g.stop(fmt.Errorf("the query takes longer than %v", g.limit))
	case heap > g.heap+g.memory && g.collected() > g.heap+g.memory:
		g.stop(fmt.Errorf("memory grew by more than %d MiB while the query ran", g.memory>>20))
	default:
		g.timer.Reset(min(firstLook, g.limit-took))
	}
}

// collected returns the heap without garbage. The run waits.
func (g *Guard) collected() uint64 {
	g.looking.Store(true)
	defer g.looking.Store(false)
	return heapAfterCollection()
}

// ask returns why the run is to end; nil if it may go on. Natives ask while they work.
func (g *Guard) ask() error {
	select {
	case <-g.Done():
		return g.Err()
	default:
		return nil
	}
}

// room returns an error if a native would make the heap grow too much with so many bytes.
func (g *Guard) room(bytes int) error {
	if bytes <= g.free {
		g.free -= bytes
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	heap := heapSize(allObjects)
	if g.heap == 0 {
		g.heap = heap
	}
	most := g.heap + g.memory
	if heap+uint64(bytes) > most && uint64(bytes) <= g.memory {
		heap = heapAfterCollection()
	}
	if heap+uint64(bytes) > most || uint64(bytes) > g.memory {
		return fmt.Errorf("memory would grow by more than %d MiB with a step of the query", g.memory>>20)
	}
	g.free = int(min(most-heap-uint64(bytes), unseen))
	return nil
}

func (g *Guard) stop(why error) {
	g.err = why
	close(g.done)
}

// collecting is held by the guard that collects garbage.
var collecting sync.Mutex

// heapAfterCollection returns the heap without garbage, of which a query must not be suspected: others may have made it in
// no time, also since the collection.
func heapAfterCollection() uint64 {
	collecting.Lock()
	defer collecting.Unlock()
	runtime.GC()
	return heapSize(liveObjects)
}

// Metrics of the heap: all objects, those that are not yet collected among them, and what the last collection has found in use.
const (
	allObjects  = "/memory/classes/heap/objects:bytes"
	liveObjects = "/gc/heap/live:bytes"
)

// heapSize returns a metric of the heap, in bytes.
func heapSize(metric string) uint64 {
	sample := []metrics.Sample{{Name: metric}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// Deadline implements context.Context.
func (g *Guard) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context. gojq asks at each step, on the goroutine that called Begin.
func (g *Guard) Done() <-chan struct{} {
	if g.looking.Load() {
		g.mu.Lock() // until it has looked
		defer g.mu.Unlock()
	}
	return g.done
}

// Err implements context.Context.
func (g *Guard) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Value implements context.Context.
func (g *Guard) Value(any) any { return nil }
