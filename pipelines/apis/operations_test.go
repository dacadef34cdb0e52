package apis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"
)

// TestEveryOperationWithTheSDKForGo tells the life of a stream, over HTTP and over HTTP/2 with TLS. No operation that the
// SDK has may be missing from it.
func TestEveryOperationWithTheSDKForGo(t *testing.T) {
	w := start(t, Options{SelfSigned: true})
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "http", true: "https"}[secure], func(t *testing.T) {
			var mu sync.Mutex
			called := map[string]bool{}
			l := &life{t: t, stream: fmt.Sprintf("orders-%v", secure)}
			l.arn = aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/" + l.stream)
			l.Client = w.client(secure, func(o *kinesis.Options) {
				o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
					return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("record",
						func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
							mu.Lock()
							called[middleware.GetOperationName(ctx)] = true
							mu.Unlock()
							return next.HandleInitialize(ctx, in)
						}), middleware.After)
				})
			})
			l.isCreated()
			l.isTagged()
			l.takesAndGivesRecords()
			l.isResharded()
			l.pushesToConsumers()
			l.changesItsSettings()
			l.changesItsMode()
			l.hasPolicies()
			l.isNotEncryptedAndHasNoChannels()
			l.isDeleted()

			var missing []string
			for operation := range reflect.TypeFor[*kinesis.Client]().Methods() {
				if operation.Name != "Options" && !called[operation.Name] {
					missing = append(missing, operation.Name)
				}
			}
			if missing != nil || len(called) != 45 {
				t.Errorf("%d operations were called, not among them %v", len(called), missing)
			}
		})
	}
}

// life is that of one stream.
type life struct {
	*kinesis.Client
	t      *testing.T
	stream string
	arn    *string
}

func (l *life) equal(what string, got, want any) {
	l.t.Helper()
	if !reflect.DeepEqual(got, want) {
		l.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// refused checks that a call failed with an error of the service, which the SDK has a type for.
func refused[E error](l *life, what string, err error) {
	l.t.Helper()
	var want E
	if !errors.As(err, &want) {
		l.t.Errorf("%s: %v, want a %T", what, err, want)
	}
}

func (l *life) summary() *types.StreamDescriptionSummary {
	l.t.Helper()
	return must(l.DescribeStreamSummary(l.t.Context(), &kinesis.DescribeStreamSummaryInput{StreamARN: l.arn}))(l.t).StreamDescriptionSummary
}

func (l *life) isCreated() {
	t, ctx := l.t, l.t.Context()
	create := &kinesis.CreateStreamInput{StreamName: &l.stream, ShardCount: aws.Int32(2), Tags: map[string]string{"made": "now"}}
	must(l.CreateStream(ctx, create))(t)
	err := kinesis.NewStreamExistsWaiter(l).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: &l.stream}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.CreateStream(ctx, create)
	refused[*types.ResourceInUseException](l, "creating it twice", err)

	d := must(l.DescribeStream(ctx, &kinesis.DescribeStreamInput{StreamName: &l.stream}))(t).StreamDescription
	l.equal("ARN", *d.StreamARN, *l.arn)
	l.equal("status", d.StreamStatus, types.StreamStatusActive)
	l.equal("shards", len(d.Shards), 2)
	l.equal("retention", *d.RetentionPeriodHours, int32(24))
	l.equal("open shards", *l.summary().OpenShardCount, int32(2))
	names := must(l.ListStreams(ctx, &kinesis.ListStreamsInput{}))(t).StreamNames
	l.equal("names", slices.Contains(names, l.stream), true)
	limits := must(l.DescribeLimits(ctx, &kinesis.DescribeLimitsInput{}))(t)
	l.equal("shards of the account", *limits.OpenShardCount, int32(2))
	l.equal("shard limit", *limits.ShardLimit, int32(20_000))
}

func (l *life) isTagged() {
	t, ctx := l.t, l.t.Context()
	must(l.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: &l.stream, Tags: map[string]string{"a": "1", "b": "2"}}))(t)
	must(l.TagResource(ctx, &kinesis.TagResourceInput{ResourceARN: l.arn, Tags: map[string]string{"c": "3"}}))(t)
	must(l.RemoveTagsFromStream(ctx, &kinesis.RemoveTagsFromStreamInput{StreamName: &l.stream, TagKeys: []string{"a"}}))(t)
	must(l.UntagResource(ctx, &kinesis.UntagResourceInput{ResourceARN: l.arn, TagKeys: []string{"made"}}))(t)
	of := func(tags []types.Tag) (all []string) {
		for _, tag := range tags {
			all = append(all, *tag.Key+"="+*tag.Value)
		}
		return all
	}
	want := []string{"b=2", "c=3"}
	l.equal("tags of the stream", of(must(l.ListTagsForStream(ctx, &kinesis.ListTagsForStreamInput{StreamName: &l.stream}))(t).Tags), want)
	l.equal("tags of the resource", of(must(l.ListTagsForResource(ctx, &kinesis.ListTagsForResourceInput{ResourceARN: l.arn}))(t).Tags), want)
}

// read reads a shard from its beginning.
func (l *life) read(shard string) (data []string) {
	l.t.Helper()
	at := must(l.GetShardIterator(l.t.Context(), &kinesis.GetShardIteratorInput{
		StreamARN: l.arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}))(l.t).ShardIterator
	for at != nil {
		out := must(l.GetRecords(l.t.Context(), &kinesis.GetRecordsInput{ShardIterator: at}))(l.t)
		for _, r := range out.Records {
			data = append(data, string(r.Data))
		}
		if at = out.NextShardIterator; len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
			break
		}
	}
	return data
}

func (l *life) takesAndGivesRecords() {
	t, ctx := l.t, l.t.Context()
	put := must(l.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &l.stream, PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: []byte("one")}))(t)
	l.equal("shard", *put.ShardId, "shardId-000000000000")
	_, err := l.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &l.stream, PartitionKey: aws.String("k"), Data: []byte("x"), DryRun: aws.Bool(true)})
	refused[*types.DryRunOperationException](l, "a dry run", err)
	both := must(l.PutRecords(ctx, &kinesis.PutRecordsInput{StreamARN: l.arn, Records: []types.PutRecordsRequestEntry{
		{PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("1"), Data: []byte("two")},
		{PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("340282366920938463463374607431768211455"), Data: bytes.Repeat([]byte("x"), 1<<20-1)},
	}}))(t)
	l.equal("failed records", *both.FailedRecordCount, int32(0))
	l.equal("order", *put.SequenceNumber < *both.Records[0].SequenceNumber, true)
	l.equal("first shard", l.read("shardId-000000000000"), []string{"one", "two"})
	l.equal("second shard", len(l.read("shardId-000000000001")[0]), 1<<20-1)
	_, err = l.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("no iterator")})
	refused[*types.InvalidArgumentException](l, "an iterator of one's own", err)
}

func (l *life) isResharded() {
	t, ctx := l.t, l.t.Context()
	must(l.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: &l.stream, ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("1000000")}))(t)
	must(l.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: &l.stream, ShardToMerge: aws.String("shardId-000000000003"), AdjacentShardToMerge: aws.String("shardId-000000000001")}))(t)
	up := must(l.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: &l.stream, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling}))(t)
	l.equal("target", *up.TargetShardCount, int32(4))
	for *l.summary().OpenShardCount != 4 || l.summary().StreamStatus != types.StreamStatusActive {
		time.Sleep(10 * time.Millisecond)
	}
	open := must(l.ListShards(ctx, &kinesis.ListShardsInput{StreamARN: l.arn, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}}))(t).Shards
	l.equal("open shards", len(open), 4)
	l.equal("what was put before", l.read("shardId-000000000000"), []string{"one", "two"})
}

// pushesToConsumers subscribes to a shard that has ended and to one that goes on.
func (l *life) pushesToConsumers() {
	t, ctx := l.t, l.t.Context()
	c := must(l.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: l.arn, ConsumerName: aws.String("reader")}))(t).Consumer
	d := must(l.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: c.ConsumerARN}))(t).ConsumerDescription
	l.equal("consumer", *d.ConsumerName+" "+string(d.ConsumerStatus), "reader ACTIVE")
	l.equal("consumers", len(must(l.ListStreamConsumers(ctx, &kinesis.ListStreamConsumersInput{StreamARN: l.arn}))(t).Consumers), 1)

	subscribe := func(shard string, from types.ShardIteratorType) *kinesis.SubscribeToShardEventStream {
		return must(l.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
			ConsumerARN: c.ConsumerARN, ShardId: &shard, StartingPosition: &types.StartingPosition{Type: from},
		}))(t).GetStream()
	}
	ended := subscribe("shardId-000000000000", types.ShardIteratorTypeTrimHorizon)
	var data []string
	children := 0
	for e := range ended.Events() {
		event := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
		for _, r := range event.Records {
			data = append(data, string(r.Data))
		}
		children += len(event.ChildShards)
	}
	l.equal("end", ended.Err(), nil)
	l.equal("records of the shard that ended", data, []string{"one", "two"})
	l.equal("its children", children, 2)
	_ = ended.Close()

	open := must(l.ListShards(ctx, &kinesis.ListShardsInput{StreamARN: l.arn, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}}))(t).Shards
	live := subscribe(*open[0].ShardId, types.ShardIteratorTypeLatest)
	must(l.PutRecord(ctx, &kinesis.PutRecordInput{StreamARN: l.arn, PartitionKey: aws.String("k"), ExplicitHashKey: open[0].HashKeyRange.StartingHashKey, Data: []byte("live")}))(t)
	data = nil
	for data == nil { // the first event may be one that only tells how far the reader is
		event := (<-live.Events()).(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
		for _, r := range event.Records {
			data = append(data, string(r.Data))
		}
	}
	l.equal("what was put after", data, []string{"live"})
	_ = live.Close()
	must(l.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: c.ConsumerARN}))(t)
	_, err := l.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: c.ConsumerARN})
	refused[*types.ResourceNotFoundException](l, "a consumer that is gone", err)
}

func (l *life) changesItsSettings() {
	t, ctx := l.t, l.t.Context()
	must(l.IncreaseStreamRetentionPeriod(ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &l.stream, RetentionPeriodHours: aws.Int32(72)}))(t)
	must(l.DecreaseStreamRetentionPeriod(ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: &l.stream, RetentionPeriodHours: aws.Int32(48)}))(t)
	_, err := l.IncreaseStreamRetentionPeriod(ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &l.stream, RetentionPeriodHours: aws.Int32(24)})
	refused[*types.InvalidArgumentException](l, "an increase to less", err)
	must(l.UpdateMaxRecordSize(ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: l.arn, MaxRecordSizeInKiB: aws.Int32(10240)}))(t)
	must(l.PutRecord(ctx, &kinesis.PutRecordInput{StreamARN: l.arn, PartitionKey: aws.String("k"), Data: make([]byte, 10<<20-1)}))(t)
	on := must(l.EnableEnhancedMonitoring(ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: &l.stream, ShardLevelMetrics: []types.MetricsName{types.MetricsNameAll}}))(t)
	l.equal("metrics of shards", len(on.DesiredShardLevelMetrics), 7)
	off := must(l.DisableEnhancedMonitoring(ctx, &kinesis.DisableEnhancedMonitoringInput{StreamName: &l.stream, ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes}}))(t)
	l.equal("metrics of shards", len(off.DesiredShardLevelMetrics), 6)
	s := l.summary()
	l.equal("retention", *s.RetentionPeriodHours, int32(48))
	l.equal("largest record", *s.MaxRecordSizeInKiB, int32(10240))
}

func (l *life) changesItsMode() {
	t, ctx := l.t, l.t.Context()
	must(l.UpdateStreamMode(ctx, &kinesis.UpdateStreamModeInput{StreamARN: l.arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}}))(t)
	must(l.UpdateStreamRecordDistributionStrategy(ctx, &kinesis.UpdateStreamRecordDistributionStrategyInput{StreamARN: l.arn, RecordDistributionStrategy: types.RecordDistributionStrategyAuto}))(t)
	must(l.PutRecord(ctx, &kinesis.PutRecordInput{StreamARN: l.arn, Data: []byte("without a key")}))(t)

	must(l.UpdateAccountSettings(ctx, &kinesis.UpdateAccountSettingsInput{MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{
		Status: types.MinimumThroughputBillingCommitmentInputStatusEnabled,
	}}))(t)
	account := must(l.DescribeAccountSettings(ctx, &kinesis.DescribeAccountSettingsInput{}))(t)
	l.equal("commitment", account.MinimumThroughputBillingCommitment.Status, types.MinimumThroughputBillingCommitmentOutputStatusEnabled)
	must(l.UpdateStreamWarmThroughput(ctx, &kinesis.UpdateStreamWarmThroughputInput{StreamARN: l.arn, WarmThroughputMiBps: aws.Int32(6)}))(t)
	s := l.summary()
	l.equal("mode", s.StreamModeDetails.StreamMode, types.StreamModeOnDemand)
	l.equal("distribution", s.RecordDistributionStrategy, types.RecordDistributionStrategyAuto)
	l.equal("shards", *s.OpenShardCount, int32(6))
}

func (l *life) hasPolicies() {
	t, ctx := l.t, l.t.Context()
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kinesis:PutRecord","Resource":%q}]}`, *l.arn)
	must(l.PutResourcePolicy(ctx, &kinesis.PutResourcePolicyInput{ResourceARN: l.arn, Policy: &policy}))(t)
	l.equal("policy", *must(l.GetResourcePolicy(ctx, &kinesis.GetResourcePolicyInput{ResourceARN: l.arn}))(t).Policy, policy)
	must(l.DeleteResourcePolicy(ctx, &kinesis.DeleteResourcePolicyInput{ResourceARN: l.arn}))(t)
	_, err := l.GetResourcePolicy(ctx, &kinesis.GetResourcePolicyInput{ResourceARN: l.arn})
	refused[*types.ResourceNotFoundException](l, "a policy that is gone", err)
}

// isNotEncryptedAndHasNoChannels: nothing pretends to have done what is not built.
func (l *life) isNotEncryptedAndHasNoChannels() {
	ctx := l.t.Context()
	_, err := l.StartStreamEncryption(ctx, &kinesis.StartStreamEncryptionInput{StreamName: &l.stream, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")})
	refused[*types.KMSNotFoundException](l, "encryption", err)
	_, err = l.StopStreamEncryption(ctx, &kinesis.StopStreamEncryptionInput{StreamName: &l.stream, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")})
	refused[*types.InvalidArgumentException](l, "no encryption", err)
	l.equal("encryption", l.summary().EncryptionType, types.EncryptionTypeNone)

	channel := aws.String("arn:aws:kinesis:us-east-1:000000000000:channel/archive:1")
	_, err = l.CreateChannel(ctx, &kinesis.CreateChannelInput{
		ChannelName: aws.String("archive"), ServiceExecutionRoleARN: aws.String("arn:aws:iam::000000000000:role/r"),
		StreamConfigurationList: []types.ChannelStreamConfiguration{{
			StreamARN: l.arn, RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeJson},
		}},
		S3DestinationConfiguration: &types.S3DestinationConfiguration{StorageConfiguration: &types.S3StorageConfiguration{
			BucketARN: aws.String("arn:aws:s3:::bucket"), CompressionType: types.S3CompressionTypeNone, ExpectedBucketOwner: aws.String("000000000000"),
		}},
	})
	refused[*types.InvalidArgumentException](l, "a channel", err)
	_, err = l.DescribeChannel(ctx, &kinesis.DescribeChannelInput{ChannelARN: channel})
	refused[*types.ResourceNotFoundException](l, "describing a channel", err)
	_, err = l.UpdateChannel(ctx, &kinesis.UpdateChannelInput{ChannelARN: channel})
	refused[*types.ResourceNotFoundException](l, "changing a channel", err)
	_, err = l.DeleteChannel(ctx, &kinesis.DeleteChannelInput{ChannelARN: channel})
	refused[*types.ResourceNotFoundException](l, "deleting a channel", err)
	_, err = l.ListChannels(ctx, &kinesis.ListChannelsInput{})
	refused[*types.InvalidArgumentException](l, "listing channels", err)
}

func (l *life) isDeleted() {
	t, ctx := l.t, l.t.Context()
	must(l.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &l.stream, EnforceConsumerDeletion: aws.Bool(true)}))(t)
	err := kinesis.NewStreamNotExistsWaiter(l).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: &l.stream}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &l.stream, PartitionKey: aws.String("k"), Data: []byte("x")})
	refused[*types.ResourceNotFoundException](l, "a stream that is gone", err)
	if want := "Stream " + l.stream + " under account 000000000000 not found."; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want: %s", err, want)
	}
}
