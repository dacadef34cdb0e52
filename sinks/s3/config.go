package s3

import (
	"cmp"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/s3client"
)

// Defaults and limits of sizes, in bytes, and of ages.
const (
	DefaultMultipartThreshold = 16 << 20
	DefaultPartSize           = 16 << 20
	MinPartSize               = 5 << 20 // S3's, except for the last part
	MaxPartSize               = 5 << 30 // S3's, also for a single put
	DefaultOrphanAge          = time.Hour
)

// Credentials says where the keys come from.
type Credentials = s3client.Credentials

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

// client is the part of c that is about the store.
func (c Config) client() s3client.Config {
	return s3client.Config{
		Endpoint: c.Endpoint, Bucket: c.Bucket, Region: c.Region, Addressing: c.Addressing, CAFile: c.CAFile, Credentials: c.Credentials,
	}
}

// URL is Endpoint, without a slash at its end, or if it is empty that of AWS in Region.
func (c Config) URL() string { return c.client().URL() }

// open makes a client, and checks c and fills in its defaults.
func (c Config) open() (Config, *s3client.Client, error) {
	client, err := s3client.New(c.client(), s3client.Owner{Code: "sink.s3", Text: "s3 sink"})
	if err != nil {
		return c, nil, err
	}
	bad := func(hint, format string, args ...any) (Config, *s3client.Client, error) {
		return c, nil, fault.New(fault.Permanent, "sink.s3.bad_config", "s3 sink: "+format, args...).WithHint("%s", hint)
	}
	c.Endpoint, c.Region, c.Addressing = client.Config.Endpoint, client.Config.Region, client.Config.Addressing
	c.MultipartThreshold = cmp.Or(c.MultipartThreshold, DefaultMultipartThreshold)
	if c.MultipartThreshold < 1 || c.MultipartThreshold > MaxPartSize {
		return bad("1 byte to 5 GiB", "multipart_threshold is %d bytes", c.MultipartThreshold)
	}
	c.PartSize = cmp.Or(c.PartSize, DefaultPartSize)
	if c.PartSize < MinPartSize || c.PartSize > MaxPartSize {
		return bad("5 MiB to 5 GiB", "part_size is %d bytes", c.PartSize)
	}
	c.OrphanAge = cmp.Or(c.OrphanAge, DefaultOrphanAge)
	return c, client, nil
}
