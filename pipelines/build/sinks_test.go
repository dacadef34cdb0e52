package build

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/sinks/s3"
)

// What is pending for a bucket that the file no longer names goes there with the credentials that the file has for the store.
func TestADestinationOfBeforeHasTheCredentialsOfItsStore(t *testing.T) {
	const keys = "bucket: after, credentials: { access_key_id: id, secret_access_key: { secret: env:LEAT_TEST_NO_SUCH_VARIABLE } }"
	for _, c := range []struct {
		store  string
		before s3.Config
	}{
		{"endpoint: http://127.0.0.1:1", s3.Config{Endpoint: "http://127.0.0.1:1", Bucket: "before"}},
		{"endpoint: http://127.0.0.1:1/", s3.Config{Endpoint: "http://127.0.0.1:1", Bucket: "before"}},
		{"region: eu-west-1", s3.Config{Region: "eu-west-1", Bucket: "before"}},
	} {
		for _, where := range []string{
			"sinks: [ { name: out, s3: { %s, %s } } ]",
			"sinks: [ { name: out, file: { dir: out } } ]\ndead_letters: { s3: { %s, %s } }",
		} {
			text := "version: 1\npipeline: p\nsource: { stream: s }\n" + fmt.Sprintf(where, c.store, keys)
			p, err := spec.Parse("p.yaml", []byte(text), spec.Options{})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			before, err := s3.New(c.before)
			if err != nil {
				t.Fatal(err)
			}
			sink, err := (&builder{spec: p[0]}).reopen(before.Destination())
			if err != nil {
				t.Fatal(err)
			}
			// The keys are asked for before anything is sent.
			if err := sink.(delivery.Prober).Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "LEAT_TEST_NO_SUCH_VARIABLE") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}
