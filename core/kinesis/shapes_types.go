package kinesis

import "github.com/leatstream/leat/core/wire"

// Shapes inside the requests and answers of the control plane: all members of the model, named as on the wire.

type Consumer struct {
	ConsumerARN               string         `json:"ConsumerARN"`
	ConsumerCreationTimestamp wire.Timestamp `json:"ConsumerCreationTimestamp"`
	ConsumerName              string         `json:"ConsumerName"`
	ConsumerStatus            string         `json:"ConsumerStatus"`
}

type ConsumerDescription struct {
	ConsumerARN               string         `json:"ConsumerARN"`
	ConsumerCreationTimestamp wire.Timestamp `json:"ConsumerCreationTimestamp"`
	ConsumerName              string         `json:"ConsumerName"`
	ConsumerStatus            string         `json:"ConsumerStatus"`
	StreamARN                 string         `json:"StreamARN"`
}

type EnhancedMetrics struct {
	ShardLevelMetrics []string `json:"ShardLevelMetrics"`
}

type HashKeyRange struct {
	EndingHashKey   string `json:"EndingHashKey"`
	StartingHashKey string `json:"StartingHashKey"`
}

type MinimumThroughputBillingCommitmentInput struct {
	Status *string `json:"Status,omitempty"`
}

type MinimumThroughputBillingCommitmentOutput struct {
	Status               string          `json:"Status"`
	EarliestAllowedEndAt *wire.Timestamp `json:"EarliestAllowedEndAt,omitempty"`
	EndedAt              *wire.Timestamp `json:"EndedAt,omitempty"`
	StartedAt            *wire.Timestamp `json:"StartedAt,omitempty"`
}

type SequenceNumberRange struct {
	StartingSequenceNumber string `json:"StartingSequenceNumber"`
	EndingSequenceNumber   string `json:"EndingSequenceNumber,omitempty"`
}

type Shard struct {
	HashKeyRange          *HashKeyRange        `json:"HashKeyRange"`
	SequenceNumberRange   *SequenceNumberRange `json:"SequenceNumberRange"`
	ShardId               string               `json:"ShardId"`
	AdjacentParentShardId string               `json:"AdjacentParentShardId,omitempty"`
	ParentShardId         string               `json:"ParentShardId,omitempty"`
}

type ShardFilter struct {
	Type      *string         `json:"Type,omitempty"`
	ShardId   *string         `json:"ShardId,omitempty"`
	Timestamp *wire.Timestamp `json:"Timestamp,omitempty"`
}

type StreamDescription struct {
	EnhancedMonitoring      []EnhancedMetrics  `json:"EnhancedMonitoring"`
	HasMoreShards           bool               `json:"HasMoreShards"`
	RetentionPeriodHours    int32              `json:"RetentionPeriodHours"`
	Shards                  []Shard            `json:"Shards"`
	StreamARN               string             `json:"StreamARN"`
	StreamCreationTimestamp wire.Timestamp     `json:"StreamCreationTimestamp"`
	StreamName              string             `json:"StreamName"`
	StreamStatus            string             `json:"StreamStatus"`
	EncryptionType          string             `json:"EncryptionType,omitempty"`
	KeyId                   string             `json:"KeyId,omitempty"`
	StreamModeDetails       *StreamModeDetails `json:"StreamModeDetails,omitempty"`
}

type StreamDescriptionSummary struct {
	EnhancedMonitoring         []EnhancedMetrics     `json:"EnhancedMonitoring"`
	OpenShardCount             int32                 `json:"OpenShardCount"`
	RetentionPeriodHours       int32                 `json:"RetentionPeriodHours"`
	StreamARN                  string                `json:"StreamARN"`
	StreamCreationTimestamp    wire.Timestamp        `json:"StreamCreationTimestamp"`
	StreamName                 string                `json:"StreamName"`
	StreamStatus               string                `json:"StreamStatus"`
	ChannelCount               *int32                `json:"ChannelCount,omitempty"`
	ConsumerCount              *int32                `json:"ConsumerCount,omitempty"`
	EncryptionType             string                `json:"EncryptionType,omitempty"`
	KeyId                      string                `json:"KeyId,omitempty"`
	MaxRecordSizeInKiB         *int32                `json:"MaxRecordSizeInKiB,omitempty"`
	RecordDistributionStrategy string                `json:"RecordDistributionStrategy,omitempty"`
	StreamId                   string                `json:"StreamId,omitempty"`
	StreamModeDetails          *StreamModeDetails    `json:"StreamModeDetails,omitempty"`
	WarmThroughput             *WarmThroughputObject `json:"WarmThroughput,omitempty"`
}

type StreamModeDetails struct {
	StreamMode *string `json:"StreamMode,omitempty"`
}

type StreamSummary struct {
	StreamARN               string             `json:"StreamARN"`
	StreamName              string             `json:"StreamName"`
	StreamStatus            string             `json:"StreamStatus"`
	StreamCreationTimestamp *wire.Timestamp    `json:"StreamCreationTimestamp,omitempty"`
	StreamModeDetails       *StreamModeDetails `json:"StreamModeDetails,omitempty"`
}

type Tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

type WarmThroughputObject struct {
	CurrentMiBps *int32 `json:"CurrentMiBps,omitempty"`
	TargetMiBps  *int32 `json:"TargetMiBps,omitempty"`
}
