package apis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on a data directory of its own.
type world struct {
	*Server
	t       *testing.T
	dir     *datadir.Dir
	metrics *observe.Metrics
	health  *observe.Health
}

// start starts a server on free ports. It is stopped when the test ends.
func start(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{t: t, metrics: observe.NewMetrics(), health: &observe.Health{}}
	o.Addr, o.Metrics, o.Health = "127.0.0.1:0", w.metrics, w.health
	if o.SelfSigned {
		o.TLSAddr = "127.0.0.1:0"
	}
	var err error
	if w.Server, err = Listen(o); err != nil {
		t.Fatal(err)
	}
	if w.dir, err = datadir.OpenMeasured(vfs.OS(), t.TempDir(), nil, w.metrics); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.dir.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.Start(w.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// client is the SDK's client for the server, over TLS or not. It trusts the server's authority and no other.
func (w *world) client(secure bool, change ...func(*kinesis.Options)) *kinesis.Client {
	w.t.Helper()
	endpoint, transport := w.Endpoint(), &http.Transport{}
	if secure {
		pem, err := os.ReadFile(w.Authority())
		if err != nil {
			w.t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		endpoint, transport.TLSClientConfig, transport.ForceAttemptHTTP2 = w.TLSEndpoint(), &tls.Config{RootCAs: roots}, true
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	o := kinesis.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", HTTPClient: &http.Client{Transport: transport}, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "any"}, nil
		}),
	}
	return kinesis.New(o, change...)
}

// must returns the output of a call that has to succeed: must(client.ListStreams(ctx, in))(t).
func must[Out any](out *Out, err error) func(*testing.T) *Out {
	return func(t *testing.T) *Out {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}
