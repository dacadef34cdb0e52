package fault

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailuresThatRepeatAreLoggedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		full := New(Unavailable, "log.disk_full", "the disk is full")
		other := New(Unavailable, "log.io", "the disk does not answer")
		var c Complaints
		expect := func(lines int, words ...string) {
			t.Helper()
			got := out.String()
			out.Reset()
			if strings.Count(got, "\n") != lines {
				t.Errorf("%d lines wanted:\n%s", lines, got)
			}
			for _, w := range words {
				if !strings.Contains(got, w) {
					t.Errorf("%q wanted:\n%s", w, got)
				}
			}
		}
		c.Over(log, "put", "puts work again")
		if expect(0); c.Recent() {
			t.Error("nothing has failed")
		}
		for range 1000 {
			c.Log(log, slog.LevelWarn, "put", "a put failed", full, slog.Int("try", 1))
		}
		expect(1, "level=WARN", "a put failed", "try=1", "code=log.disk_full class=unavailable error=\"the disk is full\"")
		c.Log(log, slog.LevelWarn, "put", "a put failed", other)
		c.Log(log, slog.LevelWarn, "get", "a get failed", full)
		expect(2)
		time.Sleep(ComplaintInterval - time.Nanosecond)
		c.Log(log, slog.LevelWarn, "put", "a put failed", full)
		if expect(0); !c.Recent() {
			t.Error("a failure was logged just now")
		}
		time.Sleep(time.Nanosecond)
		c.Log(log, slog.LevelWarn, "put", "a put failed", full)
		expect(1, "left_out=1000 within=30s")
		time.Sleep(ComplaintInterval)
		if c.Recent() {
			t.Error("nothing was logged lately")
		}
		c.Over(log, "put", "puts work again")
		expect(1, "level=INFO msg=\"puts work again\" failures=1003 after=1m0s")
		// What comes and goes is told no more often than what stays.
		for range 100 {
			c.Log(log, slog.LevelWarn, "put", "a put failed", full)
			c.Over(log, "put", "puts work again")
		}
		expect(2, "puts work again", "failures=1 after=0s")
		time.Sleep(ComplaintInterval)
		c.Log(log, slog.LevelWarn, "put", "a put failed", full)
		c.Over(log, "put", "puts work again")
		expect(2, "left_out=99", "failures=100 after=30s")
		c.Over(log, "get", "gets work again")
		expect(1, "failures=1")
	})
}
