package kinesis

import "github.com/leatstream/leat/core/wire"

// Shapes of the data plane: all members of the model, named as on the wire.

type GetRecordsInput struct {
	ShardIterator *string `json:"ShardIterator,omitempty"`
	DryRun        *bool   `json:"DryRun,omitempty"`
	Limit         *int32  `json:"Limit,omitempty"`
	StreamARN     *string `json:"StreamARN,omitempty"`
	StreamId      *string `json:"StreamId,omitempty"`
}

type GetRecordsOutput struct {
	Records            []Record     `json:"Records"`
	ChildShards        []ChildShard `json:"ChildShards,omitempty"`
	MillisBehindLatest *int64       `json:"MillisBehindLatest,omitempty"`
	NextShardIterator  string       `json:"NextShardIterator,omitempty"`
}

type GetShardIteratorInput struct {
	ShardId                *string         `json:"ShardId,omitempty"`
	ShardIteratorType      *string         `json:"ShardIteratorType,omitempty"`
	DryRun                 *bool           `json:"DryRun,omitempty"`
	StartingSequenceNumber *string         `json:"StartingSequenceNumber,omitempty"`
	StreamARN              *string         `json:"StreamARN,omitempty"`
	StreamId               *string         `json:"StreamId,omitempty"`
	StreamName             *string         `json:"StreamName,omitempty"`
	Timestamp              *wire.Timestamp `json:"Timestamp,omitempty"`
}

type GetShardIteratorOutput struct {
	ShardIterator string `json:"ShardIterator,omitempty"`
}

type PutRecordInput struct {
	Data                      []byte  `json:"Data,omitempty"`
	DryRun                    *bool   `json:"DryRun,omitempty"`
	ExplicitHashKey           *string `json:"ExplicitHashKey,omitempty"`
	PartitionKey              *string `json:"PartitionKey,omitempty"`
	SequenceNumberForOrdering *string `json:"SequenceNumberForOrdering,omitempty"`
	StreamARN                 *string `json:"StreamARN,omitempty"`
	StreamId                  *string `json:"StreamId,omitempty"`
	StreamName                *string `json:"StreamName,omitempty"`

	memory *putMemory // where DecodeWire put it
}

type PutRecordOutput struct {
	SequenceNumber string `json:"SequenceNumber"`
	ShardId        string `json:"ShardId"`
	EncryptionType string `json:"EncryptionType,omitempty"`
}

type PutRecordsInput struct {
	Records    []PutRecordsRequestEntry `json:"Records,omitempty"`
	DryRun     *bool                    `json:"DryRun,omitempty"`
	StreamARN  *string                  `json:"StreamARN,omitempty"`
	StreamId   *string                  `json:"StreamId,omitempty"`
	StreamName *string                  `json:"StreamName,omitempty"`

	memory *putMemory // where DecodeWire put it
}

type PutRecordsOutput struct {
	Records           []PutRecordsResultEntry `json:"Records"`
	EncryptionType    string                  `json:"EncryptionType,omitempty"`
	FailedRecordCount *int32                  `json:"FailedRecordCount,omitempty"`
}

type SubscribeToShardInput struct {
	ConsumerARN      *string           `json:"ConsumerARN,omitempty"`
	ShardId          *string           `json:"ShardId,omitempty"`
	StartingPosition *StartingPosition `json:"StartingPosition,omitempty"`
	DryRun           *bool             `json:"DryRun,omitempty"`
	StreamId         *string           `json:"StreamId,omitempty"`
}

type SubscribeToShardOutput struct {
}

type ChildShard struct {
	HashKeyRange *HashKeyRange `json:"HashKeyRange"`
	ParentShards []string      `json:"ParentShards"`
	ShardId      string        `json:"ShardId"`
}

type PutRecordsRequestEntry struct {
	Data            []byte  `json:"Data,omitempty"`
	ExplicitHashKey *string `json:"ExplicitHashKey,omitempty"`
	PartitionKey    *string `json:"PartitionKey,omitempty"`
}

type PutRecordsResultEntry struct {
	ErrorCode      string `json:"ErrorCode,omitempty"`
	ErrorMessage   string `json:"ErrorMessage,omitempty"`
	SequenceNumber string `json:"SequenceNumber,omitempty"`
	ShardId        string `json:"ShardId,omitempty"`
}

type Record struct {
	Data                        []byte          `json:"Data"`
	SequenceNumber              string          `json:"SequenceNumber"`
	ApproximateArrivalTimestamp *wire.Timestamp `json:"ApproximateArrivalTimestamp,omitempty"`
	EncryptionType              string          `json:"EncryptionType,omitempty"`
	PartitionKey                string          `json:"PartitionKey,omitempty"`
}

type StartingPosition struct {
	Type           *string         `json:"Type,omitempty"`
	SequenceNumber *string         `json:"SequenceNumber,omitempty"`
	Timestamp      *wire.Timestamp `json:"Timestamp,omitempty"`
}

type SubscribeToShardEvent struct {
	ContinuationSequenceNumber string       `json:"ContinuationSequenceNumber"`
	MillisBehindLatest         int64        `json:"MillisBehindLatest"`
	Records                    []Record     `json:"Records"`
	ChildShards                []ChildShard `json:"ChildShards,omitempty"`
}
