package s3

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/leatstream/leat/core/fault"
)

// Defaults and limits of sizes, in bytes, and of ages.
const (
	DefaultMultipartThreshold = 16 << 20
	DefaultPartSize           = 16 << 20
	MinPartSize               = 5 << 20 // S3's, except for the last part
	MaxPartSize               = 5 << 30 // S3's, also for a single put
	DefaultOrphanAge          = time.Hour
)

const defaultRegion = "us-east-1"

// Config says where and how to write. The JSON form is what Destination gives.
type Config struct {
	// Endpoint is the store's URL, https://host or http://host:port; empty is AWS in Region.
	Endpoint string `json:"endpoint,omitempty"`
	Bucket   string `json:"bucket"`
	// Region is part of the signature; empty is us-east-1, which stores other than AWS take as a rule.
	Region string `json:"region,omitempty"`
	// Addressing is where the bucket's name stands: path (endpoint/bucket), virtual (bucket.endpoint) or auto, the default:
	// virtual for AWS, Google and Aliyun, path for all others.
	Addressing string `json:"addressing,omitempty"`
	// CAFile is a PEM file of certificate authorities to trust besides the system's.
	CAFile string `json:"ca_file,omitempty"`
	// KeyPrefix is what all keys begin with, as far as it is fixed. Start leaves uploads elsewhere alone.
	KeyPrefix string `json:"key_prefix,omitempty"`
	// MultipartThreshold is the body size in bytes from which on uploads are multipart, at most 5 GiB; 0 is 16 MiB.
	MultipartThreshold int64 `json:"multipart_threshold,omitempty"`
	// PartSize is the size in bytes of all parts but the last, 5 MiB to 5 GiB; 0 is 16 MiB. Bodies of more than 10,000 parts
	// get larger ones.
	PartSize int64 `json:"part_size,omitempty"`
	// StorageClass is as S3 names them (STANDARD_IA, …); empty is the bucket's default.
	StorageClass string `json:"storage_class,omitempty"`
	// OrphanAge is the age from which on Start aborts an upload that nobody will finish; 0 is one hour.
	OrphanAge time.Duration `json:"-"`
	// Credentials says where the keys come from; the zero value looks where AWS's tools look.
	Credentials Credentials `json:"-"`
}

var lookups = map[string]minio.BucketLookupType{
	"auto": minio.BucketLookupAuto, "path": minio.BucketLookupPath, "virtual": minio.BucketLookupDNS,
}

// URL is Endpoint, without a slash at its end, or if it is empty that of AWS in Region.
func (c Config) URL() string {
	if c.Endpoint != "" {
		return strings.TrimSuffix(c.Endpoint, "/")
	}
	return "https://s3." + cmp.Or(c.Region, defaultRegion) + ".amazonaws.com"
}

// complete checks c and fills in defaults.
func (c Config) complete() (Config, *url.URL, error) {
	bad := func(hint, format string, args ...any) (Config, *url.URL, error) {
		return c, nil, fault.New(fault.Permanent, "sink.s3.bad_config", "s3 sink: "+format, args...).WithHint("%s", hint)
	}
	c.Endpoint, c.Region = c.URL(), cmp.Or(c.Region, defaultRegion)
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		// The URL is not repeated: it might hold a password.
		return bad("as in https://s3.example.com or http://127.0.0.1:9000, without a path, a user or a bucket", "the endpoint is not the URL of a store")
	}
	if err := s3utils.CheckValidBucketName(c.Bucket); err != nil {
		return bad("3 to 63 lower-case letters, digits, hyphens and dots", "bucket %q: %v", c.Bucket, err)
	}
	if c.Addressing == "" {
		c.Addressing = "auto"
	}
	if _, ok := lookups[c.Addressing]; !ok {
		return bad("auto, path or virtual", "addressing is %q", c.Addressing)
	}
	if c.MultipartThreshold == 0 {
		c.MultipartThreshold = DefaultMultipartThreshold
	}
	if c.MultipartThreshold < 1 || c.MultipartThreshold > MaxPartSize {
		return bad("1 byte to 5 GiB", "multipart_threshold is %d bytes", c.MultipartThreshold)
	}
	if c.PartSize == 0 {
		c.PartSize = DefaultPartSize
	}
	if c.PartSize < MinPartSize || c.PartSize > MaxPartSize {
		return bad("5 MiB to 5 GiB", "part_size is %d bytes", c.PartSize)
	}
	if c.OrphanAge == 0 {
		c.OrphanAge = DefaultOrphanAge
	}
	return c, u, c.Credentials.check()
}

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

func newTransport(c Config) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fault.New(fault.Permanent, "sink.s3.bad_ca_file", "s3 sink: ca_file: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Permanent, "sink.s3.bad_ca_file", "s3 sink: ca_file %s has no certificate in PEM form", c.CAFile)
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
