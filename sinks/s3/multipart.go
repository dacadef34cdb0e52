package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

const (
	// maxParts is how many parts S3 takes.
	maxParts = 10_000
	// partAttempts is how often a part is sent before the put fails.
	partAttempts = 3
	// partBackoff is the longest wait before the second attempt; it doubles.
	partBackoff = 500 * time.Millisecond
	// abortTimeout bounds an abort, which goes on when the put's context has ended.
	abortTimeout = 2 * time.Second
)

// putParts writes the object as a multipart upload.
func (s *Sink) putParts(ctx context.Context, c *delivery.Chunk, content *content) error {
	// Unlike a small object's, this body is not sent for nothing to learn that it is there. An error is left to the upload.
	if _, err := s.core.StatObject(ctx, s.cfg.Bucket, c.Key, minio.StatObjectOptions{}); err == nil {
		return s.recognize(ctx, c)
	}
	// Uploads of this key are of earlier puts of this chunk: its id is in the key.
	if err := s.abortKey(ctx, c.Key); err != nil {
		return err
	}
	opts := s.options(c)
	opts.UserMetadata["x-amz-checksum-algorithm"] = "SHA256"
	upload, err := s.core.NewMultipartUpload(ctx, s.cfg.Bucket, c.Key, opts)
	if err != nil {
		return err
	}
	parts, err := s.sendParts(ctx, c, content, upload)
	if err == nil {
		var condition minio.PutObjectOptions
		condition.SetMatchETagExcept("*")
		_, err = s.core.CompleteMultipartUpload(ctx, s.cfg.Bucket, c.Key, upload, parts, condition)
	}
	if err != nil {
		// If the upload was completed after all and only the answer is missing, there is nothing to abort.
		abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		_ = s.core.AbortMultipartUpload(abort, s.cfg.Bucket, c.Key, upload)
	}
	return err
}

// sendParts sends the parts one after the other and checks that together they are the content that was sealed.
func (s *Sink) sendParts(ctx context.Context, c *delivery.Chunk, content *content, upload string) ([]minio.CompletePart, error) {
	size := max(s.cfg.PartSize, (c.Size+maxParts-1)/maxParts)
	whole := sha256.New()
	var parts []minio.CompletePart
	for off := int64(0); off < c.Size; off += size {
		n := min(size, c.Size-off)
		hash := sha256.New()
		if err := content.hash(ctx, off, n, io.MultiWriter(hash, whole)); err != nil {
			return nil, err
		}
		part, err := s.sendPart(ctx, c.Key, upload, len(parts)+1, io.NewSectionReader(content, off, n), hash.Sum(nil))
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if [32]byte(whole.Sum(nil)) != c.SHA256 {
		return nil, s.changed(c)
	}
	return parts, nil
}

// sendPart sends one part, again if that may help.
func (s *Sink) sendPart(ctx context.Context, key, upload string, number int, body *io.SectionReader, sum []byte) (minio.CompletePart, error) {
	part := minio.CompletePart{PartNumber: number, ChecksumSHA256: base64.StdEncoding.EncodeToString(sum)}
	opts := minio.PutObjectPartOptions{
		Sha256Hex: hex.EncodeToString(sum), DisableContentSha256: true,
		CustomHeader: http.Header{"X-Amz-Checksum-Sha256": {part.ChecksumSHA256}},
	}
	for attempt := 1; ; attempt++ {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return part, err
		}
		sent, err := s.core.PutObjectPart(ctx, s.cfg.Bucket, key, upload, number, body, body.Size(), opts)
		if err == nil {
			part.ETag = sent.ETag
			return part, nil
		}
		class := fault.ClassOf(s.failed(key, err))
		if attempt == partAttempts || class == fault.Permanent || class == fault.Unauthorized || isMismatch(err) || isGone(err) {
			return part, err
		}
		select {
		case <-ctx.Done():
			return part, err
		case <-time.After(rand.N(partBackoff << (attempt - 1))):
		}
	}
}

// abortKey aborts all uploads of a key.
func (s *Sink) abortKey(ctx context.Context, key string) error {
	return s.eachUpload(ctx, key, func(u minio.ObjectMultipartInfo) error {
		if u.Key != key {
			return nil
		}
		return s.abort(ctx, u)
	})
}

func (s *Sink) abort(ctx context.Context, u minio.ObjectMultipartInfo) error {
	err := s.core.AbortMultipartUpload(ctx, s.cfg.Bucket, u.Key, u.UploadID)
	if err != nil && !isGone(err) {
		return s.failed(u.Key, err)
	}
	return nil
}

// eachUpload calls do with the bucket's uploads whose keys start with prefix. A store that does not let leat list them, or
// cannot, has none.
func (s *Sink) eachUpload(ctx context.Context, prefix string, do func(minio.ObjectMultipartInfo) error) error {
	var key, id string
	for {
		page, err := s.core.ListMultipartUploads(ctx, s.cfg.Bucket, prefix, key, id, "", 1000)
		if err != nil {
			if code := minio.ToErrorResponse(err).Code; code == "AccessDenied" || code == "NotImplemented" {
				return nil
			}
			return s.failed("", err)
		}
		for _, u := range page.Uploads {
			if err := do(u); err != nil {
				return err
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == key && page.NextUploadIDMarker == id {
			return nil
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// isGone says that an upload is not there (any more).
func isGone(err error) bool {
	var response minio.ErrorResponse
	return errors.As(err, &response) && response.Code == "NoSuchUpload"
}
