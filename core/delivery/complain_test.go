package delivery

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestASinkThatIsDownIsOneLineATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var c complaints
		log := slog.New(slog.NewTextHandler(&out, nil))
		for range 100 {
			c.putFailed(log, "sink.down", "key", "a")
		}
		c.putFailed(log, "sink.other", "key", "b")
		time.Sleep(complainEvery)
		c.putFailed(log, "sink.down", "key", "c")
		if n := strings.Count(out.String(), "\n"); n != 3 || !strings.Contains(out.String(), "left_out=99") {
			t.Fatalf("%d lines:\n%s", n, out.String())
		}
	})
}
