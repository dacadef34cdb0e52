package kinesis

import "github.com/leatstream/leat/core/wire"

// Shapes of the requests and answers of the control plane: all members of the model, named as on the wire.

type AddTagsToStreamInput struct {
	Tags       map[string]string `json:"Tags,omitempty"`
	StreamARN  *string           `json:"StreamARN,omitempty"`
	StreamId   *string           `json:"StreamId,omitempty"`
	StreamName *string           `json:"StreamName,omitempty"`
}

type AddTagsToStreamOutput struct {
}

type CreateStreamInput struct {
	StreamName                 *string            `json:"StreamName,omitempty"`
	MaxRecordSizeInKiB         *int32             `json:"MaxRecordSizeInKiB,omitempty"`
	RecordDistributionStrategy *string            `json:"RecordDistributionStrategy,omitempty"`
	ShardCount                 *int32             `json:"ShardCount,omitempty"`
	StreamModeDetails          *StreamModeDetails `json:"StreamModeDetails,omitempty"`
	Tags                       map[string]string  `json:"Tags,omitempty"`
	WarmThroughputMiBps        *int32             `json:"WarmThroughputMiBps,omitempty"`
}

type CreateStreamOutput struct {
}

type DecreaseStreamRetentionPeriodInput struct {
	RetentionPeriodHours *int32  `json:"RetentionPeriodHours,omitempty"`
	StreamARN            *string `json:"StreamARN,omitempty"`
	StreamId             *string `json:"StreamId,omitempty"`
	StreamName           *string `json:"StreamName,omitempty"`
}

type DecreaseStreamRetentionPeriodOutput struct {
}

type DeleteResourcePolicyInput struct {
	ResourceARN *string `json:"ResourceARN,omitempty"`
	StreamId    *string `json:"StreamId,omitempty"`
}

type DeleteResourcePolicyOutput struct {
}

type DeleteStreamInput struct {
	EnforceConsumerDeletion *bool   `json:"EnforceConsumerDeletion,omitempty"`
	StreamARN               *string `json:"StreamARN,omitempty"`
	StreamId                *string `json:"StreamId,omitempty"`
	StreamName              *string `json:"StreamName,omitempty"`
}

type DeleteStreamOutput struct {
}

type DeregisterStreamConsumerInput struct {
	ConsumerARN  *string `json:"ConsumerARN,omitempty"`
	ConsumerName *string `json:"ConsumerName,omitempty"`
	StreamARN    *string `json:"StreamARN,omitempty"`
	StreamId     *string `json:"StreamId,omitempty"`
}

type DeregisterStreamConsumerOutput struct {
}

type DescribeAccountSettingsInput struct {
}

type DescribeAccountSettingsOutput struct {
	MinimumThroughputBillingCommitment *MinimumThroughputBillingCommitmentOutput `json:"MinimumThroughputBillingCommitment,omitempty"`
}

type DescribeLimitsInput struct {
}

type DescribeLimitsOutput struct {
	OnDemandStreamCount      int32  `json:"OnDemandStreamCount"`
	OnDemandStreamCountLimit int32  `json:"OnDemandStreamCountLimit"`
	OpenShardCount           int32  `json:"OpenShardCount"`
	ShardLimit               int32  `json:"ShardLimit"`
	ChannelCount             *int32 `json:"ChannelCount,omitempty"`
	ChannelCountLimit        *int32 `json:"ChannelCountLimit,omitempty"`
}

type DescribeStreamInput struct {
	ExclusiveStartShardId *string `json:"ExclusiveStartShardId,omitempty"`
	Limit                 *int32  `json:"Limit,omitempty"`
	StreamARN             *string `json:"StreamARN,omitempty"`
	StreamId              *string `json:"StreamId,omitempty"`
	StreamName            *string `json:"StreamName,omitempty"`
}

type DescribeStreamOutput struct {
	StreamDescription *StreamDescription `json:"StreamDescription"`
}

type DescribeStreamConsumerInput struct {
	ConsumerARN  *string `json:"ConsumerARN,omitempty"`
	ConsumerName *string `json:"ConsumerName,omitempty"`
	StreamARN    *string `json:"StreamARN,omitempty"`
	StreamId     *string `json:"StreamId,omitempty"`
}

type DescribeStreamConsumerOutput struct {
	ConsumerDescription *ConsumerDescription `json:"ConsumerDescription"`
}

type DescribeStreamSummaryInput struct {
	StreamARN  *string `json:"StreamARN,omitempty"`
	StreamId   *string `json:"StreamId,omitempty"`
	StreamName *string `json:"StreamName,omitempty"`
}

type DescribeStreamSummaryOutput struct {
	StreamDescriptionSummary *StreamDescriptionSummary `json:"StreamDescriptionSummary"`
}

type DisableEnhancedMonitoringInput struct {
	ShardLevelMetrics []string `json:"ShardLevelMetrics,omitempty"`
	StreamARN         *string  `json:"StreamARN,omitempty"`
	StreamId          *string  `json:"StreamId,omitempty"`
	StreamName        *string  `json:"StreamName,omitempty"`
}

type DisableEnhancedMonitoringOutput struct {
	CurrentShardLevelMetrics []string `json:"CurrentShardLevelMetrics"`
	DesiredShardLevelMetrics []string `json:"DesiredShardLevelMetrics"`
	StreamARN                string   `json:"StreamARN"`
	StreamName               string   `json:"StreamName"`
}

type EnableEnhancedMonitoringInput struct {
	ShardLevelMetrics []string `json:"ShardLevelMetrics,omitempty"`
	StreamARN         *string  `json:"StreamARN,omitempty"`
	StreamId          *string  `json:"StreamId,omitempty"`
	StreamName        *string  `json:"StreamName,omitempty"`
}

type EnableEnhancedMonitoringOutput struct {
	CurrentShardLevelMetrics []string `json:"CurrentShardLevelMetrics"`
	DesiredShardLevelMetrics []string `json:"DesiredShardLevelMetrics"`
	StreamARN                string   `json:"StreamARN"`
	StreamName               string   `json:"StreamName"`
}

type GetResourcePolicyInput struct {
	ResourceARN *string `json:"ResourceARN,omitempty"`
	StreamId    *string `json:"StreamId,omitempty"`
}

type GetResourcePolicyOutput struct {
	Policy string `json:"Policy"`
}

type IncreaseStreamRetentionPeriodInput struct {
	RetentionPeriodHours *int32  `json:"RetentionPeriodHours,omitempty"`
	StreamARN            *string `json:"StreamARN,omitempty"`
	StreamId             *string `json:"StreamId,omitempty"`
	StreamName           *string `json:"StreamName,omitempty"`
}

type IncreaseStreamRetentionPeriodOutput struct {
}

type ListShardsInput struct {
	ExclusiveStartShardId   *string         `json:"ExclusiveStartShardId,omitempty"`
	MaxResults              *int32          `json:"MaxResults,omitempty"`
	NextToken               *string         `json:"NextToken,omitempty"`
	ShardFilter             *ShardFilter    `json:"ShardFilter,omitempty"`
	StreamARN               *string         `json:"StreamARN,omitempty"`
	StreamCreationTimestamp *wire.Timestamp `json:"StreamCreationTimestamp,omitempty"`
	StreamId                *string         `json:"StreamId,omitempty"`
	StreamName              *string         `json:"StreamName,omitempty"`
}

type ListShardsOutput struct {
	NextToken string  `json:"NextToken,omitempty"`
	Shards    []Shard `json:"Shards"`
}

type ListStreamConsumersInput struct {
	StreamARN               *string         `json:"StreamARN,omitempty"`
	MaxResults              *int32          `json:"MaxResults,omitempty"`
	NextToken               *string         `json:"NextToken,omitempty"`
	StreamCreationTimestamp *wire.Timestamp `json:"StreamCreationTimestamp,omitempty"`
	StreamId                *string         `json:"StreamId,omitempty"`
}

type ListStreamConsumersOutput struct {
	Consumers []Consumer `json:"Consumers"`
	NextToken string     `json:"NextToken,omitempty"`
}

type ListStreamsInput struct {
	ExclusiveStartStreamName *string `json:"ExclusiveStartStreamName,omitempty"`
	Limit                    *int32  `json:"Limit,omitempty"`
	NextToken                *string `json:"NextToken,omitempty"`
}

type ListStreamsOutput struct {
	HasMoreStreams  bool            `json:"HasMoreStreams"`
	StreamNames     []string        `json:"StreamNames"`
	NextToken       string          `json:"NextToken,omitempty"`
	StreamSummaries []StreamSummary `json:"StreamSummaries,omitempty"`
}

type ListTagsForResourceInput struct {
	ResourceARN *string `json:"ResourceARN,omitempty"`
	StreamId    *string `json:"StreamId,omitempty"`
}

type ListTagsForResourceOutput struct {
	Tags []Tag `json:"Tags"`
}

type ListTagsForStreamInput struct {
	ExclusiveStartTagKey *string `json:"ExclusiveStartTagKey,omitempty"`
	Limit                *int32  `json:"Limit,omitempty"`
	StreamARN            *string `json:"StreamARN,omitempty"`
	StreamId             *string `json:"StreamId,omitempty"`
	StreamName           *string `json:"StreamName,omitempty"`
}

type ListTagsForStreamOutput struct {
	HasMoreTags bool  `json:"HasMoreTags"`
	Tags        []Tag `json:"Tags"`
}

type MergeShardsInput struct {
	AdjacentShardToMerge *string `json:"AdjacentShardToMerge,omitempty"`
	ShardToMerge         *string `json:"ShardToMerge,omitempty"`
	StreamARN            *string `json:"StreamARN,omitempty"`
	StreamId             *string `json:"StreamId,omitempty"`
	StreamName           *string `json:"StreamName,omitempty"`
}

type MergeShardsOutput struct {
}

type PutResourcePolicyInput struct {
	Policy      *string `json:"Policy,omitempty"`
	ResourceARN *string `json:"ResourceARN,omitempty"`
	StreamId    *string `json:"StreamId,omitempty"`
}

type PutResourcePolicyOutput struct {
}

type RegisterStreamConsumerInput struct {
	ConsumerName *string           `json:"ConsumerName,omitempty"`
	StreamARN    *string           `json:"StreamARN,omitempty"`
	StreamId     *string           `json:"StreamId,omitempty"`
	Tags         map[string]string `json:"Tags,omitempty"`
}

type RegisterStreamConsumerOutput struct {
	Consumer *Consumer `json:"Consumer"`
}

type RemoveTagsFromStreamInput struct {
	TagKeys    []string `json:"TagKeys,omitempty"`
	StreamARN  *string  `json:"StreamARN,omitempty"`
	StreamId   *string  `json:"StreamId,omitempty"`
	StreamName *string  `json:"StreamName,omitempty"`
}

type RemoveTagsFromStreamOutput struct {
}

type SplitShardInput struct {
	NewStartingHashKey *string `json:"NewStartingHashKey,omitempty"`
	ShardToSplit       *string `json:"ShardToSplit,omitempty"`
	StreamARN          *string `json:"StreamARN,omitempty"`
	StreamId           *string `json:"StreamId,omitempty"`
	StreamName         *string `json:"StreamName,omitempty"`
}

type SplitShardOutput struct {
}

type StartStreamEncryptionInput struct {
	EncryptionType *string `json:"EncryptionType,omitempty"`
	KeyId          *string `json:"KeyId,omitempty"`
	StreamARN      *string `json:"StreamARN,omitempty"`
	StreamId       *string `json:"StreamId,omitempty"`
	StreamName     *string `json:"StreamName,omitempty"`
}

type StartStreamEncryptionOutput struct {
}

type StopStreamEncryptionInput struct {
	EncryptionType *string `json:"EncryptionType,omitempty"`
	KeyId          *string `json:"KeyId,omitempty"`
	StreamARN      *string `json:"StreamARN,omitempty"`
	StreamId       *string `json:"StreamId,omitempty"`
	StreamName     *string `json:"StreamName,omitempty"`
}

type StopStreamEncryptionOutput struct {
}

type TagResourceInput struct {
	ResourceARN *string           `json:"ResourceARN,omitempty"`
	Tags        map[string]string `json:"Tags,omitempty"`
	StreamId    *string           `json:"StreamId,omitempty"`
}

type TagResourceOutput struct {
}

type UntagResourceInput struct {
	ResourceARN *string  `json:"ResourceARN,omitempty"`
	TagKeys     []string `json:"TagKeys,omitempty"`
	StreamId    *string  `json:"StreamId,omitempty"`
}

type UntagResourceOutput struct {
}

type UpdateAccountSettingsInput struct {
	MinimumThroughputBillingCommitment *MinimumThroughputBillingCommitmentInput `json:"MinimumThroughputBillingCommitment,omitempty"`
}

type UpdateAccountSettingsOutput struct {
	MinimumThroughputBillingCommitment *MinimumThroughputBillingCommitmentOutput `json:"MinimumThroughputBillingCommitment,omitempty"`
}

type UpdateMaxRecordSizeInput struct {
	MaxRecordSizeInKiB *int32  `json:"MaxRecordSizeInKiB,omitempty"`
	StreamARN          *string `json:"StreamARN,omitempty"`
	StreamId           *string `json:"StreamId,omitempty"`
}

type UpdateMaxRecordSizeOutput struct {
}

type UpdateShardCountInput struct {
	ScalingType      *string `json:"ScalingType,omitempty"`
	TargetShardCount *int32  `json:"TargetShardCount,omitempty"`
	StreamARN        *string `json:"StreamARN,omitempty"`
	StreamId         *string `json:"StreamId,omitempty"`
	StreamName       *string `json:"StreamName,omitempty"`
}

type UpdateShardCountOutput struct {
	CurrentShardCount *int32 `json:"CurrentShardCount,omitempty"`
	StreamARN         string `json:"StreamARN,omitempty"`
	StreamName        string `json:"StreamName,omitempty"`
	TargetShardCount  *int32 `json:"TargetShardCount,omitempty"`
}

type UpdateStreamModeInput struct {
	StreamARN           *string            `json:"StreamARN,omitempty"`
	StreamModeDetails   *StreamModeDetails `json:"StreamModeDetails,omitempty"`
	StreamId            *string            `json:"StreamId,omitempty"`
	WarmThroughputMiBps *int32             `json:"WarmThroughputMiBps,omitempty"`
}

type UpdateStreamModeOutput struct {
}

type UpdateStreamRecordDistributionStrategyInput struct {
	RecordDistributionStrategy *string `json:"RecordDistributionStrategy,omitempty"`
	StreamARN                  *string `json:"StreamARN,omitempty"`
	StreamId                   *string `json:"StreamId,omitempty"`
}

type UpdateStreamRecordDistributionStrategyOutput struct {
}

type UpdateStreamWarmThroughputInput struct {
	WarmThroughputMiBps *int32  `json:"WarmThroughputMiBps,omitempty"`
	StreamARN           *string `json:"StreamARN,omitempty"`
	StreamId            *string `json:"StreamId,omitempty"`
	StreamName          *string `json:"StreamName,omitempty"`
}

type UpdateStreamWarmThroughputOutput struct {
	StreamARN      string                `json:"StreamARN,omitempty"`
	StreamName     string                `json:"StreamName,omitempty"`
	WarmThroughput *WarmThroughputObject `json:"WarmThroughput,omitempty"`
}
