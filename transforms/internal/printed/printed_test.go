package printed

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newTestLog() (*Log, *bytes.Buffer) {
	var b bytes.Buffer
	return NewLog(slog.New(slog.NewTextHandler(&b, nil))), &b
}

func TestLinesAreLoggedAsTheyEnd(t *testing.T) {
	log, out := newTestLog()
	s := NewStream(log, slog.LevelWarn, "stderr")
	for _, part := range []string{"one\ntw", "o\n", "\n\xffthree"} {
		if n, err := s.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := strings.Count(out.String(), "\n"); got != 2 || !strings.Contains(out.String(), `level=WARN msg=two source=stderr`) {
		t.Errorf("%s", out)
	}
	s.Flush()
	if !strings.Contains(out.String(), "\uFFFDthree") {
		t.Errorf("%s", out)
	}
}

func TestALogTakesALimitedNumberOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := newTestLog()
		s := NewStream(log, slog.LevelInfo, "stdout")
		fmt.Fprint(s, strings.Repeat("a line\n", 1000))
		if got := strings.Count(out.String(), "\n"); got != burst {
			t.Errorf("%d lines at once", got)
		}
		out.Reset()
		time.Sleep(3 * interval)
		fmt.Fprint(s, strings.Repeat("a line\n", 1000))
		if got := strings.Count(out.String(), "\n"); got != 3 || !strings.Contains(out.String(), fmt.Sprint("lines_left_out=", 1000-burst)) {
			t.Errorf("%d lines after %s: %s", got, 3*interval, out)
		}
		time.Sleep(time.Hour)
		out.Reset()
		fmt.Fprint(s, strings.Repeat("a line\n", 1000))
		if got := strings.Count(out.String(), "\n"); got != burst {
			t.Errorf("%d lines after a pause", got)
		}
	})
}

func TestAStreamRemembersTheBeginningAndTheEnd(t *testing.T) {
	log, out := newTestLog()
	s := NewStream(log, slog.LevelWarn, "stderr")
	fmt.Fprint(s, "Traceback\n", "KeyError\n")
	if got := s.Text(); got != "Traceback\nKeyError" {
		t.Errorf("%q", got)
	}
	s.Forget()
	if got := s.Text(); got != "" {
		t.Errorf("%q", got)
	}
	for range 3 { // in pieces and as one
		s.Forget()
		fmt.Fprint(s, "first\n")
		for range 1000 {
			fmt.Fprint(s, strings.Repeat("x", 50))
		}
		fmt.Fprint(s, strings.Repeat("y", 100<<10), "last")
		if got := s.Text(); !strings.HasPrefix(got, "first\n") || !strings.HasSuffix(got, "last") || !strings.Contains(got, " … ") || len(got) > maxHead+maxTail+10 {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
	out.Reset()
	fmt.Fprint(s, "\n")
	if len(out.String()) > 2*MaxLine {
		t.Errorf("a line of %d bytes is logged", len(out.String()))
	}
}
