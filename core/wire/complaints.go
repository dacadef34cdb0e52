package wire

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// complainEvery is the time between two lines about failures of an operation for the same reason: on a disk that is full
// thousands fail in a second, and their lines would fill what is left of it.
const complainEvery = 10 * time.Second

// complaints logs failures that the client is told little about, and counts those it leaves out.
type complaints struct {
	mu sync.Mutex
	of map[complaint]*complained // there are few
}

type complaint struct{ target, code string }

type complained struct {
	last time.Time
	left int // out since then
}

func (c *complaints) log(log *slog.Logger, target, request string, err error) {
	of := complaint{target, fault.CodeOf(err)}
	now := time.Now()
	c.mu.Lock()
	seen := c.of[of]
	if seen != nil && now.Sub(seen.last) < complainEvery {
		seen.left++
		c.mu.Unlock()
		return
	}
	left := 0
	if seen != nil {
		left = seen.left
	}
	if c.of == nil {
		c.of = map[complaint]*complained{}
	}
	c.of[of] = &complained{last: now}
	c.mu.Unlock()
	attrs := []slog.Attr{slog.String("request", request), slog.String("target", target), slog.Any("error", err)}
	if left > 0 {
		attrs = append(attrs, slog.Int("left_out", left))
	}
	log.LogAttrs(context.Background(), slog.LevelError, "an operation failed", attrs...)
}
