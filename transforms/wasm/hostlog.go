package wasm

import "sync"

// Limits of what a module says, beside those of a log.
const (
	maxFailure  = 1 << 10 // bytes of leat.fail's text
	maxCode     = 128     // bytes of a failed result's code
	maxCounters = 256     // names; more are counted as one
	maxName     = 128     // bytes of a counter's name
	// linesOfFailure is about how many lines each output of a call that failed logs.
	linesOfFailure = 5
)

// counters passes on what the module counts, under a limited number of names.
type counters struct {
	pass  func(name string, n int64)
	mu    sync.Mutex
	names map[string]bool
}

func (c *counters) add(name string, n int64) {
	c.mu.Lock()
	if !c.names[name] && len(c.names) >= maxCounters {
		name = "other"
	}
	c.names[name] = true
	c.mu.Unlock()
	c.pass(name, n)
}
