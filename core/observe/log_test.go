package observe

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logged returns what a logger writes, without the time.
func logged(t *testing.T, format Format, log func(l *slog.Logger)) string {
	t.Helper()
	var b bytes.Buffer
	log(Logger(&b, format, slog.LevelInfo))
	out := ""
	for line := range strings.Lines(b.String()) {
		if format == Text {
			if _, err := time.Parse("2006-01-02 15:04:05.000", line[:23]); err != nil {
				t.Errorf("line %q does not begin with a time: %v", line, err)
			}
			line = line[24:]
		}
		out += line
	}
	return out
}

func TestTextLines(t *testing.T) {
	got := logged(t, Text, func(l *slog.Logger) {
		l.Debug("not shown")
		l.Info("delivered", "key", "state=TX/1.gz", "records", 12, "took", 1500*time.Millisecond)
		l.With("pipeline", "birds").WithGroup("sink").Warn("put failed", "err", errors.New("no route: x"), "try", 3)
		l.Error("odd", "empty", "", "space name", "a b", "quote", `a"b`, "newline", "a\nb", slog.Group("g", "x", 1, slog.Group("h", "y", 2)))
		l.Info("forged\nline \x1b[31m")
		l.Info("time", "at", time.Date(2026, 11, 1, 2, 3, 4, 5, time.UTC))
		l.Info("bytes", "invalid", "a\xffb", "unicode", "Zürich")
	})
	want := `INFO  delivered key=state=TX/1.gz records=12 took=1.5s
WARN  put failed pipeline=birds sink.err="no route: x" sink.try=3
ERROR odd empty="" "space name"="a b" quote="a\"b" newline="a\nb" g.x=1 g.h.y=2
INFO  "forged\nline \x1b[31m"
INFO  time at=2026-11-01T02:03:04.000000005Z
INFO  bytes invalid="a\xffb" unicode=Zürich
`
	want = strings.Replace(want, "key=state=TX/1.gz", `key="state=TX/1.gz"`, 1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	for _, format := range []Format{Text, JSON} {
		out := logged(t, format, func(l *slog.Logger) {
			l.With("secret_key", "hunter2").Info("x", "Authorization", "hunter2", "AWS_SECRET_ACCESS_KEY", "hunter2",
				slog.Group("s3", "access-key", "hunter2", "session.token", "hunter2"), "user", "ann", "key", "a/b.gz")
		})
		if strings.Contains(out, "hunter2") {
			t.Errorf("%s: a secret in %s", format, out)
		}
		if !strings.Contains(out, "ann") || !strings.Contains(out, "a/b.gz") {
			t.Errorf("%s: what is no secret is missing in %s", format, out)
		}
	}
}

func TestJSONLine(t *testing.T) {
	out := logged(t, JSON, func(l *slog.Logger) { l.Info("delivered", "records", 12) })
	if !strings.HasPrefix(out, `{"time":`) || !strings.HasSuffix(out, `"level":"INFO","msg":"delivered","records":12}`+"\n") {
		t.Errorf("line %q", out)
	}
}

func BenchmarkTextLine(b *testing.B) {
	l := Logger(io.Discard, Text, slog.LevelInfo).With("pipeline", "birds")
	for b.Loop() {
		l.Info("delivered", "key", "a/b/c", "records", 12, "bytes", 1<<20)
	}
}
