// Package apis runs the APIs of leat: it listens, answers, and stops in order. It knows which API stands on which part of
// the data directory; the protocols are core/wire's and the operations are core/kinesis's.
//
// The life of a [Server]: [Listen], so that a port in use is found before anything else happens; [Server.Start] once the
// data directory is open, while clients that connected before wait; [Server.Stop], which ends subscriptions, lets other
// requests under way be answered, and then lets go of the streams, so that the data directory can be closed.
package apis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/kinesis"
	"github.com/leatstream/leat/core/listen"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/wire"
)

// stopGrace is how long requests under way may take when the server stops. None takes longer that does anything: the
// slowest split shards or wait for a disk.
const stopGrace = 20 * time.Second

// Server answers the Kinesis API. Without an address it only does what the API does by itself: finish what a stop has
// interrupted, and let on-demand streams follow their load.
type Server struct {
	opts       Options
	log        *slog.Logger
	plain, tls net.Listener // nil: none

	certificate *wire.Certificate
	authority   string // the file of a self-signed certificate's authority
	wire        *wire.Server
	kinesis     *kinesis.API
	unregister  func()
	serving     sync.WaitGroup

	mu     sync.Mutex
	failed error // why not all listeners are served
}

// Listen checks the options and listens. Errors that are permanent are about the options; others are those of listen.TCP.
func Listen(o Options) (_ *Server, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Health == nil {
		o.Health = &observe.Health{}
	}
	s := &Server{opts: o, log: o.Logger, failed: errStarting}
	if o.Addr != "" {
		if s.plain, err = listen.TCP(o.Addr, listen.Options{Insecure: o.Insecure, Flag: "--addr", Example: DefaultAddr}); err != nil {
			return nil, err
		}
	}
	if o.tls() && !o.SelfSigned {
		if s.certificate, err = wire.LoadCertificate(o.CertFile, o.KeyFile, s.log); err != nil {
			s.close()
			return nil, err
		}
	}
	if o.tls() {
		if s.tls, err = listen.TCP(o.TLSAddr, listen.Options{Insecure: o.Insecure, Flag: "--tls-addr", Example: DefaultTLSAddr}); err != nil {
			s.close()
			return nil, err
		}
	}
	if s.plain != nil || s.tls != nil {
		s.unregister = o.Health.Register("api", s.check)
	}
	return s, nil
}

var errStarting = errors.New("the API is not served yet")

// Start answers requests from now on. If it fails, the server has stopped.
func (s *Server) Start(dir *datadir.Dir) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.tls != nil && s.opts.SelfSigned {
		if err := s.signItself(dir); err != nil {
			return err
		}
	}
	o := &s.opts
	s.kinesis, err = kinesis.New(kinesis.Config{
		Streams: dir.Streams, State: dir.State, Account: o.Account, Region: o.Region, ShardQuota: o.ShardQuota,
		Limits: o.Limits, Transition: o.Transition, Logger: s.log, Metrics: o.Metrics,
	})
	if err != nil {
		return err
	}
	if s.plain == nil && s.tls == nil {
		return nil
	}
	s.wire, err = wire.NewServer(wire.Config{
		Services: []wire.Service{s.kinesis.Service()}, Hosts: s.hosts(), CORSOrigins: o.CORSOrigins, Logger: s.log,
		Observe: s.observe(),
	})
	if err != nil {
		return err
	}
	s.setFailed(nil)
	if s.plain != nil {
		s.serve("serving the Kinesis API", s.plain, s.wire.Serve)
	}
	if s.tls != nil {
		s.serve("serving the Kinesis API with TLS", s.tls, func(l net.Listener) error { return s.wire.ServeTLS(l, s.certificate) })
	}
	return nil
}

// signItself takes the certificate that is kept in the data directory.
func (s *Server) signItself(dir *datadir.Dir) error {
	names := slices.DeleteFunc(s.hosts(), func(h string) bool { return h == "*" })
	own, err := wire.DevelopmentCertificate(filepath.Join(dir.Path, "tls"), names, s.log)
	if err != nil {
		return err
	}
	s.certificate, s.authority = own.Certificate, own.CAFile
	s.log.Info("using a self-signed TLS certificate for development", "trust", own.CAFile, "fingerprint", own.Fingerprint)
	return nil
}

// hosts are the names under which clients may ask: those of the options, those of the addresses, and if other machines
// reach them, this machine's.
func (s *Server) hosts() []string {
	hosts := slices.Clone(s.opts.Hosts)
	for _, addr := range []string{s.opts.Addr, s.opts.TLSAddr} {
		if host, _, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host) == nil && host != "" {
			hosts = append(hosts, host)
		}
	}
	if name, err := os.Hostname(); err == nil && s.opts.Insecure {
		hosts = append(hosts, name)
	}
	for i := range hosts {
		hosts[i] = strings.ToLower(hosts[i])
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// observe counts what is asked for, by operation, and logs it for those who look for what a client does.
func (s *Server) observe() func(wire.Access) {
	calls, debug := s.opts.Metrics.API("kinesis"), s.log.Enabled(context.Background(), slog.LevelDebug)
	return func(a wire.Access) {
		_, operation, _ := strings.Cut(a.Target, ".")
		calls.Answered(operation, a.Code, a.In, a.Out, a.Took)
		if debug {
			s.log.Debug("answered", "request", a.ID, "operation", operation, "status", a.Status, "code", a.Code,
				"in", a.In, "out", a.Out, "took", a.Took, "remote", a.Remote)
		}
	}
}

func (s *Server) serve(what string, l net.Listener, serve func(net.Listener) error) {
	s.log.Info(what, "address", l.Addr())
	if !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
		s.log.Warn("other machines reach the API, and there is no authentication", "address", l.Addr())
	}
	s.serving.Go(func() {
		if err := serve(l); err != nil {
			s.log.Error("the API is not served any more", "address", l.Addr(), "error", err)
			s.setFailed(err)
		}
	})
}

func (s *Server) setFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
}

func (s *Server) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Endpoint is the URL that clients without TLS use; empty if there is none.
func (s *Server) Endpoint() string { return endpoint("http", s.plain) }

// TLSEndpoint is the URL that clients with TLS use; empty if there is none.
func (s *Server) TLSEndpoint() string { return endpoint("https", s.tls) }

// Authority is the file that clients have to trust for a self-signed certificate; empty if there is none.
func (s *Server) Authority() string { return s.authority }

func endpoint(scheme string, l net.Listener) string {
	if l == nil {
		return ""
	}
	addr := l.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() { // all addresses of this machine
		return scheme + "://localhost:" + strconv.Itoa(addr.Port)
	}
	return scheme + "://" + addr.String()
}

// Stop ends subscriptions, waits for other requests under way, and lets go of the streams. Requests that take longer than
// 20 s are cut; the error says so.
func (s *Server) Stop() error {
	var errs []error
	if s.wire != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		errs = append(errs, s.wire.Shutdown(ctx))
	}
	s.close()
	s.serving.Wait()
	if s.unregister != nil {
		s.unregister()
	}
	if s.kinesis != nil {
		errs = append(errs, s.kinesis.Close())
	}
	return errors.Join(errs...)
}

// close stops listening. That a listener is closed already does not matter.
func (s *Server) close() {
	for _, l := range []net.Listener{s.plain, s.tls} {
		if l != nil {
			_ = l.Close()
		}
	}
}
