package s3_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/delivery/deliverytest"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/sinks/s3"
	"github.com/leatstream/leat/sinks/sinktest/miniotest"
)

// buckets lets the crash schedules of package delivery run against MinIO: a place is a bucket.
type buckets struct {
	t      *testing.T
	server *miniotest.Server
}

func (b buckets) Sink(place string) (delivery.Sink, error) {
	client, ctx := b.server.Client(b.t), context.Background()
	exists, err := client.BucketExists(ctx, place)
	if err == nil && !exists {
		err = client.MakeBucket(ctx, place, minio.MakeBucketOptions{})
	}
	if err != nil {
		return nil, err
	}
	return s3.New(config(b.server, place))
}

func (b buckets) Open(d delivery.Destination) (delivery.Sink, error) {
	var cfg s3.Config
	if err := json.Unmarshal(d.Config, &cfg); err != nil {
		return nil, err
	}
	cfg.Credentials = config(b.server, cfg.Bucket).Credentials
	return s3.New(cfg)
}

func (b buckets) Objects(place string) (map[string][]byte, error) {
	exists, err := b.server.Client(b.t).BucketExists(context.Background(), place)
	if err != nil || !exists {
		return nil, err
	}
	return b.server.Objects(b.t, place), nil
}

func TestEveryRecordIsInOneObjectOfTheBucketThroughCrashes(t *testing.T) {
	store := buckets{t, miniotest.Start(t)}
	most := uint64(testenv.Count(8, 200))
	var next atomic.Uint64
	var workers sync.WaitGroup
	for range 4 { // at a time: most of a schedule is to wait for the disk
		workers.Go(func() {
			for seed := next.Add(1) - 1; seed < most && !t.Failed(); seed = next.Add(1) - 1 {
				if err := deliverytest.Schedule(seed, store, deliverytest.None); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}
