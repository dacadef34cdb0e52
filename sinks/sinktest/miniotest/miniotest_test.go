package miniotest_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/sinks/sinktest/miniotest"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Run(m)) }

func store(t *testing.T, s *miniotest.Server, bucket, key, body string) {
	t.Helper()
	_, err := s.Client(t).PutObject(t.Context(), bucket, key, bytes.NewReader([]byte(body)), int64(len(body)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTestsShareOneServerAndHaveTheirOwnBuckets(t *testing.T) {
	a, b := miniotest.Start(t), miniotest.Start(t)
	if a != b {
		t.Errorf("two servers")
	}
	one, two := a.Bucket(t), a.Bucket(t)
	store(t, a, one, "key", "body")
	if got := a.Objects(t, one); len(got) != 1 || string(got["key"]) != "body" {
		t.Errorf("the bucket holds %q", got)
	}
	if got := a.Objects(t, two); len(got) != 0 {
		t.Errorf("the other bucket holds %q", got)
	}
}

func TestStopAndRestartKeepTheData(t *testing.T) {
	s := miniotest.StartOwn(t, miniotest.Options{TLS: true})
	bucket := s.Bucket(t)
	store(t, s, bucket, "key", "body")
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Client(t).ListBuckets(ctx); err == nil {
		t.Errorf("a stopped server answers")
	}
	s.Restart(t)
	if got := s.Objects(t, bucket); string(got["key"]) != "body" {
		t.Errorf("after a restart the bucket holds %q", got)
	}
}
