// Package listen opens the listeners of leat's servers. They are safe by default: nobody but this machine reaches them.
package listen

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// Options says what a listener is for.
type Options struct {
	// Insecure allows addresses that other machines reach.
	Insecure bool
	// Flag is the option of the command that gives the address, for hints: "--addr".
	Flag string
	// Example is an address, for hints: "127.0.0.1:4567".
	Example string
}

// TCP listens at host:port; port 0 takes a free one. Errors have the codes listen.address, for what is no address,
// listen.not_loopback, for one that other machines reach without Insecure, and listen.failed, as when another program has
// the port.
func TCP(addr string, o Options) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return nil, fault.New(fault.Permanent, "listen.address", "listen at %q: %w", addr, err).
			WithHint("%s wants host:port, such as %s", o.Flag, o.Example)
	}
	if !o.Insecure && !IsLoopback(host) {
		return nil, notLoopback(addr, o)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		if op := (*net.OpError)(nil); errors.As(err, &op) { // which names the address once more
			err = op.Err
		}
		return nil, fault.New(fault.Unavailable, "listen.failed", "listen at %s: %w", addr, err).
			WithHint("another program, perhaps another leat, may use the port: stop it, or choose another address with %s", o.Flag)
	}
	// localhost is a name, and a machine may give it any meaning.
	if got, ok := l.Addr().(*net.TCPAddr); !o.Insecure && (!ok || !got.IP.IsLoopback()) {
		_ = l.Close()
		return nil, notLoopback(addr, o)
	}
	return l, nil
}

func notLoopback(addr string, o Options) error {
	return fault.New(fault.Permanent, "listen.not_loopback",
		"refusing to listen at %s: other machines reach it, and there is no authentication", addr).
		WithHint("listen at 127.0.0.1 with %s, or allow it with --insecure", o.Flag)
}

// IsLoopback reports whether a host, a name or an IP address without a port, means this machine and no other.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
