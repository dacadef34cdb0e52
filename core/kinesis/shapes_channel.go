package kinesis

import "github.com/leatstream/leat/core/wire"

// Shapes of channels: all members of the model, named as on the wire.

type CreateChannelInput struct {
	ChannelName                      *string                           `json:"ChannelName,omitempty"`
	ServiceExecutionRoleARN          *string                           `json:"ServiceExecutionRoleARN,omitempty"`
	StreamConfigurationList          []ChannelStreamConfiguration      `json:"StreamConfigurationList,omitempty"`
	EncryptionConfiguration          *ChannelEncryptionConfiguration   `json:"EncryptionConfiguration,omitempty"`
	LoggingConfiguration             *ChannelLoggingConfiguration      `json:"LoggingConfiguration,omitempty"`
	S3DestinationConfiguration       *S3DestinationConfiguration       `json:"S3DestinationConfiguration,omitempty"`
	S3TablesDestinationConfiguration *S3TablesDestinationConfiguration `json:"S3TablesDestinationConfiguration,omitempty"`
	Tags                             map[string]string                 `json:"Tags,omitempty"`
}

type CreateChannelOutput struct {
	ChannelDescription *ChannelDescription `json:"ChannelDescription"`
}

type DeleteChannelInput struct {
	ChannelARN *string `json:"ChannelARN,omitempty"`
}

type DeleteChannelOutput struct {
}

type DescribeChannelInput struct {
	ChannelARN *string `json:"ChannelARN,omitempty"`
}

type DescribeChannelOutput struct {
	ChannelDescription *ChannelDescription `json:"ChannelDescription"`
}

type ListChannelsInput struct {
	MaxResults   *int32         `json:"MaxResults,omitempty"`
	NextToken    *string        `json:"NextToken,omitempty"`
	StreamFilter []StreamFilter `json:"StreamFilter,omitempty"`
}

type ListChannelsOutput struct {
	ChannelSummaries []ChannelSummary `json:"ChannelSummaries"`
	NextToken        string           `json:"NextToken,omitempty"`
}

type UpdateChannelInput struct {
	ChannelARN                       *string                         `json:"ChannelARN,omitempty"`
	LoggingConfiguration             *ChannelLoggingUpdateInput      `json:"LoggingConfiguration,omitempty"`
	S3DestinationConfiguration       *S3DestinationUpdateInput       `json:"S3DestinationConfiguration,omitempty"`
	S3TablesDestinationConfiguration *S3TablesDestinationUpdateInput `json:"S3TablesDestinationConfiguration,omitempty"`
}

type UpdateChannelOutput struct {
	ChannelDescription *ChannelDescription `json:"ChannelDescription"`
}

type ChannelDescription struct {
	ChannelARN                       string                          `json:"ChannelARN"`
	ChannelCreationTimestamp         wire.Timestamp                  `json:"ChannelCreationTimestamp"`
	ChannelId                        string                          `json:"ChannelId"`
	ChannelName                      string                          `json:"ChannelName"`
	ChannelStatus                    string                          `json:"ChannelStatus"`
	LoggingConfiguration             *ChannelLoggingConfiguration    `json:"LoggingConfiguration"`
	ServiceExecutionRoleARN          string                          `json:"ServiceExecutionRoleARN"`
	StreamConfigurationList          []ChannelStreamDescription      `json:"StreamConfigurationList"`
	ChannelStatusReason              string                          `json:"ChannelStatusReason,omitempty"`
	EncryptionConfiguration          *ChannelEncryptionConfiguration `json:"EncryptionConfiguration,omitempty"`
	S3DestinationConfiguration       *S3DestinationDescription       `json:"S3DestinationConfiguration,omitempty"`
	S3TablesDestinationConfiguration *S3TablesDestinationDescription `json:"S3TablesDestinationConfiguration,omitempty"`
}

type ChannelEncryptionConfiguration struct {
	EncryptionType *string `json:"EncryptionType,omitempty"`
	KeyId          *string `json:"KeyId,omitempty"`
}

type ChannelLoggingConfiguration struct {
	CloudWatchLogs *CloudWatchLogs `json:"CloudWatchLogs,omitempty"`
}

type ChannelLoggingUpdateInput struct {
	CloudWatchLogs *CloudWatchLogsUpdateInput `json:"CloudWatchLogs,omitempty"`
}

type ChannelStreamConfiguration struct {
	RecordConfiguration *RecordConfiguration `json:"RecordConfiguration,omitempty"`
	StreamARN           *string              `json:"StreamARN,omitempty"`
}

type ChannelStreamDescription struct {
	RecordConfiguration     *RecordConfiguration `json:"RecordConfiguration"`
	StreamARN               string               `json:"StreamARN"`
	StreamCreationTimestamp wire.Timestamp       `json:"StreamCreationTimestamp"`
}

type ChannelStreamIdentifier struct {
	StreamARN               string         `json:"StreamARN"`
	StreamCreationTimestamp wire.Timestamp `json:"StreamCreationTimestamp"`
}

type ChannelSummary struct {
	ChannelARN               string                    `json:"ChannelARN"`
	ChannelCreationTimestamp wire.Timestamp            `json:"ChannelCreationTimestamp"`
	ChannelDestinationType   string                    `json:"ChannelDestinationType"`
	ChannelId                string                    `json:"ChannelId"`
	ChannelName              string                    `json:"ChannelName"`
	ChannelStatus            string                    `json:"ChannelStatus"`
	Streams                  []ChannelStreamIdentifier `json:"Streams"`
	ChannelStatusReason      string                    `json:"ChannelStatusReason,omitempty"`
}

type CloudWatchLogs struct {
	Enabled       *bool   `json:"Enabled,omitempty"`
	LogGroupName  *string `json:"LogGroupName,omitempty"`
	LogStreamName *string `json:"LogStreamName,omitempty"`
}

type CloudWatchLogsUpdateInput struct {
	Enabled       *bool   `json:"Enabled,omitempty"`
	LogGroupName  *string `json:"LogGroupName,omitempty"`
	LogStreamName *string `json:"LogStreamName,omitempty"`
}

type DeadLetterQueueS3Configuration struct {
	BucketARN           *string `json:"BucketARN,omitempty"`
	ExpectedBucketOwner *string `json:"ExpectedBucketOwner,omitempty"`
	ErrorOutputPrefix   *string `json:"ErrorOutputPrefix,omitempty"`
}

type PartitionField struct {
	SourceName *string `json:"SourceName,omitempty"`
	Transform  *string `json:"Transform,omitempty"`
}

type PartitionSpec struct {
	PartitionFields []PartitionField `json:"PartitionFields,omitempty"`
}

type RecordConfiguration struct {
	RecordFormatType *string `json:"RecordFormatType,omitempty"`
	GSRSchemaARN     *string `json:"GSRSchemaARN,omitempty"`
}

type S3DestinationConfiguration struct {
	StorageConfiguration           *S3StorageConfiguration         `json:"StorageConfiguration,omitempty"`
	DataFreshnessInSeconds         *int32                          `json:"DataFreshnessInSeconds,omitempty"`
	DeadLetterQueueS3Configuration *DeadLetterQueueS3Configuration `json:"DeadLetterQueueS3Configuration,omitempty"`
}

type S3DestinationDescription struct {
	DataFreshnessInSeconds         int32                           `json:"DataFreshnessInSeconds"`
	DeadLetterQueueS3Configuration *DeadLetterQueueS3Configuration `json:"DeadLetterQueueS3Configuration"`
	StorageConfiguration           *S3StorageConfiguration         `json:"StorageConfiguration"`
}

type S3DestinationUpdateInput struct {
	DataFreshnessInSeconds *int32 `json:"DataFreshnessInSeconds,omitempty"`
}

type S3StorageConfiguration struct {
	BucketARN           *string `json:"BucketARN,omitempty"`
	CompressionType     *string `json:"CompressionType,omitempty"`
	ExpectedBucketOwner *string `json:"ExpectedBucketOwner,omitempty"`
	OutputKeyTemplate   *string `json:"OutputKeyTemplate,omitempty"`
	StorageClass        *string `json:"StorageClass,omitempty"`
}

type S3TablesConfiguration struct {
	CompressionType *string        `json:"CompressionType,omitempty"`
	Namespace       *string        `json:"Namespace,omitempty"`
	TableBucketARN  *string        `json:"TableBucketARN,omitempty"`
	TableName       *string        `json:"TableName,omitempty"`
	PartitionSpec   *PartitionSpec `json:"PartitionSpec,omitempty"`
}

type S3TablesDestinationConfiguration struct {
	DeadLetterQueueS3Configuration *DeadLetterQueueS3Configuration `json:"DeadLetterQueueS3Configuration,omitempty"`
	S3TablesConfigurationList      []S3TablesConfiguration         `json:"S3TablesConfigurationList,omitempty"`
	DataFreshnessInSeconds         *int32                          `json:"DataFreshnessInSeconds,omitempty"`
}

type S3TablesDestinationDescription struct {
	DataFreshnessInSeconds         int32                           `json:"DataFreshnessInSeconds"`
	DeadLetterQueueS3Configuration *DeadLetterQueueS3Configuration `json:"DeadLetterQueueS3Configuration"`
	S3TablesConfigurationList      []S3TablesConfiguration         `json:"S3TablesConfigurationList"`
}

type S3TablesDestinationUpdateInput struct {
	DataFreshnessInSeconds *int32 `json:"DataFreshnessInSeconds,omitempty"`
}

type StreamFilter struct {
	StreamARN               *string         `json:"StreamARN,omitempty"`
	StreamCreationTimestamp *wire.Timestamp `json:"StreamCreationTimestamp,omitempty"`
}
