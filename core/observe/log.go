package observe

import (
	"io"
	"log/slog"
	"strings"
)

// Format is how log lines look.
type Format string

const (
	// Text is for people: time, level, message, then key=value.
	Text Format = "text"
	// JSON is for machines: one object a line, as slog.JSONHandler writes it.
	JSON Format = "json"
)

// Logger returns a logger that writes one line an event to w. A format other than JSON is Text. The value of an attribute
// whose name says that it is a secret is not written, as a last line of defence: whoever logs one has a bug.
func Logger(w io.Writer, format Format, level slog.Leveler) *slog.Logger {
	if format == JSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
			Level:       level,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return redact(a) },
		}))
	}
	return slog.New(newTextHandler(w, level))
}

// secretNames are what the names of secrets contain, in lower case without separators.
var secretNames = []string{"password", "passwd", "secret", "token", "authorization", "credential", "apikey", "accesskey",
	"privatekey", "signature", "cookie"}

var nameCleaner = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

const redacted = "[redacted]"

func redact(a slog.Attr) slog.Attr {
	name := nameCleaner.Replace(strings.ToLower(a.Key))
	for _, secret := range secretNames {
		if strings.Contains(name, secret) {
			return slog.String(a.Key, redacted)
		}
	}
	return a
}
