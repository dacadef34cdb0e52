package wasm

import (
	"bytes"
	"log/slog"
	"sync"

	"github.com/leatstream/leat/transforms/internal/printed"
)

// Limits of what a module says, beside those of a log.
const (
	maxFailure  = 1 << 10 // bytes of leat.fail's text, and of stderr kept as a reason
	maxCode     = 128     // bytes of a failed result's code
	maxCounters = 256     // names; more are counted as one
	maxName     = 128     // bytes of a counter's name
)

// guestStream is stdout or stderr of one instance.
type guestStream struct {
	log   *printed.Log
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
		s.line.Write(line[:min(len(line), printed.MaxLine-s.line.Len())])
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
		s.log.Write(s.level, s.name, s.line.String())
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
