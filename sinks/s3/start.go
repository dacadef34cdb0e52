package s3

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
)

// chunkID finds the ids of chunks in keys: UUIDs of version 7.
var chunkID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// Start aborts multipart uploads that no put will take up again, so that nobody pays for their parts. A listing shows the
// keys of uploads and no metadata. An upload counts as abandoned if
//
//   - its key starts with Config.KeyPrefix,
//   - its key contains a chunk id, the last one if there are several, and that chunk is not pending,
//   - it is older than Config.OrphanAge, so that uploads of other leat processes on the same bucket go on.
//
// Uploads of pending chunks are aborted by their next put.
func (s *Sink) Start(ctx context.Context, pending func(id string) bool) error {
	before := time.Now().Add(-s.cfg.OrphanAge)
	// The prefix is compared here: MinIO takes one only if it is a whole key.
	return s.eachUpload(ctx, "", func(u minio.ObjectMultipartInfo) error {
		ids := chunkID.FindAllString(u.Key, -1)
		if len(ids) == 0 || !strings.HasPrefix(u.Key, s.cfg.KeyPrefix) || u.Initiated.After(before) || pending(ids[len(ids)-1]) {
			return nil
		}
		return s.abort(ctx, u)
	})
}

// Probe checks endpoint, credentials, bucket and the permission to write by beginning a multipart upload and aborting it:
// that leaves nothing, and no other request that stores nothing needs the permission to store.
func (s *Sink) Probe(ctx context.Context) error {
	key := s.cfg.KeyPrefix + ".leat-probe-" + uuid.Must(uuid.NewV7()).String()
	upload, err := s.core.NewMultipartUpload(ctx, s.cfg.Bucket, key, minio.PutObjectOptions{StorageClass: s.cfg.StorageClass})
	if err != nil {
		return s.failed("", err)
	}
	return s.abort(ctx, minio.ObjectMultipartInfo{Key: key, UploadID: upload})
}
