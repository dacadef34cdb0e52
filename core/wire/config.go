package wire

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Config is what a [Server] needs. Services are required.
type Config struct {
	Services []Service
	// Verify is asked before a body is decoded whether the request may be answered; nil: every signature will do, as long
	// as there is one. The error is the answer: an *[Error] of the service, such as InvalidSignatureException.
	Verify func(context.Context, *Request) error
	// Hosts are names, without a port, under which the server is reached, beside localhost, *.localhost and IP addresses.
	// Others are refused, so that a web page that has its own name resolve to this address reaches nothing. "*" is any.
	Hosts []string
	// CORSOrigins are origins of web pages that may call, such as "https://console.example.com", beside those on loopback
	// addresses. "*" is any.
	CORSOrigins []string
	// MaxBody is the largest body in bytes; by default a byte less than 16 MiB: 10 MiB of data in base64 are 13.4 MiB, and
	// 500 partition keys of 256 characters and the names around them fit into the rest.
	MaxBody int64
	// BodyMemory is how many bytes all bodies under way may take, by the length they announce; by default 128 MiB, at
	// least four times MaxBody. A request beyond waits a little and is then told to try again: with status 503 and
	// ServiceUnavailable, after which all SDKs do, and without the slower pace that they take up after a throttling error.
	BodyMemory int64
	// Patience is how long a client may send nothing of a request, or take nothing of an answer; by default 5 s. Beyond it,
	// bodies have to flow at 64 KiB/s.
	Patience time.Duration
	Logger   *slog.Logger
	// Observe is called for each request that has been answered; it must be quick.
	Observe func(Access)
}

const (
	defaultMaxBody    = 16<<20 - 1 // with its end it fills a pooled buffer
	defaultBodyMemory = 128 << 20
	defaultPatience   = 5 * time.Second
	// minRate in bytes per second: a body of 10 MiB takes less than 4 minutes.
	minRate = 64 << 10
	// maxWait is how long a request waits for memory: with Patience it is within the 10 s after which a client that does
	// nothing is cut, and it lets a burst of large bodies pass without errors.
	maxWait = 3 * time.Second
	// maxWaiting is how many requests wait, at most: each may have sent h2StreamWindow bytes already.
	maxWaiting = 256
)

func (c *Config) setDefaults() error {
	if len(c.Services) == 0 {
		return errors.New("wire: a server needs a service")
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.BodyMemory == 0 {
		c.BodyMemory = defaultBodyMemory
	}
	// Three quarters are for large bodies, and a buffer is up to twice as long as its body.
	c.BodyMemory = max(c.BodyMemory, 4*c.MaxBody)
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// timeFor is how long n bytes may take.
func (c *Config) timeFor(n int) time.Duration {
	return c.Patience + time.Duration(n)*time.Second/minRate
}
