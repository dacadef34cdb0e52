package build

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/core/arn"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/spec"
)

// A handler sees the names that clients of the API see.
func TestHandlersSeeTheAccountAndTheRegionOfTheAPI(t *testing.T) {
	testenv.Program(t, "tee", "apt-get install coreutils")
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yaml")
	const text = `version: 1
pipeline: birds
source: { stream: sightings }
transforms:
  - { name: keep, lambda: { command: [ tee, events ] } }
sinks:
  - { name: out, stdout: {} }
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[arn.Owner][3]string{
		{Account: "123456789012", Region: "eu-central-1"}: {
			"arn:aws:firehose:eu-central-1:123456789012:deliverystream/birds", "arn:aws:kinesis:eu-central-1:123456789012:stream/sightings", "eu-central-1",
		},
		{}: {"arn:aws:firehose:us-east-1:000000000000:deliverystream/birds", "arn:aws:kinesis:us-east-1:000000000000:stream/sightings", "us-east-1"},
	} {
		pipelines, err := spec.Load(file, spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		chain, err := Chain(t.Context(), pipelines[0], Options{Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		if err := chain.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		event, err := os.ReadFile(filepath.Join(dir, "events"))
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ DeliveryStreamArn, SourceKinesisStreamArn, Region string }
		if err := json.Unmarshal(event, &got); err != nil || [3]string{got.DeliveryStreamArn, got.SourceKinesisStreamArn, got.Region} != want {
			t.Errorf("%+v: %s: %v", owner, event, err)
		}
	}
}
