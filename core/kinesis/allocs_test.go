//go:build !race

package kinesis

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/core/wire/wiretest"
)

// What a request may allocate, and that for each of its records.
const (
	maxAllocs          = 20
	maxAllocsPerRecord = 0.05
)

// answered is an answer that is counted, and not kept.
type answered struct {
	header       http.Header
	status, size int
}

func (a *answered) Header() http.Header    { return a.header }
func (a *answered) WriteHeader(status int) { a.status = status }

func (a *answered) Write(p []byte) (int, error) {
	a.size += len(p)
	return len(p), nil
}

func (*answered) SetReadDeadline(time.Time) error  { return nil }
func (*answered) SetWriteDeadline(time.Time) error { return nil }

// newServerOnDisk starts a server on a real file system, with segments as they are by default: a file system in memory
// allocates for itself, and small segments for their indexes.
func newServerOnDisk(t *testing.T, cfg Config) *server {
	t.Helper()
	dir := t.TempDir()
	st, err := state.Open(vfs.OS(), filepath.Join(dir, "state"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := stream.Open(vfs.OS(), filepath.Join(dir, "streams"), st, stream.Options{Now: cfg.Now})
	if err != nil {
		t.Fatal(errors.Join(err, st.Close()))
	}
	cfg.State, cfg.Streams = st, streams
	s := &server{t: t, fs: vfs.OS(), cfg: cfg}
	if s.API, err = New(cfg); err != nil {
		t.Fatal(errors.Join(err, streams.Close(), st.Close()))
	}
	s.ops = s.Service().Operations
	t.Cleanup(s.stop)
	return s
}

// Whole requests are measured: what is between net/http's reading of the header and its writing of the answer, with limits
// and metrics, and what the log does meanwhile. Pools lose their content now and then under the race detector.
func TestRequestsOnTheHotPathAllocateLittle(t *testing.T) {
	clock := newClock()
	metrics := observe.NewMetrics()
	s := newServerOnDisk(t, Config{Limits: true, Metrics: metrics, Now: clock.now})
	calls := metrics.API("kinesis")
	server, err := wire.NewServer(wire.Config{Services: []wire.Service{s.Service()}, Observe: func(a wire.Access) {
		calls.Answered(a.Target, a.Code, a.In, a.Out, a.Took)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s.create("bench", 64)
	s.create("read", 1)
	for range 1000 / 500 {
		clock.advance(time.Second)
		in := benchBody(wire.JSON)
		if _, err := s.ops["PutRecords"](context.Background(), &wire.Request{Body: bytes.Replace(in, []byte(`"bench"`), []byte(`"read"`), 1)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 { // the first puts into a segment make the index of each shard, once
		clock.advance(time.Second)
		if _, err := s.ops["PutRecords"](context.Background(), &wire.Request{Body: benchBody(wire.JSON)}); err != nil {
			t.Fatal(err)
		}
	}
	one := &PutRecordInput{StreamName: new("bench"), PartitionKey: new("key"), Data: make([]byte, 1024)}
	for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
		oldest, latest := s.iterator("read", "0", "TRIM_HORIZON"), s.iterator("read", "0", "LATEST")
		contentType := [...]string{wire.JSON: "application/x-amz-json-1.1", wire.CBOR: "application/x-amz-cbor-1.1"}[f]
		for _, c := range []struct {
			name, operation string
			body            []byte
			records         int
			least           int // bytes of the answer
		}{
			{"PutRecord", "PutRecord", wire.Append(f, nil, one), 1, 50},
			{"PutRecords of 500", "PutRecords", benchBody(f), 500, 500 * 50},
			{"GetRecords of 1000", "GetRecords", wire.Append(f, nil, &GetRecordsInput{ShardIterator: &oldest}), 1000, 1000 * 1024},
			{"GetRecords of none", "GetRecords", wire.Append(f, nil, &GetRecordsInput{ShardIterator: &latest}), 0, 50},
		} {
			var body bytes.Reader
			r, err := http.NewRequest(http.MethodPost, "http://localhost/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("X-Amz-Target", Target+"."+c.operation)
			wiretest.Sign(r)
			r.Body, r.ContentLength = io.NopCloser(&body), int64(len(c.body))
			w := &answered{header: http.Header{}}
			allocs := testing.AllocsPerRun(50, func() {
				clock.advance(time.Second)
				body.Reset(c.body)
				w.status, w.size = 0, 0
				server.ServeHTTP(w, r)
				if w.status != http.StatusOK || w.size < c.least {
					t.Fatalf("%s: status %d, %d bytes", c.name, w.status, w.size)
				}
			})
			t.Logf("%s, %s: %.0f allocations", contentType, c.name, allocs)
			if allocs > maxAllocs+maxAllocsPerRecord*float64(c.records) {
				t.Errorf("%s, %s: %.0f allocations, want %d and %.2f a record at most", contentType, c.name, allocs, maxAllocs, maxAllocsPerRecord)
			}
		}
	}
}
