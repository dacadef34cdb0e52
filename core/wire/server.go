package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Settings of connections.
const (
	// maxHeader in bytes: session tokens take up to 4 KiB of it.
	maxHeader = 32 << 10
	// idleTimeout is longer than any SDK keeps a connection that it does not use, so that none is closed as it is taken
	// up again: the Java SDK's is 60 s, Go's 90 s.
	idleTimeout = 2 * time.Minute
	// h2Streams is how many requests a connection may have under way: the JavaScript SDK has but one connection.
	h2Streams = 250
	// h2StreamWindow and h2ConnectionWindow are what a client may send before it is read. A body that waits for memory
	// takes that much beside the budget. On a network of 1 ms it is 256 MB/s.
	h2StreamWindow     = 256 << 10
	h2ConnectionWindow = 2 << 20
	// h2Waiting is how many requests of a connection may wait for memory: their windows are half the connection's, and the
	// other half is for those whose bodies are being read. Else all would wait for each other.
	h2Waiting = h2ConnectionWindow / h2StreamWindow / 2
	// h2Frame is the largest frame that is read; each connection keeps a buffer of that size.
	h2Frame = 64 << 10
	// h2PingAfter is how long a client may be silent before it is asked whether it lives, and h2PingTimeout how long it may
	// take to say so.
	h2PingAfter   = 30 * time.Second
	h2PingTimeout = 15 * time.Second
)

// Server answers requests on any number of listeners. Its life: NewServer, Serve and ServeTLS, each in a goroutine, Shutdown.
type Server struct {
	handler *handler
	http    *http.Server
	rooms   rooms
}

// NewServer makes a server that does not listen yet.
func NewServer(cfg Config) (*Server, error) {
	h, err := newHandler(cfg)
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Server{handler: h, rooms: newRooms(), http: &http.Server{
		Handler:           h,
		Protocols:         &protocols,
		ReadHeaderTimeout: h.cfg.Patience, // of TLS handshakes too
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          h2Streams,
			MaxReadFrameSize:              h2Frame,
			MaxReceiveBufferPerStream:     h2StreamWindow,
			MaxReceiveBufferPerConnection: h2ConnectionWindow,
			SendPingTimeout:               h2PingAfter,
			PingTimeout:                   h2PingTimeout,
			WriteByteTimeout:              h2PingAfter,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			// Time limits of headers do not reach HTTP/2: a connection without a request after this time is cut.
			timer := time.AfterFunc(h.cfg.Patience+maxWait, func() { _ = c.Close() })
			return context.WithValue(ctx, connectionKey{}, &connection{timer: timer})
		},
		ErrorLog: slog.NewLogLogger(h.cfg.Logger.Handler(), slog.LevelDebug), // handshakes that failed, and the like
	}}, nil
}

// connection is what the requests of a connection share.
type connection struct {
	timer *time.Timer // cuts it, unless it makes a request
	// waiting is how many requests wait for memory.
	waiting atomic.Int32
}

type connectionKey struct{}

// connectionOf is that of a request; a server of somebody else's has none, and each request gets its own.
func connectionOf(ctx context.Context) *connection {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		c.timer.Stop()
		return c
	}
	return &connection{}
}

// ServeHTTP implements http.Handler, for servers of one's own: they should have limits like those of Serve.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers on l HTTP/1.1 and, for clients that begin with its preface, HTTP/2. It returns nil after Shutdown.
func (s *Server) Serve(l net.Listener) error { return s.serve(s.rooms.limit(l)) }

func (s *Server) serve(l net.Listener) error {
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ServeTLS is Serve with TLS, where the client chooses between HTTP/1.1 and HTTP/2 as it connects.
func (s *Server) ServeTLS(l net.Listener, c *Certificate) error {
	return s.serve(tls.NewListener(s.rooms.limit(l), &tls.Config{
		GetCertificate: c.get,
		NextProtos:     []string{"h2", "http/1.1"},
		MinVersion:     tls.VersionTLS12,
	}))
}

// Shutdown ends event streams, lets other requests be answered and closes all listeners and connections. When ctx ends,
// requests still under way are cut; the error is then that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.handler.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	return err
}
