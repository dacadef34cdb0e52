package s3client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// Limits of the HTTP client.
const (
	dialTimeout = 10 * time.Second
	// headerTimeout is how long the store may think after it has the body. Completing a large upload takes a while.
	headerTimeout = 2 * time.Minute
	// stallTimeout is how long a connection may not take a byte of a body.
	stallTimeout = time.Minute
	idleTimeout  = time.Minute
	maxIdle      = 16
)

func newTransport(c Config, o Owner) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, o.fault(fault.Permanent, "bad_ca_file", "ca_file: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, o.fault(fault.Permanent, "bad_ca_file", "ca_file %s has no certificate in PEM form", c.CAFile)
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return stallingConn{conn}, nil
		},
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: headerTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          maxIdle,
		MaxIdleConnsPerHost:   maxIdle,
		DisableCompression:    true, // bodies are what they are
	}, nil
}

// stallingConn fails a write that makes no progress, which http.Transport has no limit for.
type stallingConn struct{ net.Conn }

func (c stallingConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
