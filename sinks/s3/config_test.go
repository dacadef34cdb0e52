package s3_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/sinks/s3"
	"github.com/leatstream/leat/sinks/sinktest"
	"github.com/leatstream/leat/sinks/sinktest/miniotest"
)

func TestNewRefusesBadConfigurations(t *testing.T) {
	noCert := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noCert, []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := s3.Config{Endpoint: "http://127.0.0.1:9000", Bucket: "bucket"}
	for name, change := range map[string]func(*s3.Config){
		"no bucket":         func(c *s3.Config) { c.Bucket = "" },
		"bucket":            func(c *s3.Config) { c.Bucket = "a/b" },
		"no scheme":         func(c *s3.Config) { c.Endpoint = "127.0.0.1:9000" },
		"scheme":            func(c *s3.Config) { c.Endpoint = "s3://bucket" },
		"path":              func(c *s3.Config) { c.Endpoint += "/bucket" },
		"user":              func(c *s3.Config) { c.Endpoint = "http://user:hunter2@host" },
		"addressing":        func(c *s3.Config) { c.Addressing = "dns" },
		"threshold":         func(c *s3.Config) { c.MultipartThreshold = -1 },
		"part size":         func(c *s3.Config) { c.PartSize = 1 << 20 },
		"no CA file":        func(c *s3.Config) { c.CAFile = noCert + "x" },
		"empty CA file":     func(c *s3.Config) { c.CAFile = noCert },
		"no secret key":     func(c *s3.Config) { c.Credentials.AccessKey = fixed("x") },
		"only a token":      func(c *s3.Config) { c.Credentials.SessionToken = fixed("x") },
		"threshold too big": func(c *s3.Config) { c.MultipartThreshold = 6 << 30 },
	} {
		cfg := good
		change(&cfg)
		_, err := s3.New(cfg)
		if fault.ClassOf(err) != fault.Permanent || !strings.HasPrefix(fault.CodeOf(err), "sink.s3.bad_") {
			t.Errorf("%s: error is %v", name, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats a password: %v", name, err)
		}
	}
	if _, err := s3.New(good); err != nil {
		t.Error(err)
	}
}

func TestDestinationOpensTheSamePlaceAgain(t *testing.T) {
	sink := open(t, s3.Config{Bucket: "bucket", Region: "eu-central-1"})
	d := sink.Destination()
	const want = `{"endpoint":"https://s3.eu-central-1.amazonaws.com","bucket":"bucket","region":"eu-central-1","addressing":"auto",` +
		`"multipart_threshold":16777216,"part_size":16777216}`
	if d.Kind != "s3" || string(d.Config) != want {
		t.Errorf("destination is %s %s", d.Kind, d.Config)
	}
}

func writeProfile(t *testing.T, path, profile, key, secret string) {
	t.Helper()
	text := "[other]\naws_access_key_id = no\naws_secret_access_key = no\n\n[" + profile + "]\n" +
		"aws_access_key_id = " + key + "\naws_secret_access_key = " + secret + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsAreReadAgain(t *testing.T) {
	server := miniotest.Start(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	var secret atomic.Value
	for name, c := range map[string]struct {
		from  s3.Credentials
		wrong func()
		right func()
	}{
		"file changed": {
			s3.Credentials{File: file, Profile: "leat"},
			func() { writeProfile(t, file, "leat", server.AccessKey, "wrong-secret") },
			func() { writeProfile(t, file, "leat", server.AccessKey, server.SecretKey) },
		},
		"usual file": {
			s3.Credentials{},
			func() { _ = os.Remove(file) },
			func() { writeProfile(t, file, "default", server.AccessKey, server.SecretKey) },
		},
		"resolver": {
			s3.Credentials{AccessKey: fixed(server.AccessKey), SecretKey: func() (string, error) { return secret.Load().(string), nil }},
			func() { secret.Store("wrong-secret") },
			func() { secret.Store(server.SecretKey) },
		},
		"environment": {
			s3.Credentials{},
			func() {
				t.Setenv("AWS_ACCESS_KEY_ID", server.AccessKey)
				t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
			},
			func() { t.Setenv("AWS_SECRET_ACCESS_KEY", server.SecretKey) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			cfg := config(server, server.Bucket(t))
			cfg.Credentials = c.from
			sink := open(t, cfg)
			chunk := sinktest.Random("x/", 10)
			for range 2 { // there and back again
				c.wrong()
				err := sink.Put(t.Context(), &chunk.Chunk)
				// Good keys from a resolver or the environment are used for a while.
				if err != nil && fault.ClassOf(err) != fault.Unauthorized {
					t.Errorf("with wrong keys: %v", err)
				}
				c.right()
				if err := sink.Put(t.Context(), &chunk.Chunk); err != nil {
					t.Errorf("with the right keys: %v", err)
				}
				time.Sleep(5 * time.Millisecond) // files' times differ
			}
		})
	}
}

func TestCredentialsThatCannotBeHad(t *testing.T) {
	vault := errors.New("the vault is sealed")
	for name, from := range map[string]s3.Credentials{
		"resolver": {AccessKey: fixed("x"), SecretKey: func() (string, error) { return "", vault }},
		"empty":    {AccessKey: fixed("x"), SecretKey: fixed("")},
		"no file":  {File: filepath.Join(t.TempDir(), "credentials")},
	} {
		sink := open(t, s3.Config{Endpoint: "http://127.0.0.1:1", Bucket: "bucket", Credentials: from})
		c := sinktest.Random("x/", 10)
		err := sink.Put(t.Context(), &c.Chunk)
		if fault.ClassOf(err) != fault.Unauthorized || fault.CodeOf(err) != "sink.s3.no_credentials" {
			t.Errorf("%s: %v", name, err)
		}
		if name == "resolver" && !errors.Is(err, vault) {
			t.Errorf("%s: the cause is lost: %v", name, err)
		}
	}
}

func TestACertificateThatIsNotTrusted(t *testing.T) {
	server := miniotest.StartOwn(t, miniotest.Options{TLS: true})
	cfg := config(server, "bucket")
	cfg.CAFile = ""
	for endpoint, code := range map[string]string{
		server.URL():                             "sink.s3.tls",
		"http://" + server.Endpoint:              "", // MinIO answers with a plain 400
		"https://" + miniotest.Start(t).Endpoint: "sink.s3.tls",
	} {
		cfg.Endpoint = endpoint
		err := open(t, cfg).Probe(t.Context())
		if err == nil || fault.ClassOf(err) == fault.Permanent || code != "" && (fault.CodeOf(err) != code || fault.ClassOf(err) != fault.Unauthorized) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestAMissingBucket(t *testing.T) {
	sink := open(t, config(miniotest.Start(t), "no-such-bucket"))
	for _, n := range []int64{10, threshold} {
		c := sinktest.Random("x/", n)
		err := sink.Put(t.Context(), &c.Chunk)
		if fault.CodeOf(err) != "sink.s3.no_such_bucket" || fault.ClassOf(err) != fault.Unauthorized {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := sink.Probe(t.Context()); fault.CodeOf(err) != "sink.s3.no_such_bucket" {
		t.Errorf("Probe: %v", err)
	}
}

// Answers that a MinIO on a healthy machine does not give.
func TestClassesOfAnswers(t *testing.T) {
	for answer, want := range map[string]struct {
		class fault.Class
		code  string
	}{
		"503 SlowDown":                     {fault.Throttled, "sink.s3.slow_down"},
		"429 ":                             {fault.Throttled, "sink.s3.slow_down"},
		"503 ServiceUnavailable":           {fault.Unavailable, "sink.s3.unavailable"},
		"503 ":                             {fault.Unavailable, "sink.s3.unavailable"},
		"500 InternalError":                {fault.Retryable, "sink.s3.failed"},
		"403 RequestTimeTooSkewed":         {fault.Unavailable, "sink.s3.clock_skew"},
		"400 ExpiredToken":                 {fault.Unauthorized, "sink.s3.expired_credentials"},
		"403 ":                             {fault.Unauthorized, "sink.s3.access_denied"},
		"401 Whatever":                     {fault.Unauthorized, "sink.s3.access_denied"},
		"400 AuthorizationHeaderMalformed": {fault.Unauthorized, "sink.s3.wrong_region"},
		"301 PermanentRedirect":            {fault.Unauthorized, "sink.s3.wrong_region"},
		"507 XMinioStorageFull":            {fault.Unavailable, "sink.s3.store_full"},
		"501 NotImplemented":               {fault.Unauthorized, "sink.s3.not_implemented"},
		"400 KeyTooLongError":              {fault.Permanent, "sink.bad_key"},
		"400 SomethingNew":                 {fault.Retryable, "sink.s3.failed"},
		"409 ConditionalRequestConflict":   {fault.Retryable, "sink.s3.busy"},
		"400 XAmzContentSHA256Mismatch":    {fault.Retryable, "sink.s3.damaged_on_the_way"},
	} {
		status, code, _ := strings.Cut(answer, " ")
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.WriteHeader(int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0'))
			if code != "" {
				_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>as told</Message></Error>"))
			}
		}))
		sink := open(t, s3.Config{
			Endpoint: server.URL, Bucket: "bucket",
			Credentials: s3.Credentials{AccessKey: fixed("x"), SecretKey: fixed("y")},
		})
		c := sinktest.Random("x/", 10)
		err := sink.Put(t.Context(), &c.Chunk)
		if fault.ClassOf(err) != want.class || fault.CodeOf(err) != want.code {
			t.Errorf("%s: class %s, code %s: %v", answer, fault.ClassOf(err), fault.CodeOf(err), err)
		}
		server.Close()
	}
}
