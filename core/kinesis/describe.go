package kinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// unencrypted is the encryption type of a stream without a key.
const unencrypted = "NONE"

func (in *DescribeStreamInput) validate(v *violations) {
	within(v, "limit", in.Limit, 1, 10_000)
	shardID.check(v, "exclusiveStartShardId", in.ExclusiveStartShardId)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

// describeStream lists shards by id, also closed ones that still have records. A stream that is being created or deleted
// has none.
func (a *API) describeStream(_ context.Context, in *DescribeStreamInput) (*DescribeStreamOutput, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	d := &StreamDescription{
		StreamName: k.Name(), StreamARN: k.ARN(), StreamStatus: string(k.status()),
		StreamCreationTimestamp: wire.At(k.Created()), StreamModeDetails: k.modeDetails(),
		RetentionPeriodHours: k.retentionHours(), EncryptionType: unencrypted, EnhancedMonitoring: k.enhancedMonitoring(),
		Shards: []Shard{},
	}
	var shards []stream.Shard
	if k.serving() == nil {
		if shards, err = k.Shards(); err != nil {
			return nil, err
		}
	}
	from := uint64(0)
	if in.ExclusiveStartShardId != nil {
		id, err := a.shardOf(*in.ExclusiveStartShardId, k.Name())
		if err != nil {
			return nil, err
		}
		from = uint64(id) + 1
	}
	page := listPage
	if in.Limit != nil {
		page = min(page, int(*in.Limit))
	}
	for i := range shards {
		if uint64(shards[i].ID) < from {
			continue
		}
		if len(d.Shards) == page {
			d.HasMoreShards = true
			break
		}
		d.Shards = append(d.Shards, shardShape(&shards[i]))
	}
	return &DescribeStreamOutput{StreamDescription: d}, nil
}

func (in *DescribeStreamSummaryInput) validate(v *violations) {
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) describeStreamSummary(_ context.Context, in *DescribeStreamSummaryInput) (*DescribeStreamSummaryOutput, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	s := &StreamDescriptionSummary{
		StreamName: k.Name(), StreamARN: k.ARN(), StreamStatus: string(k.status()),
		StreamCreationTimestamp: wire.At(k.Created()), StreamModeDetails: k.modeDetails(),
		RetentionPeriodHours: k.retentionHours(), EncryptionType: unencrypted, EnhancedMonitoring: k.enhancedMonitoring(),
		MaxRecordSizeInKiB: pointer(int32(k.Config().MaxRecordSize >> 10)),
		ConsumerCount:      pointer(int32(len(k.consumers()))),
		ChannelCount:       pointer(int32(0)),
		WarmThroughput:     k.warmThroughput(),
		// Of provisioned streams too: the Kinesis Producer Library (1.1.1) looks for it before it aggregates.
		RecordDistributionStrategy: byPartitionKey,
	}
	if k.serving() == nil {
		s.OpenShardCount = int32(k.OpenShards())
	}
	if k.spreads() {
		s.RecordDistributionStrategy = distributeAuto
	}
	return &DescribeStreamSummaryOutput{StreamDescriptionSummary: s}, nil
}

// retentionHours is the retention in hours. That of a pipeline's stream may have no end; then it is the longest that the
// service has.
func (k *known) retentionHours() int32 {
	age := k.Config().Retention.Age
	if age == 0 {
		age = stream.MaxRetention
	}
	return int32(age / time.Hour)
}

func pointer[T any](v T) *T { return &v }
