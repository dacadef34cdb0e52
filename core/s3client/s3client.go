// Package s3client makes clients of S3-compatible stores, as leat's sinks and transforms use them: with limits of time for all that a
// connection may do, with credentials that are read again as they change, and without retries of its own.
package s3client

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/leatstream/leat/core/fault"
)

const defaultRegion = "us-east-1"

// Config says which bucket of which store.
type Config struct {
	// Endpoint is the store's URL, https://host or http://host:port; empty is AWS in Region.
	Endpoint string
	Bucket   string
	// Region is part of the signature; empty is us-east-1, which stores other than AWS take as a rule.
	Region string
	// Addressing is where the bucket's name stands: path (endpoint/bucket), virtual (bucket.endpoint) or auto, the default:
	// virtual for AWS, Google and Aliyun, path for all others.
	Addressing string
	// CAFile is a PEM file of certificate authorities to trust besides the system's.
	CAFile string
	// Credentials says where the keys come from; the zero value looks where AWS's tools look.
	Credentials Credentials
}

// Owner is whom the client's errors are about: what their codes begin with, before a dot, and their messages, before a colon.
type Owner struct{ Code, Text string }

func (o Owner) fault(class fault.Class, code, format string, args ...any) *fault.Error {
	return fault.New(class, o.Code+"."+code, o.Text+": "+format, args...)
}

var lookups = map[string]minio.BucketLookupType{
	"auto": minio.BucketLookupAuto, "path": minio.BucketLookupPath, "virtual": minio.BucketLookupDNS,
}

// Addressing is what Config.Addressing is for a setting path_style.
func Addressing(pathStyle *bool) string {
	switch {
	case pathStyle == nil:
		return "auto"
	case *pathStyle:
		return "path"
	}
	return "virtual"
}

// URL is Endpoint, without a slash at its end, or if it is empty that of AWS in Region.
func (c Config) URL() string {
	if c.Endpoint != "" {
		return strings.TrimSuffix(c.Endpoint, "/")
	}
	return "https://s3." + cmp.Or(c.Region, defaultRegion) + ".amazonaws.com"
}

// complete checks c and fills in defaults.
func (c Config) complete(o Owner) (Config, *url.URL, error) {
	bad := func(hint, format string, args ...any) (Config, *url.URL, error) {
		return c, nil, o.fault(fault.Permanent, "bad_config", format, args...).WithHint("%s", hint)
	}
	c.Endpoint, c.Region, c.Addressing = c.URL(), cmp.Or(c.Region, defaultRegion), cmp.Or(c.Addressing, "auto")
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		// The URL is not repeated: it might hold a password.
		return bad("as in https://s3.example.com or http://127.0.0.1:9000, without a path, a user or a bucket", "the endpoint is not the URL of a store")
	}
	if err := s3utils.CheckValidBucketName(c.Bucket); err != nil {
		return bad("3 to 63 lower-case letters, digits, hyphens and dots", "bucket %q: %v", c.Bucket, err)
	}
	if _, ok := lookups[c.Addressing]; !ok {
		return bad("auto, path or virtual", "addressing is %q", c.Addressing)
	}
	return c, u, c.Credentials.check(o)
}

// Client is a client of one store. All methods may be called concurrently.
type Client struct {
	minio.Core
	// Config has the defaults filled in.
	Config Config

	source    *source
	transport *http.Transport
}

// New returns a client. It sends nothing.
func New(cfg Config, o Owner) (*Client, error) {
	cfg, endpoint, err := cfg.complete(o)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(cfg, o)
	if err != nil {
		return nil, err
	}
	source := newSource(o, cfg.Credentials)
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:        source.credentials,
		Secure:       endpoint.Scheme == "https",
		Transport:    transport,
		Region:       cfg.Region,
		BucketLookup: lookups[cfg.Addressing],
		MaxRetries:   1, // one attempt: repeating is for those who know what for
	})
	if err != nil {
		return nil, o.fault(fault.Permanent, "bad_config", "endpoint %s: %w", cfg.Endpoint, err)
	}
	return &Client{Core: minio.Core{Client: client}, Config: cfg, source: source, transport: transport}, nil
}

// Refused has the credentials read again before the next request.
func (c *Client) Refused() { c.source.credentials.Expire() }

// Close closes the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
