package fault

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// ComplaintInterval is the time between two lines about failures of one kind. What is down, or a disk that is full, fails many times a
// second, and each line says the same.
const ComplaintInterval = 30 * time.Second

// Complaints logs failures that repeat: the first of a kind at once, then one line an interval with how many were left out, and once
// that they are over. The zero value is ready. It is safe for concurrent use.
type Complaints struct {
	mu sync.Mutex
	of map[kind]*complained // there are few
}

// kind is what failed, and the code.
type kind struct{ what, code string }

type complained struct {
	logged time.Time // the last line
	left   int       // failures since then
	first  time.Time // the first failure since Over
	all    int       // failures since Over
	told   bool      // there was a line since Over
}

// Log logs an error of what, which is one of few names or empty, unless one with the same code was logged less than
// [ComplaintInterval] ago. The line has the error, its code and class, and the attributes.
func (c *Complaints) Log(log *slog.Logger, level slog.Level, what, message string, err error, attrs ...slog.Attr) {
	now, of := time.Now(), kind{what, CodeOf(err)}
	c.mu.Lock()
	seen := c.of[of]
	if seen == nil {
		if c.of == nil {
			c.of = map[kind]*complained{}
		}
		seen = &complained{}
		c.of[of] = seen
	}
	if seen.all == 0 {
		seen.first = now
	}
	seen.all++
	since, left := now.Sub(seen.logged), seen.left
	if since < ComplaintInterval {
		seen.left++
		c.mu.Unlock()
		return
	}
	seen.logged, seen.left, seen.told = now, 0, true
	c.mu.Unlock()
	attrs = append(attrs, slog.String("code", of.code), slog.Any("class", ClassOf(err)), slog.Any("error", err))
	if left > 0 {
		attrs = append(attrs, slog.Int("left_out", left), slog.Duration("within", since.Round(time.Second)))
	}
	log.LogAttrs(context.Background(), level, message, attrs...)
}

// Over logs that the failures of what are over, if one was logged since the last time: how many there were, and for how long.
func (c *Complaints) Over(log *slog.Logger, what, message string) {
	c.mu.Lock()
	var first time.Time
	all := 0
	for of, seen := range c.of {
		if of.what == what && seen.told {
			if all == 0 || seen.first.Before(first) {
				first = seen.first
			}
			all += seen.all
			seen.all, seen.told = 0, false
		}
	}
	c.mu.Unlock()
	if all > 0 {
		log.Info(message, "failures", all, "after", time.Since(first).Round(time.Millisecond))
	}
}

// Recent reports whether a failure was logged less than [ComplaintInterval] ago.
func (c *Complaints) Recent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, seen := range c.of {
		if time.Since(seen.logged) < ComplaintInterval {
			return true
		}
	}
	return false
}
