package builtin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/builtin"
)

func TestExcessIsMeasuredByArrival(t *testing.T) {
	tr := open(t, "rate_limit", "{ records_per_second: 2, excess: drop }")
	ms := time.Millisecond
	if got := fates(t, tr, rec(0, 1, 0, "a"), rec(0, 2, 0, "a"), rec(0, 3, 0, "a"), rec(0, 4, 500*ms, "a"), rec(0, 5, 600*ms, "a"), rec(0, 6, 5000*ms, "a"), rec(0, 7, 5000*ms, "a"), rec(0, 8, 5000*ms, "a")); got != "kkdkdkkd" {
		t.Error(got)
	}
	tr = open(t, "rate_limit", "{ bytes_per_second: 10B, burst: 2s, excess: fail, by: _key }")
	big := rec(0, 1, 0, strings.Repeat("x", 60)) // larger than a burst: it passes, and then no other does for six seconds
	if got := fates(t, tr, big, rec(0, 2, 5990*ms, string(big.Data)), rec(0, 3, 0, "other"), rec(0, 4, 6000*ms, string(big.Data))); got != "kfkk" {
		t.Error(got)
	}
	tr = open(t, "rate_limit", "{ records_per_second: 100, bytes_per_second: 1B, excess: drop }")
	if got := fates(t, tr, rec(0, 1, 0, "a"), rec(0, 2, 0, "a"), rec(0, 3, 0, "")); got != "kdk" {
		t.Error(got)
	}
	becomes(t, "rate_limit", "{ records_per_second: 1, excess: fail }", "a", "unchanged", "a", "rate_limit.exceeded: the record is beyond the limit")
	becomes(t, "rate_limit", "{ records_per_second: 1, excess: fail, by: .u, missing: fail }", `{}`, "rate_limit.no_key: .u is missing or null", `x`, "rate_limit.not_json: the record is not one JSON value: byte 0 does not belong there")
	refused(t, "rate_limit", map[string]string{"{}": "needs records_per_second, bytes_per_second or both", "{ records_per_second: 1, by: x }": "names no part", "{ records_per_second: -1 }": "out of range"})
}

func TestWaitingRecordsPassAtTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := open(t, "rate_limit", "records_per_second: 100")
		start := time.Now()
		var all sync.WaitGroup
		for range 4 { // workers share the limit
			all.Go(func() {
				var records []record.Record
				for i := range 250 {
					records = append(records, rec(0, uint64(i), 0, "a"))
				}
				if got := fates(t, tr, records...); strings.Trim(got, "k") != "" {
					t.Error(got)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took < 8900*time.Millisecond || took > 9100*time.Millisecond { // a burst of 100, then 900
			t.Errorf("1000 records took %v", took)
		}
		time.Sleep(time.Minute) // no more than a burst is saved
		start = time.Now()
		fates(t, tr, make([]record.Record, 200)...)
		if took := time.Since(start); took < 990*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("200 records took %v", took)
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := open(t, "rate_limit", "records_per_second: 1")
		why := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { cancel(why) })
		in := batch(make([]string, 100)...)
		defer in.Release()
		out := new(stage.Output)
		out.Reset()
		start := time.Now()
		if err := tr.Apply(ctx, in, out); !errors.Is(err, why) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestKeysOfRateLimitsAreBounded(t *testing.T) {
	var log bytes.Buffer
	c := &builtin.RateLimit{RecordsPerSecond: 1, Burst: setting.Duration(time.Second), Excess: "drop", By: []string{"_data"}, MaxKeys: 16}
	tr, err := c.Open(t.Context(), builtin.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 { // a key every two seconds: the others have leaked out
		if got := fates(t, tr, rec(0, uint64(i), time.Duration(2*i)*time.Second, fmt.Sprint(i))); got != "k" {
			t.Fatal(i, got)
		}
	}
	if log.Len() > 0 {
		t.Errorf("a warning without a reason: %s", &log)
	}
	for i := range 1000 {
		fates(t, tr, rec(0, uint64(i), time.Hour, fmt.Sprint(i)))
	}
	if n := strings.Count(log.String(), "raise max_keys"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

func BenchmarkRateLimit(b *testing.B) {
	b.Run("all", func(b *testing.B) { measure(b, open(b, "rate_limit", "records_per_second: 10000000"), "x") })
	b.Run("key", func(b *testing.B) {
		measure(b, open(b, "rate_limit", "{ records_per_second: 10000000, by: _key }"), "x")
	})
}
