package wire

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// Certificate is a server's certificate and its key, from files that may be replaced while it is in use.
type Certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]fileStamp
	checked time.Time
}

type fileStamp struct {
	modified time.Time
	size     int64
}

// recheck is how often the files are looked at, at most.
const recheck = time.Second

// LoadCertificate reads a certificate, with the chain to its authority, and its key from PEM files. When the files change,
// new connections get the new certificate; if that cannot be read, they get the one before, and the log says so.
func LoadCertificate(certFile, keyFile string, logger *slog.Logger) (*Certificate, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	stamp, err := c.stamps()
	if err == nil {
		err = c.load()
	}
	if err != nil {
		return nil, fault.New(fault.Permanent, "tls.certificate", "read the TLS certificate %s and its key %s: %w", certFile, keyFile, err).
			WithHint("both files must be PEM, and the key that of the certificate")
	}
	c.stamp, c.checked = stamp, time.Now()
	return c, nil
}

func (c *Certificate) stamps() (s [2]fileStamp, err error) {
	for i, name := range [2]string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return s, err
		}
		s[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return s, nil
}

func (c *Certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil {
		c.current = &pair
	}
	return err
}

// get is the certificate for a new connection.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < recheck {
		return c.current, nil
	}
	c.checked = time.Now()
	stamp, err := c.stamps()
	if err == nil && stamp == c.stamp {
		return c.current, nil
	}
	if err == nil {
		err = c.load()
	}
	if err != nil { // the stamp stays: it is tried again, for the other file may be on its way
		c.logger.Warn("keeping the TLS certificate of before: the changed one cannot be read", "certificate", c.certFile, "error", err)
		return c.current, nil
	}
	c.stamp = stamp
	c.logger.Info("TLS certificate changed", "certificate", c.certFile)
	return c.current, nil
}
