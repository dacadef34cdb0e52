package observe

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// textHandler writes log lines for people.
type textHandler struct {
	level  slog.Leveler
	prefix string // of attribute names: the open groups, each with a dot
	attrs  []byte // those of With, already written

	mu *sync.Mutex // guards w; shared with the handlers made from this one
	w  io.Writer
}

func newTextHandler(w io.Writer, level slog.Leveler) *textHandler {
	return &textHandler{level: level, mu: new(sync.Mutex), w: w}
}

func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	line := make([]byte, 0, 256)
	if !r.Time.IsZero() {
		line = r.Time.AppendFormat(line, "2006-01-02 15:04:05.000 ")
	}
	level := r.Level.String()
	line = append(line, level...)
	for range 5 - len(level) {
		line = append(line, ' ')
	}
	line = append(line, ' ')
	line = appendMessage(line, r.Message)
	line = append(line, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		line = appendAttr(line, h.prefix, a)
		return true
	})
	line = append(line, '\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(line)
	return err
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = h.attrs[:len(h.attrs):len(h.attrs)]
	for _, a := range attrs {
		next.attrs = appendAttr(next.attrs, h.prefix, a)
	}
	return &next
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	next := *h
	if name != "" {
		next.prefix += name + "."
	}
	return &next
}

func appendAttr(line []byte, prefix string, a slog.Attr) []byte {
	a = redact(a)
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return line
	}
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			line = appendAttr(line, prefix, member)
		}
		return line
	}
	line = append(line, ' ')
	line = appendText(line, prefix+a.Key)
	line = append(line, '=')
	if value.Kind() == slog.KindTime {
		return value.Time().AppendFormat(line, time.RFC3339Nano)
	}
	return appendText(line, value.String())
}

// appendText writes a name or a value, in quotes if it would not stand out as one word.
func appendText(line []byte, s string) []byte {
	plain := s != ""
	for _, r := range s {
		if r == ' ' || r == '"' || r == '=' || r == utf8.RuneError || !unicode.IsPrint(r) {
			plain = false
			break
		}
	}
	if plain {
		return append(line, s...)
	}
	return strconv.AppendQuote(line, s)
}

// appendMessage writes a message, in quotes only if it would not stay on its line or would send a terminal commands.
func appendMessage(line []byte, s string) []byte {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.AppendQuote(line, s)
		}
	}
	return append(line, s...)
}
