package wire_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/wire"
)

// control is a request and an answer of the usual size of the control plane.
type control struct {
	StreamName *string           `json:"StreamName,omitempty"`
	ShardCount *int32            `json:"ShardCount,omitempty"`
	Tags       map[string]string `json:"Tags,omitempty"`
	Created    *wire.Timestamp   `json:"Created,omitempty"`
	Shards     []string          `json:"Shards"`
}

const controlJSON = `{"StreamName":"birdstrikes","ShardCount":4,"Tags":{"team":"flight"},"Created":1700000000.123,"Shards":["shardId-000000000000","shardId-000000000001"]}`

func BenchmarkDecodeControl(b *testing.B) {
	var in control
	if err := wire.Unmarshal(wire.JSON, []byte(controlJSON), &in); err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]wire.Format{"json": wire.JSON, "cbor": wire.CBOR} {
		body := wire.Append(f, nil, &in)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var in control
				if err := wire.Unmarshal(f, body, &in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeControl(b *testing.B) {
	var out control
	if err := wire.Unmarshal(wire.JSON, []byte(controlJSON), &out); err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]wire.Format{"json": wire.JSON, "cbor": wire.CBOR} {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = wire.Append(f, buf[:0], &out)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkRoundTrip is a request and its answer over loopback, against a bare server that reads the body and answers as much.
func BenchmarkRoundTrip(b *testing.B) {
	s := greeter()
	s.Operations["Swallow"] = func(context.Context, *wire.Request) (any, error) { return &greeting{}, nil }
	ours := serve(b, wire.Config{Services: []wire.Service{s}, BodyMemory: 1 << 30})
	bare := serveBare(b)
	for _, size := range []int{100, 700 << 10, 10 << 20} {
		for _, c := range []struct {
			name, addr string
			set        func(*http.Protocols)
		}{{"h1/bare", bare, h1}, {"h1/wire", ours, h1}, {"h2/bare", bare, h2c}, {"h2/wire", ours, h2c}} {
			b.Run(fmt.Sprintf("%d/%s", size, c.name), func(b *testing.B) {
				client := client(b, c.set, "")
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.SetParallelism(8)
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						r := post(b, "http://"+c.addr, "Greeter_1.Swallow", &zeros{size})
						r.ContentLength = int64(size)
						res, err := client.Do(r)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						res.Body.Close()
						if res.StatusCode != 200 {
							b.Errorf("status %d", res.StatusCode)
						}
					}
				})
			})
		}
	}
}

func serveBare(b *testing.B) string {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	l := listen(b)
	server := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != r.ContentLength {
			b.Errorf("read %d bytes, %v", n, err)
		}
		w.Header().Set("Content-Type", jsonType)
		_, _ = io.Copy(w, strings.NewReader(`{"Names":[]}`))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	b.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func (d discard) SetReadDeadline(time.Time) error  { return nil }
func (d discard) SetWriteDeadline(time.Time) error { return nil }

// hot is an operation's input and output that read and write themselves.
type hot struct{ body []byte }

func (h *hot) DecodeWire(_ wire.Format, body []byte) error { h.body = body; return nil }
func (h *hot) AppendWire(_ wire.Format, dst []byte) []byte { return append(dst, h.body...) }

func TestARequestOnTheHotPathCostsFewAllocations(t *testing.T) {
	s := greeter()
	s.Operations["Hot"] = func(_ context.Context, r *wire.Request) (any, error) {
		in := new(hot)
		return in, r.Decode(in)
	}
	server, err := wire.NewServer(wire.Config{Services: []wire.Service{s}, Observe: func(wire.Access) {}})
	if err != nil {
		t.Fatal(err)
	}
	r := post(t, "http://localhost/", "Greeter_1.Hot", nil)
	body := zeros{}
	r.Body = io.NopCloser(&body)
	w := discard{http.Header{}}
	got := testing.AllocsPerRun(1000, func() {
		body.left, r.ContentLength = 1000, 1000
		server.ServeHTTP(w, r)
	})
	t.Logf("%.1f allocations", got)
	if got > 7 { // of the 20 that a request may make; each has been looked at
		t.Errorf("a request makes %.1f allocations", got)
	}
}
