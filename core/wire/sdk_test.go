package wire_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/core/wire/wiretest"
)

// sdk is a client of the SDK for a service that has the target of Kinesis.
func sdk(t *testing.T, operations map[string]wire.Handler) *kinesis.Client {
	addr := serve(t, wire.Config{Services: []wire.Service{{Target: "Kinesis_20131202", Operations: operations}}})
	return kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String("http://" + addr), Region: "us-east-1", HTTPClient: client(t, h1, ""),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "any"}, nil
		}),
	})
}

func TestTheSDKForGoReadsAnswersErrorsAndSignsWhatIsParsed(t *testing.T) {
	var signature wire.Signature
	c := sdk(t, map[string]wire.Handler{
		"DescribeLimits": func(_ context.Context, r *wire.Request) (any, error) {
			signature = r.Signature
			return &struct{ ShardLimit, OpenShardCount int32 }{500, 3}, nil
		},
		"DeleteStream": func(context.Context, *wire.Request) (any, error) {
			return nil, &wire.Error{Code: "ResourceNotFoundException", Message: "Stream a under account b not found."}
		},
	})
	out, err := c.DescribeLimits(context.Background(), nil)
	if err != nil || *out.ShardLimit != 500 || *out.OpenShardCount != 3 {
		t.Errorf("read %+v, %v", out, err)
	}
	if signature.AccessKey != "AKIDEXAMPLE" || signature.Region != "us-east-1" || signature.Service != "kinesis" {
		t.Errorf("signed by %+v", signature)
	}
	_, err = c.DeleteStream(context.Background(), &kinesis.DeleteStreamInput{StreamName: aws.String("a")})
	var gone *types.ResourceNotFoundException
	if !errors.As(err, &gone) || gone.ErrorMessage() != "Stream a under account b not found." {
		t.Errorf("read %v", err)
	}
}

func TestTheSDKForGoTriesAgainWhenMemoryIsShort(t *testing.T) {
	t.Parallel()
	tries := 0
	c := sdk(t, map[string]wire.Handler{"DescribeLimits": func(ctx context.Context, _ *wire.Request) (any, error) {
		if tries++; tries < 3 {
			return nil, wire.Reserve(ctx, 1<<40) // more than there will ever be
		}
		return &struct{}{}, nil
	}})
	if _, err := c.DescribeLimits(context.Background(), nil); err != nil || tries != 3 {
		t.Errorf("%d tries and %v", tries, err)
	}
}

func TestTheSDKForGoReadsEventsAndExceptions(t *testing.T) {
	type event struct {
		ContinuationSequenceNumber string
		MillisBehindLatest         int64
		Records                    []struct{}
	}
	c := sdk(t, map[string]wire.Handler{"SubscribeToShard": func(context.Context, *wire.Request) (any, error) {
		return &wire.EventStream{Run: func(_ context.Context, send wire.Send) error {
			if err := send("SubscribeToShardEvent", &event{"42", 7, nil}); err != nil {
				return err
			}
			return &wire.Error{Code: "ResourceInUseException", Message: "Another subscription took over."}
		}}, nil
	}})
	out, err := c.SubscribeToShard(context.Background(), &kinesis.SubscribeToShardInput{
		ConsumerARN: aws.String("c"), ShardId: aws.String("s"), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
	if err != nil {
		t.Fatal(err)
	}
	stream := out.GetStream()
	defer stream.Close()
	got, ok := (<-stream.Events()).(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
	if !ok || *got.Value.ContinuationSequenceNumber != "42" || *got.Value.MillisBehindLatest != 7 {
		t.Errorf("read %+v", got)
	}
	if e, more := <-stream.Events(); more {
		t.Errorf("read %+v", e)
	}
	var taken *types.ResourceInUseException
	if err := stream.Err(); !errors.As(err, &taken) || taken.ErrorMessage() != "Another subscription took over." {
		t.Errorf("the stream ended with %v", err)
	}
}

func FuzzEventStreamsAreReadByTheSDKForGo(f *testing.F) {
	f.Add("CountEvent", "ann", false)
	f.Add("", strings.Repeat("x", 70000), true)
	f.Fuzz(func(t *testing.T, kind, name string, cbor bool) {
		if len(kind) > 1000 {
			return
		}
		s := greeter()
		s.Operations["Say"] = func(context.Context, *wire.Request) (any, error) {
			return &wire.EventStream{Run: func(_ context.Context, send wire.Send) error { return send(kind, &greeting{Name: &name}) }}, nil
		}
		c := wiretest.New(t, s)
		if cbor {
			c.Format = wire.CBOR
		}
		raw, err := c.Raw("Say", &greeting{})
		if err != nil {
			t.Fatal(err)
		}
		r := bytes.NewReader(raw)
		for _, want := range []string{"initial-response", kind} {
			m, err := eventstream.NewDecoder().Decode(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Headers.Get(":event-type").String(); got != want {
				t.Fatalf("event %q, want %q", got, want)
			}
			var out greeting
			if err := wire.Unmarshal(c.Format, m.Payload, &out); err != nil {
				t.Fatal(err)
			}
			if want == kind && *out.Name != strings.ToValidUTF8(name, "\ufffd") && !strings.Contains(*out.Name, "\ufffd") {
				t.Fatalf("payload %q", m.Payload)
			}
		}
		if r.Len() > 0 {
			t.Fatalf("%d bytes are left", r.Len())
		}
	})
}
