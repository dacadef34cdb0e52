package kinesis

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/core/wire"
)

// eachHTTP runs a test with the SDK's client over HTTP/1.1 and over HTTP/2 with prior knowledge, for a server that gives
// up a client after patience. Each subscription needs a client of its own: those of one client share a buffer without a lock
// (smithy-go 1.28.8, Codec.payloadBuf), which the race detector sees.
func eachHTTP(t *testing.T, cfg Config, patience time.Duration, test func(t *testing.T, w *fanWorld, client func() *sdk.Client)) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(version, func(t *testing.T) {
			w := newFanWorld(t, cfg, 1)
			var protocols http.Protocols
			protocols.SetHTTP1(version == "HTTP/1.1")
			protocols.SetUnencryptedHTTP2(version == "HTTP/2")
			transport := &http.Transport{Protocols: &protocols}
			t.Cleanup(transport.CloseIdleConnections)
			addr := listen(t, w.API, patience)
			test(t, w, func() *sdk.Client {
				return sdk.New(sdk.Options{
					BaseEndpoint: aws.String("http://" + addr), Region: "us-east-1", HTTPClient: &http.Client{Transport: transport},
					Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
						return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "any"}, nil
					}),
				})
			})
		})
	}
}

// listen serves an API on a port until the test ends, and returns the address.
func listen(t testing.TB, api *API, patience time.Duration) string {
	server, err := wire.NewServer(wire.Config{Services: []wire.Service{api.Service()}, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func subscribe(t *testing.T, c *sdk.Client, consumer *string, from types.ShardIteratorType) *sdk.SubscribeToShardEventStream {
	t.Helper()
	out, err := c.SubscribeToShard(t.Context(), &sdk.SubscribeToShardInput{
		ConsumerARN: consumer, ShardId: aws.String("shardId-000000000000"), StartingPosition: &types.StartingPosition{Type: from}})
	if err != nil {
		t.Fatal(err)
	}
	stream := out.GetStream()
	t.Cleanup(func() { stream.Close() })
	return stream
}

// nextEvent returns the next event, or nil at the end of the stream.
func nextEvent(t *testing.T, stream *sdk.SubscribeToShardEventStream) *types.SubscribeToShardEvent {
	t.Helper()
	switch e := (<-stream.Events()).(type) {
	case nil:
		return nil
	case *types.SubscribeToShardEventStreamMemberSubscribeToShardEvent:
		return &e.Value
	default:
		t.Fatalf("event %T", e)
		return nil
	}
}

func TestTheSDKForGoReadsAShardBySubscription(t *testing.T) {
	eachHTTP(t, Config{}, 0, func(t *testing.T, w *fanWorld, client func() *sdk.Client) {
		c, ctx := client(), t.Context()
		made, err := c.RegisterStreamConsumer(ctx, &sdk.RegisterStreamConsumerInput{StreamARN: w.arn(), ConsumerName: aws.String("c")})
		if err != nil {
			t.Fatal(err)
		}
		consumer := made.Consumer.ConsumerARN
		described, err := c.DescribeStreamConsumer(ctx, &sdk.DescribeStreamConsumerInput{ConsumerARN: consumer})
		if err != nil || described.ConsumerDescription.ConsumerStatus != types.ConsumerStatusActive {
			t.Fatalf("described %+v, %v", described, err)
		}
		listed, err := c.ListStreamConsumers(ctx, &sdk.ListStreamConsumersInput{StreamARN: w.arn()})
		if err != nil || len(listed.Consumers) != 1 || *listed.Consumers[0].ConsumerARN != *consumer {
			t.Fatalf("listed %+v, %v", listed, err)
		}
		numbers := w.put("a", "b")
		stream := subscribe(t, client(), consumer, types.ShardIteratorTypeTrimHorizon)
		first := nextEvent(t, stream)
		if len(first.Records) != 2 || string(first.Records[1].Data) != "b" || *first.Records[1].SequenceNumber != numbers[1] ||
			*first.Records[1].PartitionKey != "k" || first.Records[1].ApproximateArrivalTimestamp == nil || *first.MillisBehindLatest != 0 {
			t.Fatalf("first event %+v", first)
		}
		w.put("c")
		if second := nextEvent(t, stream); len(second.Records) != 1 || string(second.Records[0].Data) != "c" {
			t.Fatalf("second event %+v", second)
		}
		_, err = c.SubscribeToShard(ctx, &sdk.SubscribeToShardInput{ConsumerARN: consumer, ShardId: aws.String("shardId-000000000000"),
			StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
		var inUse *types.ResourceInUseException
		if !errors.As(err, &inUse) {
			t.Errorf("a second call at once got %v", err)
		}
		if _, err := c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: aws.String("birds"), ShardToSplit: aws.String("shardId-000000000000"),
			NewStartingHashKey: aws.String("170141183460469231731687303715884105728")}); err != nil {
			t.Fatal(err)
		}
		var children []string
		for e := nextEvent(t, stream); e != nil; e = nextEvent(t, stream) {
			for _, child := range e.ChildShards {
				children = append(children, *child.ShardId)
			}
			if len(children) > 0 && e.ContinuationSequenceNumber != nil {
				t.Errorf("the last event continues at %s", *e.ContinuationSequenceNumber)
			}
		}
		if want := []string{"shardId-000000000001", "shardId-000000000002"}; !slices.Equal(children, want) || stream.Err() != nil {
			t.Errorf("the stream ended with children %v, %v", children, stream.Err())
		}
	})
}

func TestTheSDKForGoIsToldWhyASubscriptionEnds(t *testing.T) {
	eachHTTP(t, Config{}, 0, func(t *testing.T, w *fanWorld, client func() *sdk.Client) {
		c := client()
		deregistered := subscribe(t, client(), w.register("c"), types.ShardIteratorTypeLatest)
		orphan := subscribe(t, client(), w.register("d"), types.ShardIteratorTypeLatest)
		if _, err := c.DeregisterStreamConsumer(t.Context(), &sdk.DeregisterStreamConsumerInput{StreamARN: w.arn(), ConsumerName: aws.String("c")}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.DeleteStream(t.Context(), &sdk.DeleteStreamInput{StreamARN: w.arn(), EnforceConsumerDeletion: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		for what, stream := range map[string]*sdk.SubscribeToShardEventStream{"Consumer c": deregistered, "Stream birds": orphan} {
			for nextEvent(t, stream) != nil {
			}
			var gone *types.ResourceNotFoundException
			if err := stream.Err(); !errors.As(err, &gone) || gone.ErrorMessage()[:len(what)] != what {
				t.Errorf("%s: the stream ended with %v", what, err)
			}
		}
	})
}

// Time limits of writes must not end a connection on which there is nothing to write.
func TestAQuietSubscriptionOutlivesTheServersPatience(t *testing.T) {
	const patience = 300 * time.Millisecond
	eachHTTP(t, Config{}, patience, func(t *testing.T, w *fanWorld, client func() *sdk.Client) {
		stream := subscribe(t, client(), w.register("c"), types.ShardIteratorTypeLatest)
		nextEvent(t, stream)
		time.Sleep(3 * patience)
		w.put("a")
		if e := nextEvent(t, stream); e == nil || len(e.Records) != 1 {
			t.Errorf("got %+v, %v", e, stream.Err())
		}
	})
}
