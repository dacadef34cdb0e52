package builtin_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/sinks/sinktest/miniotest"
	"github.com/leatstream/leat/transforms/builtin"
)

func TestMain(m *testing.M) {
	code := miniotest.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func putObject(t *testing.T, server *miniotest.Server, bucket, key, content string) {
	t.Helper()
	_, err := server.Client(t).PutObject(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// enriched gives a transform one record, and returns what became of it or the error about the batch.
func enriched(t *testing.T, tr stage.Transform, data string) (string, error) {
	t.Helper()
	in := record.NewBatch()
	defer in.Release()
	in.Add(record.Record{Data: []byte(data)})
	out := new(stage.Output)
	out.Reset()
	if err := tr.Apply(t.Context(), in, out); err != nil {
		return "", err
	}
	if len(out.Outs) == 0 {
		return fmt.Sprint(out.Results[0].Status, out.Results[0].Code), nil
	}
	return string(out.Outs[0].Data), nil
}

func TestAReferenceInAStore(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	var log testenv.Log
	c := &builtin.Enrich{
		By: ".id", Format: "auto", Key: "id", Overwrite: true, Missing: "keep", Delimiter: ",", Refresh: setting.Duration(50 * time.Millisecond), Memory: 1 << 20,
		S3: &builtin.S3Object{Endpoint: server.URL(), Bucket: bucket, Key: "ref/v.csv.gz", Region: "us-east-1", Credentials: &setting.Credentials{
			AccessKeyID: setting.PlainSecret(server.AccessKey, ""), SecretAccessKey: setting.PlainSecret(server.SecretKey, ""),
		}},
	}
	tr, err := c.Open(t.Context(), builtin.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tr.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	// As long as there is none, nothing is blamed on records.
	if _, err := enriched(t, tr, `{"id":1}`); fault.ClassOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "ref/v.csv.gz") {
		t.Errorf("without an object: %v", err)
	}
	putObject(t, server, bucket, "ref/v.csv.gz", "id,v\n1\n")
	if _, err := enriched(t, tr, `{"id":1}`); fault.ClassOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "wrong number of fields") {
		t.Errorf("with a broken object: %v", err)
	}
	putObject(t, server, bucket, "ref/v.csv.gz", gzipped(t, "id,v\n1,one\n"))
	if got, err := enriched(t, tr, `{"id":1}`); got != `{"id":1,"v":"one"}` {
		t.Fatal(got, err)
	}
	becoming := func(want string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			got, err := enriched(t, tr, `{"id":1}`)
			if got == want {
				return
			}
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("got %s, %v, want %s\n%s", got, err, want, &log)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	putObject(t, server, bucket, "ref/v.csv.gz", "id,v\n1,uno\n")
	becoming(`{"id":1,"v":"uno"}`)
	putObject(t, server, bucket, "ref/v.csv.gz", "id,v\n1,"+strings.Repeat("x", 2<<20)+"\n")
	for deadline := time.Now().Add(time.Minute); log.Count("more than 1 MiB") == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is said about an object that is too large")
		}
	}
	becoming(`{"id":1,"v":"uno"}`)
	putObject(t, server, bucket, "ref/v.csv.gz", "id,v\n1,eins\n")
	becoming(`{"id":1,"v":"eins"}`)
}

func TestAReferenceInAStoreThatRefuses(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	putObject(t, server, bucket, "v.json", `{"id":1,"v":1.50}`)
	secret := func(name string) string {
		return "{ by: .id, key: id, s3: { endpoint: '" + server.URL() + "', bucket: " + bucket + ", key: v.json, credentials: { access_key_id: '" + server.AccessKey + "', secret_access_key: { secret: 'env:" + name + "' } } } }"
	}
	tr := open(t, "enrich", secret("SECRET")) // which is another one
	if _, err := enriched(t, tr, `{"id":1}`); fault.ClassOf(err) != fault.Unauthorized {
		t.Errorf("with a wrong key: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", server.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.SecretKey)
	tr = open(t, "enrich", "{ by: .id, key: id, into: .r, s3: { endpoint: '"+server.URL()+"', bucket: "+bucket+", key: v.json } }")
	if got, err := enriched(t, tr, `{"id":1}`); got != `{"id":1,"r":{"v":1.50}}` {
		t.Error(got, err)
	}
	refused(t, "enrich", map[string]string{
		"{ by: .id, key: id, s3: { bucket: b.., key: v.json } }":                                       "bucket",
		"{ by: .id, key: id, s3: { bucket: bucket, key: v } }":                                         "does not tell the format",
		"{ by: .id, key: id, s3: { bucket: bucket, key: v.json }, file: x.csv }":                       "only one",
		"{ by: .id, key: id, s3: { bucket: bucket, key: v.json, credentials: { access_key_id: x } } }": "both access_key_id and secret_access_key",
		"{ by: .id, key: id, s3: { bucket: bucket, key: v.json, ca_file: /nowhere } }":                 "ca_file",
	})
}

// The errors of a network name the port of each connection: that is no news.
func TestAStoreThatBreaksOffIsSaidOnce(t *testing.T) {
	var broken atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() > 0 {
			broken.Add(1)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0) // so that it is reset
				_ = conn.Close()
			}
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat))
		http.ServeContent(w, r, "v.csv", time.Time{}, strings.NewReader("id,v\n1,one\n"))
	}))
	defer store.Close()
	var log testenv.Log
	c := &builtin.Enrich{
		By: ".id", Format: "auto", Key: "id", Missing: "keep", Delimiter: ",", Refresh: setting.Duration(time.Millisecond), Memory: 1 << 20,
		S3: &builtin.S3Object{Endpoint: store.URL, Bucket: "bucket", Key: "v.csv", Region: "us-east-1", Credentials: &setting.Credentials{
			AccessKeyID: setting.PlainSecret("a", ""), SecretAccessKey: setting.PlainSecret("b", ""),
		}},
	}
	tr, err := c.Open(t.Context(), builtin.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := enriched(t, tr, `{"id":1}`); got != `{"id":1,"v":"one"}` {
		t.Fatal(got, err)
	}
	broken.Store(1)
	for deadline := time.Now().Add(time.Minute); broken.Load() < 20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the store is not asked")
		}
	}
	if err := tr.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := log.Count("level=WARN"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
}
