package builtin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/s3client"
	"github.com/leatstream/leat/core/setting"
)

// S3Object is an object in an S3-compatible store.
type S3Object struct {
	setting.Node
	Endpoint    string               `yaml:"endpoint" match:"url" doc:"URL of the store; AWS in the region if absent."`
	Bucket      string               `yaml:"bucket,required" match:"bucket" doc:"The bucket."`
	Key         string               `yaml:"key,required" doc:"Key of the object."`
	Region      string               `yaml:"region" default:"us-east-1" match:"region" doc:"Region of the bucket."`
	PathStyle   *bool                `yaml:"path_style" doc:"Bucket in the path rather than in the host name. Default: true with an endpoint."`
	CAFile      string               `yaml:"ca_file" path:"file" doc:"PEM file of certificate authorities to trust in addition to the system's."`
	Credentials *setting.Credentials `yaml:"credentials" doc:"Default: the environment (AWS_ACCESS_KEY_ID, …), then the shared credentials file."`
}

// objectTimeout is how long the reading of an object may take.
const objectTimeout = 5 * time.Minute

// open prepares the reading of an object of up to so many bytes.
func (c *S3Object) open(most int64) (*objectReference, error) {
	client, err := s3client.New(s3client.Config{
		Endpoint: c.Endpoint, Bucket: c.Bucket, Region: c.Region, Addressing: s3client.Addressing(c.PathStyle), CAFile: c.CAFile,
		Credentials: s3client.Given(c.Credentials),
	}, s3client.Owner{Code: "enrich.s3", Text: "enrich from s3"})
	if err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			return nil, f.At(c.Place())
		}
		return nil, err
	}
	return &objectReference{client, c.Key, most}, nil
}

// objectReference is an object in a bucket; its version is the ETag.
type objectReference struct {
	client *s3client.Client
	key    string
	most   int64
}

func (o *objectReference) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	info, err := o.client.StatObject(ctx, o.client.Config.Bucket, o.key, minio.StatObjectOptions{})
	return info.ETag, o.failed(err)
}

// read reads the object into memory.
func (o *objectReference) read(ctx context.Context, use func(from io.ReaderAt, size int64) error) error {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	body, info, _, err := o.client.GetObject(ctx, o.client.Config.Bucket, o.key, minio.GetObjectOptions{})
	if err != nil {
		return o.failed(err)
	}
	defer func() { _ = body.Close() }()
	if info.Size > o.most {
		return errTableTooLarge{o.most}
	}
	content, err := io.ReadAll(io.LimitReader(body, o.most+1))
	switch {
	case err != nil:
		return o.failed(err)
	case int64(len(content)) > o.most:
		return errTableTooLarge{o.most}
	}
	return use(bytes.NewReader(content), int64(len(content)))
}

func (o *objectReference) String() string {
	return fmt.Sprintf("%s/%s/%s", o.client.Config.Endpoint, o.client.Config.Bucket, o.key)
}

// failed gives an error of a request a class. What a person can put right is never Permanent.
func (o *objectReference) failed(err error) error {
	var f *fault.Error
	var r minio.ErrorResponse
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.As(err, &r) && (r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized):
		o.client.Refused()
		return fault.New(fault.Unauthorized, "enrich.s3.access_denied", "%s (%w)", r.Code, err).
			WithHint("check the keys, and allow s3:GetObject on the object")
	}
	return fault.New(fault.Unavailable, "enrich.s3.unavailable", "%w", err)
}
