// Package printed passes what transforms print on to the log: a limited number of lines, each of a limited length, so that a
// transform that prints without end fills neither the log nor the memory.
package printed

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of what one stage prints.
const (
	burst    = 50                     // lines at once
	interval = 100 * time.Millisecond // then one line each
	// MaxLine is how much of a line is kept, in bytes.
	MaxLine = 4 << 10
	// maxHead and maxTail bound what a Stream remembers, in bytes: the beginning and the end.
	maxHead = 1 << 10
	maxTail = 1 << 10
	// maxHeld bounds the lines that a Stream holds back, in bytes.
	maxHeld = 16 << 10
)

// Log passes a limited number of lines on. All processes, or instances, of a stage share it.
type Log struct {
	logger *slog.Logger
	mu     sync.Mutex
	tokens int
	last   time.Time
	lost   int
}

// NewLog returns a log that writes to l.
func NewLog(l *slog.Logger) *Log { return &Log{logger: l, tokens: burst, last: time.Now()} }

// Write logs a line that came from source, unless there were too many.
func (g *Log) Write(level slog.Level, source, line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := int(time.Since(g.last) / interval); n > 0 {
		g.tokens = min(burst, g.tokens+n)
		g.last = g.last.Add(time.Duration(n) * interval)
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
	if len(line) > MaxLine {
		line = line[:MaxLine]
	}
	g.logger.LogAttrs(context.Background(), level, strings.ToValidUTF8(line, "\uFFFD"), attrs...)
}

// leaveOut notes that lines are not logged.
func (g *Log) leaveOut(lines int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost += lines
}

// Stream is one of the outputs of one process: an [io.Writer] whose lines go to a log, and which remembers some of what was
// written to it.
type Stream struct {
	log    *Log // nil logs nothing
	source string
	level  slog.Level

	mu         sync.Mutex
	line       []byte
	head, tail []byte
	cut        bool // something between head and tail is forgotten
	holds      bool // lines are held back
	held       []string
	size       int // of held
}

// NewStream returns a stream whose lines are logged with the level and the source's name.
func NewStream(log *Log, level slog.Level, source string) *Stream {
	return &Stream{log: log, level: level, source: source}
}

// Mute makes s log nothing from now on.
func (s *Stream) Mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// Write implements io.Writer. It never fails.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(p)
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		s.line = append(s.line, line[:min(len(line), MaxLine-len(s.line))]...)
		if ended {
			s.flush()
		}
		rest = after
	}
	return len(p), nil
}

func (s *Stream) remember(p []byte) {
	n := min(len(p), maxHead-len(s.head))
	s.head = append(s.head, p[:n]...)
	if p = p[n:]; len(p) > maxTail {
		p, s.cut = p[len(p)-maxTail:], true
	}
	if over := len(s.tail) + len(p) - maxTail; over > 0 {
		s.tail, s.cut = append(s.tail[:0], s.tail[over:]...), true
	}
	s.tail = append(s.tail, p...)
}

// Flush logs a line that has not ended.
func (s *Stream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

func (s *Stream) flush() {
	if len(s.line) == 0 || s.log == nil {
		s.line = s.line[:0]
		return
	}
	line := string(s.line)
	s.line = s.line[:0]
	if s.holds && s.size+len(line) <= maxHeld {
		s.held, s.size = append(s.held, line), s.size+len(line)
		return
	}
	s.release()
	s.log.Write(s.level, s.source, line)
}

// release logs what is held back, and holds nothing back any more.
func (s *Stream) release() {
	for _, line := range s.held {
		s.log.Write(s.level, s.source, line)
	}
	s.holds, s.held, s.size = false, nil, 0
}

// Begin makes Text begin anew and holds lines back, as far as they are few, until End. What has begun goes on.
func (s *Stream) Begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holds {
		s.head, s.tail, s.cut = s.head[:0], s.tail[:0], false
		s.holds = true
	}
}

// End logs the lines since Begin. It leaves them out if err is not nil and tells of all of them, or repeats what was logged before.
func (s *Stream) End(err error, repeats bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	if err != nil && (repeats || !s.cut && strings.Contains(err.Error(), clean(s.head, s.tail))) {
		s.log.leaveOut(len(s.held))
		s.held = nil
	}
	s.release()
}

// Cut logs the first lines since Begin, about so many, and how many more there are: the runtime of a program that has failed tells of
// each of its stacks.
func (s *Stream) Cut(lines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	if more := len(s.held) - lines; more > 1 {
		s.held = append(s.held[:lines], fmt.Sprintf("… and %d lines more", more))
	}
	s.release()
}

// Head is the first of what was written since the last Begin.
func (s *Stream) Head() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clean(s.head)
}

// Text is what was written since the last Begin; of more than most bytes, the beginning and, twice as much, the end.
func (s *Stream) Text(most int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.head)+len(s.tail) <= most && !s.cut {
		return clean(s.head, s.tail)
	}
	all := slices.Concat(s.head, s.tail)
	head := most / 3
	return clean(all[:min(head, len(s.head))], []byte(" … "), all[max(0, len(all)-(most-head)):])
}

func clean(parts ...[]byte) string {
	return strings.TrimSpace(strings.ToValidUTF8(string(slices.Concat(parts...)), ""))
}
