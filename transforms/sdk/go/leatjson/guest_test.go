package leatjson_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

// event is a log line of about 1 KiB, as services write them.
func event(n int) []byte {
	level := []string{"info", "debug", "warn"}[n%3]
	return fmt.Appendf(nil, `{"timestamp":"2026-11-23T05:41:%02d.%06dZ","level":"%s","service":"checkout","version":"1.42.%d","host":"ip-10-0-12-34.eu-central-1.compute.internal",`+
		`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","message":"request completed: the cart was priced and the order was written","duration_ms":%d.25,`+
		`"http":{"method":"POST","path":"/v1/carts/%d/checkout?currency=EUR&lang=de","status":200,"bytes_in":512,"bytes_out":2048,"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36","remote":"203.0.113.77"},`+
		`"user":{"id":"u-%d","email":"someone.%d@example.com","plan":"business","roles":["buyer","admin"],"beta":true},`+
		`"order":{"id":%d,"currency":"EUR","total":129.95,"items":[{"sku":"A-1000","qty":2,"price":49.98},{"sku":"B-2000","qty":1,"price":29.99}],"coupon":null},`+
		`"tags":["eu","web","retry=0"],"sampled":false}`, n%60, n, level, n%10, n%100, n, n, n, 1_000_000+n)
}

// BenchmarkGuest is what a record of 1 KiB costs in all: frames, crossing and the work in the guest.
func BenchmarkGuest(b *testing.B) {
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(b, "no go command to build guests with")
	}
	path, err := build.Build(context.Background(), build.Config{Dir: "testdata/guests/json"})
	if err != nil {
		b.Fatal(err)
	}
	in := record.NewBatch()
	for n := range 500 {
		in.Add(record.Record{Data: event(n), Key: "key"})
	}
	for _, work := range []string{"keep", "filter", "get", "patch", "std-filter", "std-get", "std-patch"} {
		for _, guard := range []wasm.Guard{wasm.None, ""} {
			name := "default"
			if guard != "" {
				name = string(guard)
			}
			b.Run(work+"/"+name, func(b *testing.B) {
				config, err := json.Marshal(map[string]string{"Work": work})
				if err != nil {
					b.Fatal(err)
				}
				m, err := wasm.Open(context.Background(), wasm.Config{Path: path, Config: config, Guard: guard, Instances: 1})
				if err != nil {
					b.Fatal(err)
				}
				defer func() {
					if err := m.Close(context.Background()); err != nil {
						b.Error(err)
					}
				}()
				out := new(stage.Output)
				began := cpu()
				for b.Loop() {
					out.Reset()
					if err := m.Apply(context.Background(), in, out); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N)/500, "cpu-ns/record")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
			})
		}
	}
}

// cpu is the time that the process has spent on its cores, which other processes disturb less than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
