// Package wiretest calls services in tests, without a network, so that it works where time is synctest's.
package wiretest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/leatstream/leat/core/wire"
)

// Client calls the operations of one service.
type Client struct {
	server *wire.Server
	target string
	// Format of requests; JSON unless a test sets it.
	Format wire.Format
}

// New returns a client of s behind a [wire.Server] of its own, which the end of the test shuts down.
func New(t testing.TB, s wire.Service) *Client {
	t.Helper()
	server, err := wire.NewServer(wire.Config{Services: []wire.Service{s}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &Client{server: server, target: s.Target}
}

// Sign gives a request what an SDK's has, so that a server answers it.
func Sign(r *http.Request) {
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00")
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
}

func (c *Client) request(ctx context.Context, operation string, in any) *http.Request {
	var body []byte
	switch in := in.(type) {
	case []byte:
		body = in
	case string:
		body = []byte(in)
	default:
		body = wire.Append(c.Format, nil, in)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/", bytes.NewReader(body))
	r.Header.Set("Content-Type", [...]string{wire.JSON: "application/x-amz-json-1.1", wire.CBOR: "application/x-amz-cbor-1.1"}[c.Format])
	r.Header.Set("X-Amz-Target", c.target+"."+operation)
	Sign(r)
	return r
}

// Call calls an operation: in is a body as it is, or what [wire.Append] takes; out, a pointer to a struct, may be nil. An
// error of the service is a [*wire.Error].
func (c *Client) Call(operation string, in, out any) error {
	body, err := c.Raw(operation, in)
	if err != nil || out == nil || len(body) == 0 {
		return err
	}
	return wire.Unmarshal(c.Format, body, out)
}

func (c *Client) failure(status int, body []byte) error {
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Capital string `json:"Message"`
	}
	if err := wire.Unmarshal(c.Format, body, &e); err != nil {
		return fmt.Errorf("status %d with %q: %w", status, body, err)
	}
	return &wire.Error{Code: e.Type, Message: e.Message + e.Capital, Status: status}
}

// Raw is the body of an operation's answer, whole.
func (c *Client) Raw(operation string, in any) ([]byte, error) {
	w := httptest.NewRecorder()
	c.server.ServeHTTP(w, c.request(context.Background(), operation, in))
	if w.Code != http.StatusOK {
		return nil, c.failure(w.Code, w.Body.Bytes())
	}
	return w.Body.Bytes(), nil
}

// Stream is the answer of an operation with events.
type Stream struct {
	c      *Client
	body   *io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Open calls an operation that answers with events, and reads the initial response. Close the stream.
func (c *Client) Open(operation string, in any) (*Stream, error) {
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: writer, status: make(chan int, 1)}
	s := &Stream{c: c, body: reader, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		c.server.ServeHTTP(w, c.request(ctx, operation, in))
		writer.Close()
	}()
	if status := <-w.status; status != http.StatusOK {
		body, _ := io.ReadAll(reader)
		s.Close()
		return nil, c.failure(status, body)
	}
	event, err := s.Next(nil)
	if err == nil && event != "initial-response" {
		err = fmt.Errorf("the first event is %s", event)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Next reads an event: its type, and its payload into out, which may be nil. It is io.EOF at the end of the stream, and a
// [*wire.Error] for an exception in it.
func (s *Stream) Next(out any) (event string, err error) {
	m, err := ReadMessage(s.body)
	if err != nil {
		return "", err
	}
	if exception, ok := m.Headers[":exception-type"]; ok {
		var e struct {
			Message string `json:"message"`
		}
		if err := wire.Unmarshal(s.c.Format, m.Payload, &e); err != nil {
			return "", err
		}
		return "", &wire.Error{Code: exception, Message: e.Message}
	}
	if out != nil {
		err = wire.Unmarshal(s.c.Format, m.Payload, out)
	}
	return m.Headers[":event-type"], err
}

// Close leaves the stream, as a client that closes its connection does, and waits until the operation has ended.
func (s *Stream) Close() {
	s.cancel()
	s.body.Close()
	<-s.done
}

// pipeWriter is an answer that is read while it is written.
type pipeWriter struct {
	header http.Header
	pipe   *io.PipeWriter
	status chan int
	wrote  bool
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if !w.wrote {
		w.wrote = true
		w.status <- status
	}
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// Flush implements http.Flusher: what is written has been read.
func (w *pipeWriter) Flush() {}
