package s3_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/sinks/s3"
	"github.com/leatstream/leat/sinks/sinktest"
	"github.com/leatstream/leat/sinks/sinktest/miniotest"
)

var (
	_ delivery.Sink     = (*s3.Sink)(nil)
	_ delivery.Destiner = (*s3.Sink)(nil)
	_ delivery.Prober   = (*s3.Sink)(nil)
	_ delivery.Starter  = (*s3.Sink)(nil)
)

// fixed resolves to a value that does not change.
func fixed(value string) func() (string, error) {
	return func() (string, error) { return value, nil }
}

func TestMain(m *testing.M) { os.Exit(miniotest.Run(m)) }

// threshold keeps multipart bodies of the tests small: two parts.
const threshold = 5 << 20

func config(server *miniotest.Server, bucket string) s3.Config {
	return s3.Config{
		Endpoint: server.URL(), Bucket: bucket, CAFile: server.CAFile,
		MultipartThreshold: threshold, PartSize: s3.MinPartSize, OrphanAge: time.Nanosecond,
		Credentials: s3.Credentials{AccessKey: fixed(server.AccessKey), SecretKey: fixed(server.SecretKey)},
	}
}

func open(t testing.TB, cfg s3.Config) *s3.Sink {
	t.Helper()
	s, err := s3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func uploads(t testing.TB, server *miniotest.Server, bucket string) []minio.ObjectMultipartInfo {
	t.Helper()
	list, err := minio.Core{Client: server.Client(t)}.ListMultipartUploads(context.Background(), bucket, "", "", "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list.Uploads
}

func destination(t *testing.T, server *miniotest.Server) sinktest.Destination {
	bucket := server.Bucket(t)
	sink := func(change func(*s3.Config)) func(t *testing.T) delivery.Sink {
		return func(t *testing.T) delivery.Sink {
			cfg := config(server, bucket)
			change(&cfg)
			return open(t, cfg)
		}
	}
	return sinktest.Destination{
		Open:    sink(func(*s3.Config) {}),
		Objects: func(t *testing.T) map[string][]byte { return server.Objects(t, bucket) },
		Plant: func(t *testing.T, key string, body []byte) {
			_, err := server.Client(t).PutObject(t.Context(), bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
		},
		Leave: func(t *testing.T, c *delivery.Chunk) {
			core := minio.Core{Client: server.Client(t)}
			id, err := core.NewMultipartUpload(t.Context(), bucket, c.Key, minio.PutObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := core.PutObjectPart(t.Context(), bucket, c.Key, id, 1, strings.NewReader("half"), 4, minio.PutObjectPartOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		Leftovers: func(t *testing.T) int { return len(uploads(t, server, bucket)) },
		Unreachable: sink(func(c *s3.Config) {
			c.Endpoint = "http://127.0.0.1:1"
		}),
		Denied: sink(func(c *s3.Config) {
			c.Credentials.SecretKey = fixed("not-the-secret-key")
		}),
		Secrets: []string{server.SecretKey, "not-the-secret-key"},
	}
}

func TestSuite(t *testing.T) {
	sinktest.Run(t, sinktest.Setup{Threshold: threshold, New: func(t *testing.T) sinktest.Destination {
		return destination(t, miniotest.Start(t))
	}})
}

// Over TLS the library takes other paths: it does not sign bodies in chunks there.
func TestSuiteOverTLS(t *testing.T) {
	server := miniotest.StartOwn(t, miniotest.Options{TLS: true})
	sinktest.Run(t, sinktest.Setup{Threshold: threshold, New: func(t *testing.T) sinktest.Destination {
		return destination(t, server)
	}})
}

func TestObjectsCarryIDTypeAndChecksum(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	sink := open(t, config(server, bucket))
	for _, n := range []int64{1000, threshold + 1} {
		c := sinktest.Random("x/", n)
		c.ContentType, c.ContentEncoding = "application/x-ndjson", "gzip"
		if err := sink.Put(t.Context(), &c.Chunk); err != nil {
			t.Fatal(err)
		}
		info, err := server.Client(t).StatObject(t.Context(), bucket, c.Key, minio.StatObjectOptions{Checksum: true})
		if err != nil {
			t.Fatal(err)
		}
		if info.UserMetadata["Leat-Id"] != c.ID || len(info.UserMetadata["Leat-Sha256"]) != 64 {
			t.Errorf("metadata is %v", info.UserMetadata)
		}
		if info.ContentType != "application/x-ndjson" || info.Metadata.Get("Content-Encoding") != "gzip" {
			t.Errorf("headers are %v", info.Metadata)
		}
		if info.ChecksumSHA256 == "" {
			t.Errorf("%d bytes: the store keeps no SHA-256", n)
		}
		if multipart := strings.Contains(info.ETag, "-2"); multipart != (n > threshold) {
			t.Errorf("%d bytes: ETag is %s", n, info.ETag)
		}
	}
}

// between is a proxy before the server that may see to it that answers get lost.
type between struct {
	*httptest.Server
	// swallow says whether the answer to this request is thrown away after the server has given it.
	swallow atomic.Pointer[func(*http.Request) bool]
	// before, if set, is called with each request before the server gets it.
	before   func(*http.Request)
	requests atomic.Int64
}

func newBetween(t *testing.T, server *miniotest.Server) *between {
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	b := &between{}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, // the host is signed
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		ModifyResponse: func(r *http.Response) error {
			if f := b.swallow.Load(); f != nil && (*f)(r.Request) {
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		if b.before != nil {
			b.before(r)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

// lose throws away the answers to the next n requests that match.
func (b *between) lose(n int64, match func(*http.Request) bool) {
	var lost atomic.Int64
	f := func(r *http.Request) bool { return match(r) && lost.Add(1) <= n }
	b.swallow.Store(&f)
}

func TestALostAnswerLeavesOneObject(t *testing.T) {
	server := miniotest.Start(t)
	query := func(r *http.Request, name string) bool { return r.URL.Query().Has(name) }
	for name, c := range map[string]struct {
		size  int64
		match func(*http.Request) bool
	}{
		"put":      {1000, func(r *http.Request) bool { return r.Method == http.MethodPut }},
		"begin":    {threshold + 1, func(r *http.Request) bool { return r.Method == http.MethodPost && query(r, "uploads") }},
		"part":     {threshold + 1, func(r *http.Request) bool { return query(r, "partNumber") }},
		"complete": {threshold + 1, func(r *http.Request) bool { return r.Method == http.MethodPost && query(r, "uploadId") }},
		"all":      {threshold + 1, func(r *http.Request) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := server.Bucket(t)
			proxy := newBetween(t, server)
			cfg := config(server, bucket)
			cfg.Endpoint = proxy.URL
			sink := open(t, cfg)
			chunk := sinktest.Random("x/", c.size)
			proxy.lose(4, c.match)
			failures := 0
			for sink.Put(t.Context(), &chunk.Chunk) != nil {
				if failures++; failures > 20 {
					t.Fatal("no put succeeds")
				}
			}
			if failures == 0 {
				t.Errorf("no put failed: nothing was tested")
			}
			objects := server.Objects(t, bucket)
			if len(objects) != 1 || !bytes.Equal(objects[chunk.Key], chunk.Bytes) {
				t.Errorf("there are %d objects", len(objects))
			}
			if left := uploads(t, server, bucket); len(left) != 0 {
				t.Errorf("%d uploads are left", len(left))
			}
		})
	}
}

// One part that is lost does not make the whole body travel again.
func TestALostPartIsSentAgainAlone(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	proxy := newBetween(t, server)
	cfg := config(server, bucket)
	cfg.Endpoint = proxy.URL
	proxy.lose(1, func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" })
	c := sinktest.Random("x/", 2*threshold+1)
	if err := open(t, cfg).Put(t.Context(), &c.Chunk); err != nil {
		t.Fatal(err)
	}
	// HEAD, list, begin, three parts and one again, complete.
	if n := proxy.requests.Load(); n != 8 {
		t.Errorf("the put took %d requests", n)
	}
	if !bytes.Equal(server.Objects(t, bucket)[c.Key], c.Bytes) {
		t.Errorf("the object is not the chunk's")
	}
}

// Somebody else's object that appears while a put is under way stays: the condition is on the last request of each kind of
// upload, not only on what was looked at before.
func TestAForeignObjectInTheMiddleOfAPutStays(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	for _, n := range []int64{1000, threshold + 1} {
		proxy := newBetween(t, server)
		cfg := config(server, bucket)
		cfg.Endpoint = proxy.URL
		c := sinktest.Random("x/", n)
		proxy.before = func(r *http.Request) {
			if n < threshold && r.Method == http.MethodPut || r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
				_, err := server.Client(t).PutObject(context.Background(), bucket, c.Key, strings.NewReader("theirs"), 6, minio.PutObjectOptions{})
				if err != nil {
					t.Error(err)
				}
			}
		}
		err := open(t, cfg).Put(t.Context(), &c.Chunk)
		if fault.CodeOf(err) != "sink.conflict" || fault.ClassOf(err) != fault.Permanent {
			t.Errorf("%d bytes: %v", n, err)
		}
		if got := server.Objects(t, bucket)[c.Key]; string(got) != "theirs" {
			t.Errorf("%d bytes: the other's object has become %d bytes", n, len(got))
		}
	}
	if left := uploads(t, server, bucket); len(left) != 0 {
		t.Errorf("%d uploads are left", len(left))
	}
}

// A large object that is there is not sent a second time.
func TestALargeObjectThatIsThereIsNotSentAgain(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	sink := open(t, config(server, bucket))
	c := sinktest.Random("x/", threshold)
	if err := sink.Put(t.Context(), &c.Chunk); err != nil {
		t.Fatal(err)
	}
	c.OnRead(func(int64) error {
		t.Errorf("the body is read")
		return nil
	})
	if err := sink.Put(t.Context(), &c.Chunk); err != nil {
		t.Fatal(err)
	}
}

func TestStartAbortsOnlyWhatIsCertainlyAbandoned(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	core := minio.Core{Client: server.Client(t)}
	pending, done, elsewhere := sinktest.Random("in/", 1), sinktest.Random("in/", 1), sinktest.Random("other/", 1)
	for _, key := range []string{pending.Key, done.Key, elsewhere.Key, "in/somebody-elses.bin"} {
		if _, err := core.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	start := func(age time.Duration) string {
		cfg := config(server, bucket)
		cfg.KeyPrefix, cfg.OrphanAge = "in/", age
		if err := open(t, cfg).Start(t.Context(), func(id string) bool { return id == pending.ID }); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, u := range uploads(t, server, bucket) {
			keys = append(keys, u.Key)
		}
		return strings.Join(keys, " ")
	}
	if left := start(0); strings.Count(left, " ") != 3 {
		t.Errorf("within the first hour there are only %s", left)
	}
	left := start(time.Nanosecond)
	if strings.Count(left, " ") != 2 || strings.Contains(left, done.ID) {
		t.Errorf("left are %s", left)
	}
}

func TestAnOutageEndsAndPutsSucceed(t *testing.T) {
	server := miniotest.StartOwn(t, miniotest.Options{})
	bucket := server.Bucket(t)
	sink := open(t, config(server, bucket))
	small, large := sinktest.Random("x/", 1000), sinktest.Random("x/", threshold+1)
	if err := sink.Put(t.Context(), &small.Chunk); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	for _, c := range []*sinktest.Chunk{sinktest.Random("x/", 1000), large} {
		if err := sink.Put(t.Context(), &c.Chunk); fault.ClassOf(err) != fault.Unavailable || fault.CodeOf(err) != "sink.s3.unreachable" {
			t.Errorf("during the outage: %v", err)
		}
	}
	server.Restart(t)
	for _, c := range []*sinktest.Chunk{small, large} {
		if err := sink.Put(t.Context(), &c.Chunk); err != nil {
			t.Errorf("after the outage: %v", err)
		}
	}
	if got := server.Objects(t, bucket); len(got) != 2 {
		t.Errorf("there are %d objects", len(got))
	}
}
