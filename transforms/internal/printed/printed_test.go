package printed

import (
	"bytes"
	"errors"
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
	if got := s.Text(900); got != "Traceback\nKeyError" {
		t.Errorf("%q", got)
	}
	s.Begin()
	if got := s.Text(900); got != "" {
		t.Errorf("%q", got)
	}
	for range 3 { // in pieces and as one
		s.End(nil, false)
		s.Begin()
		fmt.Fprint(s, "first\n")
		for range 1000 {
			fmt.Fprint(s, strings.Repeat("x", 50))
		}
		fmt.Fprint(s, strings.Repeat("y", 100<<10), "last")
		if got := s.Text(900); !strings.HasPrefix(got, "first\n") || !strings.HasSuffix(got, "last") || !strings.Contains(got, " … ") || len(got) > 900+5 {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
	out.Reset()
	fmt.Fprint(s, "\n")
	s.End(nil, false)
	if len(out.String()) > 2*MaxLine {
		t.Errorf("a line of %d bytes is logged", len(out.String()))
	}
}

func TestLinesThatAnErrorTellsOfAreNotLogged(t *testing.T) {
	for _, c := range []struct {
		text    string
		err     error
		repeats bool
		lines   int
	}{
		{"one\ntwo\n", nil, true, 2},
		{"one\ntwo", errors.New("it ended: one\ntwo"), false, 0},
		{"one\ntwo\n", errors.New("it printed nonsense"), false, 2},
		{"one\ntwo\n", errors.New("it printed nonsense"), true, 0},
		{strings.Repeat("a line\n", 300), errors.New("it ended: " + strings.Repeat("a line\n", 300)), false, burst},
		{strings.Repeat("a line\n", 300), errors.New("it ended: " + strings.Repeat("a line\n", 300)), true, 0},
		{strings.Repeat("x", 5000) + "\n" + strings.Repeat(strings.Repeat("x", 5000)+"\n", 5), errors.New("it ended"), true, 6}, // not held back
	} {
		synctest.Test(t, func(t *testing.T) { // no line comes to be logged by waiting
			log, out := newTestLog()
			s := NewStream(log, slog.LevelWarn, "stderr")
			fmt.Fprintln(s, "before")
			if s.Begin(); s.Text(900) != "" {
				t.Errorf("%q is remembered", s.Text(900))
			}
			before := out.Len()
			fmt.Fprint(s, c.text)
			if held := out.Len() == before; held != (len(c.text) <= maxHeld) {
				t.Errorf("%.20q is held back: %v", c.text, held)
			}
			s.Begin() // changes nothing
			s.End(c.err, c.repeats)
			if n := strings.Count(out.String(), "\n") - 1; n != min(c.lines, burst-1) {
				t.Errorf("%.20q, %v, %v: %d lines", c.text, c.err, c.repeats, n)
			}
			out.Reset()
			fmt.Fprintln(s, "after")
			if left := c.lines == 0; !strings.Contains(out.String(), "after") && c.lines < burst || strings.Contains(out.String(), "lines_left_out=") != left && c.lines < burst {
				t.Errorf("%.20q, %v, %v: %s", c.text, c.err, c.repeats, out)
			}
		})
	}
}

func TestOfAFailureTheFirstLinesAreLogged(t *testing.T) {
	for _, c := range []struct {
		lines int
		want  string
	}{{0, ""}, {2, "1 2"}, {3, "1 2 3"}, {4, "1 2 3 4"}, {5, "1 2 3 … and 2 lines more"}, {40, "1 2 3 … and 37 lines more"}} {
		log, out := newTestLog()
		s := NewStream(log, slog.LevelWarn, "stderr")
		s.Begin()
		for n := range c.lines {
			fmt.Fprintln(s, n+1)
		}
		s.Cut(3)
		var got []string
		for line := range strings.Lines(out.String()) {
			_, rest, _ := strings.Cut(line, "msg=")
			text, _, _ := strings.Cut(rest, " source=")
			got = append(got, strings.Trim(text, `"`))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("of %d lines %q, want %q", c.lines, got, c.want)
		}
		fmt.Fprintln(s, "after")
		if !strings.Contains(out.String(), "msg=after") {
			t.Errorf("what follows is held back")
		}
	}
}
