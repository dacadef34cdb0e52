package kinesis

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestTheSDKForGoListsAndReshardsShards(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 2)
	c, ctx, name := s.sdkClient(), t.Context(), aws.String("s")

	if _, err := c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: aws.String("shardId-000000000001"),
		NewStartingHashKey: aws.String("270141183460469231731687303715884105728")}); err != nil {
		t.Errorf("SplitShard: %v", err)
	}
	if _, err := c.MergeShards(ctx, &sdk.MergeShardsInput{StreamName: name, ShardToMerge: aws.String("shardId-000000000002"),
		AdjacentShardToMerge: aws.String("shardId-000000000003")}); err != nil {
		t.Errorf("MergeShards: %v", err)
	}
	count, err := c.UpdateShardCount(ctx, &sdk.UpdateShardCountInput{StreamName: name, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling})
	if err != nil || *count.CurrentShardCount != 2 || *count.TargetShardCount != 4 || *count.StreamARN != s.streamARN("s") {
		t.Errorf("UpdateShardCount: %+v, %v", count, err)
	}
	s.settle("s")

	var ids []string
	in := &sdk.ListShardsInput{StreamName: name, MaxResults: aws.Int32(3), ShardFilter: &types.ShardFilter{
		Type: types.ShardFilterTypeFromTimestamp, Timestamp: aws.Time(time.Now().Add(-time.Hour))}}
	for in != nil {
		page, err := c.ListShards(ctx, in)
		if err != nil {
			t.Fatalf("ListShards: %v", err)
		}
		for _, sh := range page.Shards {
			ids = append(ids, *sh.ShardId)
			if *sh.ShardId == "shardId-000000000004" && (*sh.ParentShardId != "shardId-000000000002" || *sh.AdjacentParentShardId != "shardId-000000000003") {
				t.Errorf("the merged shard is %+v", sh)
			}
		}
		if in = nil; page.NextToken != nil {
			in = &sdk.ListShardsInput{NextToken: page.NextToken, MaxResults: aws.Int32(3)}
		}
	}
	if len(ids) != 9 {
		t.Errorf("%d shards: %v", len(ids), ids)
	}
	var invalid *types.InvalidArgumentException
	if _, err := c.ListShards(ctx, &sdk.ListShardsInput{NextToken: aws.String("x")}); !errors.As(err, &invalid) {
		t.Errorf("ListShards with a bad token: %v", err)
	}
	var limit *types.LimitExceededException
	if _, err := c.UpdateShardCount(ctx, &sdk.UpdateShardCountInput{StreamName: name, TargetShardCount: aws.Int32(9), ScalingType: types.ScalingTypeUniformScaling}); !errors.As(err, &limit) {
		t.Errorf("UpdateShardCount beyond the double: %v", err)
	}
}

func TestTheSDKForGoChangesTagsPoliciesAndSettings(t *testing.T) {
	s := newServer(t, Config{})
	_, consumer := s.resources()
	c, ctx, name, arn := s.sdkClient(), t.Context(), aws.String("s"), aws.String(s.streamARN("s"))
	check := func(operation string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}

	_, err := c.AddTagsToStream(ctx, &sdk.AddTagsToStreamInput{StreamName: name, Tags: map[string]string{"a": "", "b": "c"}})
	check("AddTagsToStream", err)
	tags, err := c.ListTagsForStream(ctx, &sdk.ListTagsForStreamInput{StreamARN: arn, Limit: aws.Int32(1)})
	check("ListTagsForStream", err)
	if want := []types.Tag{{Key: aws.String("a"), Value: aws.String("")}}; !reflect.DeepEqual(tags.Tags, want) || !*tags.HasMoreTags {
		t.Errorf("tags: %+v", tags)
	}
	_, err = c.RemoveTagsFromStream(ctx, &sdk.RemoveTagsFromStreamInput{StreamName: name, TagKeys: []string{"a"}})
	check("RemoveTagsFromStream", err)
	_, err = c.TagResource(ctx, &sdk.TagResourceInput{ResourceARN: &consumer, Tags: map[string]string{"d": "e"}})
	check("TagResource", err)
	_, err = c.UntagResource(ctx, &sdk.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"b"}})
	check("UntagResource", err)
	for of, want := range map[string]int{*arn: 0, consumer: 1} {
		tags, err := c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceARN: &of})
		check("ListTagsForResource", err)
		if len(tags.Tags) != want {
			t.Errorf("tags of %s: %+v", of, tags.Tags)
		}
	}

	policy := aws.String(`{"Statement":{"Effect":"Deny","Principal":"*","NotAction":"kinesis:*","Resource":"*"}}`)
	_, err = c.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{ResourceARN: arn, Policy: policy})
	check("PutResourcePolicy", err)
	got, err := c.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{ResourceARN: arn})
	check("GetResourcePolicy", err)
	if *got.Policy != *policy {
		t.Errorf("policy: %s", *got.Policy)
	}
	_, err = c.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{ResourceARN: arn})
	check("DeleteResourcePolicy", err)
	var missing *types.ResourceNotFoundException
	if _, err = c.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{ResourceARN: arn}); !errors.As(err, &missing) {
		t.Errorf("GetResourcePolicy of none: %v", err)
	}

	_, err = c.IncreaseStreamRetentionPeriod(ctx, &sdk.IncreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: aws.Int32(48)})
	check("IncreaseStreamRetentionPeriod", err)
	_, err = c.DecreaseStreamRetentionPeriod(ctx, &sdk.DecreaseStreamRetentionPeriodInput{StreamARN: arn, RetentionPeriodHours: aws.Int32(36)})
	check("DecreaseStreamRetentionPeriod", err)
	if hours := s.summary("s").RetentionPeriodHours; hours != 36 {
		t.Errorf("retention: %d hours", hours)
	}

	on, err := c.EnableEnhancedMonitoring(ctx, &sdk.EnableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: []types.MetricsName{types.MetricsNameAll}})
	check("EnableEnhancedMonitoring", err)
	if on.CurrentShardLevelMetrics == nil || len(on.CurrentShardLevelMetrics) != 0 || len(on.DesiredShardLevelMetrics) != 7 {
		t.Errorf("EnableEnhancedMonitoring: %+v", on)
	}
	off, err := c.DisableEnhancedMonitoring(ctx, &sdk.DisableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes}})
	check("DisableEnhancedMonitoring", err)
	if len(off.CurrentShardLevelMetrics) != 7 || len(off.DesiredShardLevelMetrics) != 6 {
		t.Errorf("DisableEnhancedMonitoring: %+v", off)
	}
}

func TestTheSDKForGoLearnsWhatIsNotBuilt(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	c, ctx, name, arn := s.sdkClient(), t.Context(), aws.String("s"), aws.String(s.streamARN("s"))

	var key *types.KMSNotFoundException
	var invalid *types.InvalidArgumentException
	var missing *types.ResourceNotFoundException
	_, err := c.StartStreamEncryption(ctx, &sdk.StartStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("k")})
	if !errors.As(err, &key) {
		t.Errorf("StartStreamEncryption: %v", err)
	}
	_, err = c.StopStreamEncryption(ctx, &sdk.StopStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("k")})
	if !errors.As(err, &invalid) {
		t.Errorf("StopStreamEncryption: %v", err)
	}
	_, err = c.CreateChannel(ctx, &sdk.CreateChannelInput{ChannelName: aws.String("c"), ServiceExecutionRoleARN: aws.String("r"),
		StreamConfigurationList: []types.ChannelStreamConfiguration{{StreamARN: arn, RecordConfiguration: &types.RecordConfiguration{RecordFormatType: types.RecordFormatTypeJson}}},
		S3DestinationConfiguration: &types.S3DestinationConfiguration{StorageConfiguration: &types.S3StorageConfiguration{
			BucketARN: aws.String("b"), CompressionType: types.S3CompressionTypeGzip, ExpectedBucketOwner: aws.String("o")}}})
	if !errors.As(err, &invalid) {
		t.Errorf("CreateChannel: %v", err)
	}
	if _, err = c.ListChannels(ctx, &sdk.ListChannelsInput{StreamFilter: []types.StreamFilter{{StreamARN: arn}}}); !errors.As(err, &invalid) {
		t.Errorf("ListChannels: %v", err)
	}
	if _, err = c.DescribeChannel(ctx, &sdk.DescribeChannelInput{ChannelARN: aws.String("c")}); !errors.As(err, &missing) {
		t.Errorf("DescribeChannel: %v", err)
	}
	if _, err = c.UpdateChannel(ctx, &sdk.UpdateChannelInput{ChannelARN: aws.String("c")}); !errors.As(err, &missing) {
		t.Errorf("UpdateChannel: %v", err)
	}
	if _, err = c.DeleteChannel(ctx, &sdk.DeleteChannelInput{ChannelARN: aws.String("c")}); !errors.As(err, &missing) {
		t.Errorf("DeleteChannel: %v", err)
	}
}
