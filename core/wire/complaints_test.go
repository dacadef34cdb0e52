package wire

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
)

func TestFailuresThatRepeatAreLoggedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		full := fault.New(fault.Unavailable, "log.disk_full", "the disk is full")
		other := fault.New(fault.Unavailable, "log.io", "the disk does not answer")
		var c complaints
		lines := func() string {
			defer out.Reset()
			return out.String()
		}
		for range 1000 {
			c.log(log, "A.Put", "id", full)
		}
		if got := lines(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "the disk is full") {
			t.Errorf("1,000 failures of one kind gave\n%s", got)
		}
		c.log(log, "A.Put", "id", other)
		c.log(log, "A.Split", "id", full)
		if got := lines(); strings.Count(got, "\n") != 2 {
			t.Errorf("another reason and another operation gave\n%s", got)
		}
		time.Sleep(complainEvery)
		c.log(log, "A.Put", "id", full)
		if got := lines(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "left_out=999") {
			t.Errorf("after a while the next gave\n%s", got)
		}
	})
}
