package delivery

import (
	"log/slog"
	"sync"
	"time"
)

// complainEvery is the time between two lines about failed puts with the same code: a sink that is down fails several
// times a second, and each line says the same.
const complainEvery = 30 * time.Second

// complaints logs failed puts, and counts those it leaves out.
type complaints struct {
	mu   sync.Mutex
	last map[string]time.Time // by code; there are few
	left map[string]int
}

func (c *complaints) putFailed(log *slog.Logger, code string, attrs ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if last, ok := c.last[code]; ok && now.Sub(last) < complainEvery {
		c.left[code]++
		return
	}
	if c.last == nil {
		c.last, c.left = map[string]time.Time{}, map[string]int{}
	}
	if n := c.left[code]; n > 0 {
		attrs = append(attrs, "left_out", n)
	}
	c.last[code], c.left[code] = now, 0
	log.Warn("put failed and is tried again", append(attrs, "code", code)...)
}
