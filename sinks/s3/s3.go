// Package s3 is the sink that writes each object to a bucket of S3 or of a store that speaks its protocol, exactly once.
//
// An object below Config.MultipartThreshold is one PUT, a larger one a multipart upload; both are conditional
// (If-None-Match: *), so that the first put of a key wins, and both carry the chunk's id and SHA-256 as metadata. When the
// key is taken, a HEAD tells by the id whether an earlier put of this chunk took it, which is success, or somebody else.
// The SHA-256 that was sealed is also the signed hash of the payload: the store refuses a body that is not the sealed one. It is
// sent as a checksum too, which the store keeps to check the object with later.
//
// A store that ignores the condition is safe as long as nobody else writes to leat's keys: a key contains the chunk's
// id, so that a second put writes the same bytes again. Only the alarm about a foreign object is lost there.
//
// Nothing is retried here except single parts of a multipart upload: delivery repeats the put. An upload that could not
// be aborted is aborted by the next put of its key or, if there is none, by Start.
//
// Permissions needed: s3:PutObject, s3:GetObject (for HEAD), s3:AbortMultipartUpload; s3:ListBucketMultipartUploads to find
// abandoned uploads; s3:ListBucket lets the store say that a key is free rather than forbidden.
package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/s3client"
)

// Names of the user metadata of each object (x-amz-meta-…), as minio-go spells them when it reads them back.
const (
	metaID     = "Leat-Id"
	metaSHA256 = "Leat-Sha256"
)

// Sink writes to one bucket. All methods may be called concurrently.
type Sink struct {
	cfg    Config
	core   minio.Core
	client *s3client.Client
}

// New returns a sink. It sends nothing: Probe and Start do.
func New(cfg Config) (*Sink, error) {
	cfg, client, err := cfg.open()
	if err != nil {
		return nil, err
	}
	return &Sink{cfg: cfg, core: client.Core, client: client}, nil
}

// Destination is the configuration without credentials. A sink that is opened from it needs those again.
func (s *Sink) Destination() delivery.Destination {
	config, err := json.Marshal(s.cfg)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return delivery.Destination{Kind: "s3", Config: config}
}

// Close closes the connections that are not in use.
func (s *Sink) Close(context.Context) error {
	s.client.Close()
	return nil
}

// Put writes the chunk's object.
func (s *Sink) Put(ctx context.Context, c *delivery.Chunk) error {
	if err := checkKey(c.Key); err != nil {
		return err
	}
	body, err := c.Open()
	if err != nil {
		return fault.New(fault.Retryable, "sink.body_unreadable", "%s: open the body: %w", s.where(c.Key), err)
	}
	defer func() { _ = body.Close() }()
	content := &content{body: body}
	if c.Size < s.cfg.MultipartThreshold {
		err = s.putOnce(ctx, c, content)
	} else {
		err = s.putParts(ctx, c, content)
	}
	switch {
	case err == nil:
		return nil
	case content.failure() != nil:
		return s.unreadable(c, content.failure())
	case isTaken(err):
		return s.recognize(ctx, c)
	case isMismatch(err):
		return s.mismatch(ctx, c, content, err)
	}
	return s.failed(c.Key, err)
}

// putOnce writes the object with one request.
func (s *Sink) putOnce(ctx context.Context, c *delivery.Chunk, content *content) error {
	opts := s.options(c)
	opts.SetMatchETagExcept("*")
	opts.UserMetadata["x-amz-checksum-sha256"] = base64.StdEncoding.EncodeToString(c.SHA256[:])
	section := io.NewSectionReader(content, 0, c.Size)
	_, err := s.core.PutObject(ctx, s.cfg.Bucket, c.Key, section, c.Size, "", hex.EncodeToString(c.SHA256[:]), opts)
	return err
}

// options are the object's headers, without the condition.
func (s *Sink) options(c *delivery.Chunk) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ContentType:     c.ContentType,
		ContentEncoding: c.ContentEncoding,
		StorageClass:    s.cfg.StorageClass,
		UserMetadata:    map[string]string{metaID: c.ID, metaSHA256: hex.EncodeToString(c.SHA256[:])},
		// Not the streaming signature, which signs chunk by chunk without a hash that is known before.
		DisableContentSha256: true,
		DisableMultipart:     true,
	}
}

// recognize looks at the object that holds the chunk's key: nil if it is the chunk's.
func (s *Sink) recognize(ctx context.Context, c *delivery.Chunk) error {
	info, err := s.core.StatObject(ctx, s.cfg.Bucket, c.Key, minio.StatObjectOptions{})
	switch {
	case err == nil:
	case minio.ToErrorResponse(err).StatusCode == http.StatusNotFound:
		// Another request for the key was under way, from a put that was given up, say.
		return fault.New(fault.Retryable, "sink.s3.busy", "%s: another request holds the key", s.where(c.Key))
	default:
		return s.failed(c.Key, err)
	}
	found := info.UserMetadata[metaID]
	if found != c.ID || info.Size != c.Size {
		return delivery.ConflictError("s3 sink "+s.cfg.Bucket, fmt.Sprintf("%q", c.Key), found, c.ID)
	}
	return nil
}

// mismatch tells why the store has found the body not to be what was announced: on the way, or in the spool.
func (s *Sink) mismatch(ctx context.Context, c *delivery.Chunk, content *content, err error) error {
	sum, readErr := content.digest(ctx, c.Size)
	switch {
	case readErr != nil:
		return s.unreadable(c, readErr)
	case sum != c.SHA256:
		return s.changed(c)
	}
	return fault.New(fault.Retryable, "sink.s3.damaged_on_the_way",
		"%s: the store received other bytes than were sent: %w", s.where(c.Key), err)
}

func (s *Sink) changed(c *delivery.Chunk) error {
	return fault.New(fault.Permanent, "sink.body_changed",
		"%s: the body is not the content of %d bytes that was sealed", s.where(c.Key), c.Size)
}

func (s *Sink) where(key string) string {
	where := "s3 sink " + s.cfg.Bucket
	if key != "" {
		where += fmt.Sprintf(": %q", key)
	}
	return where
}

// maxKey is the longest key that S3 takes, in bytes.
const maxKey = 1024

// checkKey refuses keys that stores or the proxies before them take for other keys. Other odd characters are escaped on
// the wire; what a store does not like of them, it says itself.
func checkKey(key string) error {
	bad := func(why string) error {
		return fault.New(fault.Permanent, "sink.bad_key", "s3 sink: key %.100q %s", key, why)
	}
	switch {
	case key == "" || strings.HasSuffix(key, "/"):
		return bad("names no object")
	case len(key) > maxKey:
		return bad("is longer than 1024 bytes")
	case strings.ToValidUTF8(key, "") != key:
		return bad("is not UTF-8")
	case key[0] == '/':
		return bad("is absolute")
	case strings.IndexByte(key, 0) >= 0:
		return bad("contains a NUL")
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "." || segment == ".." {
			return bad("has a segment " + segment)
		}
	}
	return nil
}
