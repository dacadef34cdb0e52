package observe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/listen"
)

// DefaultAddr is where metrics and health are served.
const DefaultAddr = "127.0.0.1:4568"

// ServerConfig configures a Server.
type ServerConfig struct {
	// Addr is host:port; port 0 takes a free one. Empty: DefaultAddr.
	Addr string
	// Insecure allows an address that other machines reach. There is no authentication.
	Insecure bool
	// Hosts are names, besides localhost and the address itself, under which the server may be asked, without ports. "*" is
	// any.
	Hosts []string
	// Metrics and Health are served under /metrics and /healthz, each if not nil.
	Metrics *Metrics
	Health  *Health
}

// Server serves /metrics and /healthz.
type Server struct {
	listener net.Listener
	http     http.Server
}

// NewServer listens at the address. Errors are those of listen.TCP.
func NewServer(c ServerConfig) (*Server, error) {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	listener, err := listen.TCP(c.Addr, listen.Options{Insecure: c.Insecure, Flag: "--metrics", Example: DefaultAddr})
	if err != nil {
		return nil, err
	}
	mux, found := http.NewServeMux(), "leat answers here at\n"
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics.Handler())
		found += "  /metrics  counts and times, for Prometheus\n"
	}
	if c.Health != nil {
		mux.Handle("GET /healthz", c.Health)
		found += "  /healthz  what is well and what is not: 200, or 503 if something fails\n"
	}
	found += "The Kinesis API of leat serve has an address of its own, which leat serve shows when it starts. leat --help lists all commands.\n"
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, found, http.StatusNotFound) })
	host, _, _ := net.SplitHostPort(c.Addr)
	return &Server{listener: listener, http: http.Server{
		Handler:           checkHost(mux, append([]string{host}, c.Hosts...), c.Insecure),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}}, nil
}

// Addr is the address that the server listens at.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers requests until Shutdown.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fault.New(fault.Unavailable, "server.serve", "serve metrics and health at %s: %w", s.Addr(), err)
	}
	return nil
}

// Shutdown stops listening, and waits for requests under way until ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	s.listener.Close() // Serve may never have been called
	return err
}

// checkHost refuses requests for other names than leat's own: a web page whose name has been pointed at this machine
// could otherwise read what leat serves (DNS rebinding). Such a page needs a name, so a server that is open to the network
// anyway may be asked by any IP address, and by the machine's name.
func checkHost(next http.Handler, hosts []string, insecure bool) http.Handler {
	if insecure {
		if name, err := os.Hostname(); err == nil {
			hosts = append(hosts, name)
		}
	}
	allowed := func(host string) bool {
		if listen.IsLoopback(host) {
			return true
		}
		if _, err := netip.ParseAddr(host); err == nil && insecure {
			return true
		}
		for _, h := range hosts {
			if h == "*" || h != "" && strings.EqualFold(host, h) {
				return true
			}
		}
		return false
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
		if !allowed(host) {
			http.Error(w, "leat does not answer for this host name; ask for localhost or the address it listens at", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
