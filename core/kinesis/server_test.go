package kinesis

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/core/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a wall clock for tests. Tests in a synctest bubble use time.Now instead.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// server is an API with the state and the streams below it, on a file system in memory.
type server struct {
	*API
	t   testing.TB
	fs  vfs.FS
	cfg Config
	ops map[string]wire.Handler
}

// newServer starts a server, which is closed when the test ends. Streams, State and, if it is not set, Account come from here.
func newServer(t testing.TB, cfg Config) *server {
	t.Helper()
	s := newServerOn(t, vfs.NewMem(), cfg)
	t.Cleanup(s.stop)
	return s
}

// newServerOn starts a server on a file system. It is closed by stop.
func newServerOn(t testing.TB, fsys vfs.FS, cfg Config) *server {
	t.Helper()
	if cfg.Account == "" {
		cfg.Account = "123456789012"
	}
	s := &server{t: t, fs: fsys, cfg: cfg}
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	st, err := state.Open(s.fs, "/data/state", state.Options{})
	if err != nil {
		s.t.Fatalf("open the state: %v", err)
	}
	streams, err := stream.Open(s.fs, "/data/streams", st, stream.Options{
		Now: s.cfg.Now, Log: disk.Options{FirstSegment: 64 << 10, SegmentSize: 1 << 20, Reserve: -1},
	})
	if err != nil {
		s.t.Fatalf("open the streams: %v", errors.Join(err, st.Close()))
	}
	cfg := s.cfg
	cfg.State, cfg.Streams = st, streams
	if s.API, err = New(cfg); err != nil {
		s.t.Fatalf("start: %v", errors.Join(err, streams.Close(), st.Close()))
	}
	s.ops = s.Service().Operations
}

func (s *server) stop() {
	s.t.Helper()
	if err := errors.Join(s.Close(), s.API.cfg.Streams.Close(), s.API.cfg.State.Close()); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

func (s *server) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// call sends a request as JSON and reads the answer into out, unless that is nil.
func (s *server) call(operation string, in, out any) error {
	s.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, ok := s.ops[operation]
	if !ok {
		s.t.Fatalf("there is no operation %s", operation)
	}
	request := body
	got, err := answer(context.Background(), &wire.Request{Operation: operation, Body: request})
	defer func() { // the memory is the next request's then
		for i := range request {
			request[i] = 'X'
		}
	}()
	if err != nil || out == nil {
		return err
	}
	if a, ok := got.(wire.Appender); ok {
		body = a.AppendWire(wire.JSON, nil)
	} else if body, err = json.Marshal(got); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		s.t.Fatalf("answer %s of %s: %v", body, operation, err)
	}
	return nil
}

// must sends a request that has to succeed.
func must[Out any](s *server, operation string, in any) (out Out) {
	s.t.Helper()
	if err := s.call(operation, in, &out); err != nil {
		s.t.Fatalf("%s: %v", operation, err)
	}
	return out
}

// refused checks that a request is answered with an error of a type and a text.
func (s *server) refused(operation string, in any, code, message string) {
	s.t.Helper()
	err := s.call(operation, in, nil)
	var got *wire.Error
	if !errors.As(err, &got) {
		s.t.Errorf("%s: %v, want %s: %s", operation, err, code, message)
	} else if got.Code != code || got.Message != message {
		s.t.Errorf("%s:\n got %s: %s\nwant %s: %s", operation, got.Code, got.Message, code, message)
	}
}

// doc is a request or an answer as it is written.
type doc = map[string]any

// create makes a stream with so many shards.
func (s *server) create(name string, shards int) {
	s.t.Helper()
	must[any](s, "CreateStream", doc{"StreamName": name, "ShardCount": shards})
}

// summary describes a stream.
func (s *server) summary(name string) *StreamDescriptionSummary {
	s.t.Helper()
	return must[DescribeStreamSummaryOutput](s, "DescribeStreamSummary", doc{"StreamName": name}).StreamDescriptionSummary
}
