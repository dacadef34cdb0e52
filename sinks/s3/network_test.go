package s3_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/sinks/sinktest"
	"github.com/leatstream/leat/sinks/sinktest/miniotest"
)

// Under each fault of the network puts fail in time and not for good; without it they succeed, with one object each.
func TestNetworkFaults(t *testing.T) {
	server := miniotest.Start(t)
	for name, toxic := range map[string]string{
		"reset":              `{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 1}}`,
		"cut in the body":    `{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 700000}}`,
		"cut in the answer":  `{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 20}}`,
		"answers never come": `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`,
		"nothing goes out":   `{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`,
	} {
		t.Run(name, func(t *testing.T) {
			proxy := toxiproxy.NewProxy(
				toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()),
				"minio", "127.0.0.1:0", server.Endpoint)
			if err := proxy.Start(); err != nil {
				t.Fatal(err)
			}
			defer proxy.Stop()
			bucket := server.Bucket(t)
			cfg := config(server, bucket)
			cfg.Endpoint = "http://" + proxy.Listen
			sink := open(t, cfg)
			chunks := []*sinktest.Chunk{sinktest.Random("x/", 1_000_000), sinktest.Random("x/", threshold+1)}

			faulty, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range chunks {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				begin := time.Now()
				err := sink.Put(ctx, &c.Chunk)
				cancel()
				if class := fault.ClassOf(err); err == nil || class != fault.Retryable && class != fault.Unavailable {
					t.Errorf("put of %d bytes under the fault: %v", c.Size, err)
				}
				if took := time.Since(begin); took > 30*time.Second {
					t.Errorf("it took %v", took)
				}
			}
			if err := proxy.Toxics.RemoveToxic(context.Background(), faulty.Name); err != nil {
				t.Fatal(err)
			}
			for _, c := range chunks {
				// The first request may still meet a connection that the fault has broken.
				err := sink.Put(t.Context(), &c.Chunk)
				for tries := 0; err != nil && tries < 3; tries++ {
					err = sink.Put(t.Context(), &c.Chunk)
				}
				if err != nil {
					t.Errorf("put of %d bytes after the fault: %v", c.Size, err)
				}
			}
			objects := server.Objects(t, bucket)
			if len(objects) != 2 || !bytes.Equal(objects[chunks[0].Key], chunks[0].Bytes) || !bytes.Equal(objects[chunks[1].Key], chunks[1].Bytes) {
				t.Errorf("there are %d objects", len(objects))
			}
			if left := uploads(t, server, bucket); len(left) != 0 {
				t.Errorf("%d uploads are left", len(left))
			}
		})
	}
}
