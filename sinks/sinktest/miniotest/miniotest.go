// Package miniotest runs a real MinIO server for tests of delivery to S3.
//
// The program is the minio on PATH, or else one that is built once with go install into the user's cache. Without it and
// without a way to build it, tests are skipped, or fail under LEAT_TEST_REQUIRE=1.
//
//	func TestMain(m *testing.M) { os.Exit(miniotest.Run(m)) }
//
//	func TestDelivery(t *testing.T) {
//		server := miniotest.Start(t)
//		bucket := server.Bucket(t)
//		…
//		objects := server.Objects(t, bucket)
//	}
package miniotest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/internal/testenv"
)

// ready is how long a server may take to answer.
const ready = 60 * time.Second

// Server is a MinIO process on a loopback port, with its own credentials and an empty directory.
type Server struct {
	// Endpoint is host:port, without a scheme.
	Endpoint string
	// AccessKey and SecretKey are the root user's, random.
	AccessKey, SecretKey string
	// CAFile is the PEM file of the CA that signed the server's certificate; empty for a server without TLS.
	CAFile string

	program, dir string
	transport    *http.Transport
	mu           sync.Mutex
	process      *exec.Cmd // nil while stopped
	exited       chan error
}

// shared is the server of a test binary whose TestMain calls Run.
var shared struct {
	sync.Mutex
	on     bool
	server *Server
}

// Run runs the tests of a package, lets them share one server, and stops it. Call it from TestMain.
func Run(m *testing.M) int {
	shared.on = true
	code := m.Run()
	if shared.server != nil {
		shared.server.close()
	}
	return code
}

// Start returns a running server. Under Run it is shared by all tests, so that a test must use buckets of its own and must
// not stop it; else it is the test's own.
func Start(t testing.TB) *Server {
	t.Helper()
	if !shared.on {
		return StartOwn(t, Options{})
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start(Options{}, program(t))
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server
}

// Options are what a test may want of its own server.
type Options struct {
	// TLS lets the server speak TLS only, with a certificate for 127.0.0.1 and localhost that a new CA has signed.
	TLS bool
}

// StartOwn starts a server that this test may stop and start again. It ends with the test.
func StartOwn(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := start(o, program(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func program(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		testenv.Missing(t, "no MinIO server: %v", err)
	}
	return path
}

func start(o Options, program string) (*Server, error) {
	dir, err := os.MkdirTemp("", "miniotest-")
	if err != nil {
		return nil, err
	}
	s := &Server{
		AccessKey: "user" + rand.Text()[:12], SecretKey: rand.Text() + rand.Text()[:8],
		program: program, dir: dir,
		// Connections are not kept, so that nothing of the harness runs while a test looks for leaked goroutines.
		transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	}
	if o.TLS {
		if err := s.makeCertificates(); err != nil {
			s.close()
			return nil, err
		}
	}
	for range 3 { // another process may take the port between choice and use
		if s.Endpoint, err = freePort(); err != nil {
			break
		}
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	s.close()
	return nil, err
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// start starts the process on s.Endpoint and waits until it answers.
func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(s.program, "server", "--quiet", "--address", s.Endpoint,
		"--certs-dir", filepath.Join(s.dir, "certs"), filepath.Join(s.dir, "data"))
	cmd.Env = []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"),
		"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off",
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start MinIO: %w", err)
	}
	s.process, s.exited = cmd, make(chan error, 1)
	go func() { s.exited <- cmd.Wait() }()

	client, err := s.client()
	if err != nil {
		return err
	}
	for end := time.Now().Add(ready); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := client.ListBuckets(ctx)
		cancel()
		if err == nil {
			return nil
		}
		if len(s.exited) > 0 || time.Now().After(end) {
			s.stop()
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("MinIO on %s does not answer: %w; its log:\n%s", s.Endpoint, err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop kills the process. The caller holds s.mu.
func (s *Server) stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.exited
	s.process = nil
}

// Stop kills the server. Its data stays.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

// Restart starts a stopped server again, on the same endpoint with the same data.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) close() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// URL is the endpoint with its scheme.
func (s *Server) URL() string {
	if s.CAFile != "" {
		return "https://" + s.Endpoint
	}
	return "http://" + s.Endpoint
}

func (s *Server) client() (*minio.Client, error) {
	return minio.New(s.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Secure: s.CAFile != "", Transport: s.transport, Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 3,
	})
}

// Client returns a client with the root user's rights that keeps no connections.
func (s *Server) Client(t testing.TB) *minio.Client {
	t.Helper()
	c, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Bucket makes an empty bucket and returns its name, which is new.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text())
	if err := s.Client(t).MakeBucket(context.Background(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatalf("make bucket %s: %v", name, err)
	}
	return name
}

// Objects reads all objects of a bucket: bodies by key.
func (s *Server) Objects(t testing.TB, bucket string) map[string][]byte {
	t.Helper()
	client := s.Client(t)
	objects := make(map[string][]byte)
	for info := range client.ListObjectsIter(context.Background(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if info.Err != nil {
			t.Fatalf("list bucket %s: %v", bucket, info.Err)
		}
		body, err := read(client, bucket, info.Key)
		if err != nil {
			t.Fatalf("read %s/%s: %v", bucket, info.Key, err)
		}
		objects[info.Key] = body
	}
	return objects
}

func read(client *minio.Client, bucket, key string) ([]byte, error) {
	// Core's Get is one request that ends with the body; Client's keeps a goroutine.
	body, _, _, err := minio.Core{Client: client}.GetObject(context.Background(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(body)
	return content, errors.Join(err, body.Close())
}
