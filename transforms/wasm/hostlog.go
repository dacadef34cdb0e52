package wasm

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Limits of a module's log.
const (
	logBurst    = 50                     // lines at once
	logInterval = 100 * time.Millisecond // then one line each
	maxLogLine  = 4 << 10                // bytes
	maxFailure  = 1 << 10                // bytes of leat.fail's text, and of stderr kept as a reason
	maxCode     = 128                    // bytes of a failed result's code
	maxCounters = 256                    // names; more are counted as one
	maxName     = 128                    // bytes of a counter's name
)

// guestLog passes a limited number of lines on; all instances of a module share it.
type guestLog struct {
	logger *slog.Logger
	mu     sync.Mutex
	tokens int
	last   time.Time
	lost   int
}

func newGuestLog(l *slog.Logger) *guestLog {
	return &guestLog{logger: l, tokens: logBurst, last: time.Now()}
}

func (g *guestLog) write(level slog.Level, source, line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := int(time.Since(g.last) / logInterval); n > 0 {
		g.tokens = min(logBurst, g.tokens+n)
		g.last = g.last.Add(time.Duration(n) * logInterval)
	}
	if g.tokens == 0 {
		g.lost++
		return
	}
	g.tokens--
	attrs := []slog.Attr{slog.String("source", source)}
	if g.lost > 0 {
		attrs = append(attrs, slog.Int("lines_left_out", g.lost))
		g.lost = 0
	}
	if len(line) > maxLogLine {
		line = line[:maxLogLine]
	}
	g.logger.LogAttrs(context.Background(), level, strings.ToValidUTF8(line, "\uFFFD"), attrs...)
}

// guestStream is stdout or stderr of one instance.
type guestStream struct {
	log   *guestLog
	name  string
	level slog.Level
	check func() // ends the call if it takes too long
	line  bytes.Buffer
	// head is the first of what was written during the current call.
	head bytes.Buffer
}

func (s *guestStream) Write(p []byte) (int, error) {
	s.check()
	s.head.Write(p[:min(len(p), maxFailure-s.head.Len())])
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		s.line.Write(line[:min(len(line), maxLogLine-s.line.Len())])
		if ended {
			s.flush()
			s.check() // one write may have as many lines as the memory has bytes
		}
		rest = after
	}
	return len(p), nil
}

func (s *guestStream) flush() {
	if s.line.Len() > 0 {
		s.log.write(s.level, s.name, s.line.String())
		s.line.Reset()
	}
}

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
