package kinesis

import (
	"context"
	"fmt"

	"github.com/leatstream/leat/core/wire"
)

// channelOperations are the operations on channels, which deliver a stream to a bucket. There are no channels here: after
// the checks all answer with an error of the service that says so.
func (a *API) channelOperations(ops map[string]wire.Handler) {
	ops["CreateChannel"] = operation(a.createChannel)
	ops["DescribeChannel"] = operation(a.describeChannel)
	ops["ListChannels"] = operation(a.listChannels)
	ops["UpdateChannel"] = operation(a.updateChannel)
	ops["DeleteChannel"] = operation(a.deleteChannel)
}

func (in *CreateChannelInput) validate(v *violations) {
	v.required("channelName", in.ChannelName == nil)
	v.required("serviceExecutionRoleARN", in.ServiceExecutionRoleARN == nil)
	v.required("streamConfigurationList", in.StreamConfigurationList == nil)
	for i, c := range in.StreamConfigurationList {
		at := fmt.Sprintf("streamConfigurationList.%d.member.", i+1)
		v.required(at+"recordConfiguration", c.RecordConfiguration == nil)
		if r := c.RecordConfiguration; r != nil {
			v.required(at+"recordConfiguration.recordFormatType", r.RecordFormatType == nil)
			v.enum(at+"recordConfiguration.recordFormatType", r.RecordFormatType, "GSR_JSON", "JSON", "STRING", "BYTE_ARRAY")
		}
		streamARN.need(v, at+"streamARN", c.StreamARN)
	}
	if e := in.EncryptionConfiguration; e != nil {
		v.required("encryptionConfiguration.encryptionType", e.EncryptionType == nil)
		v.enum("encryptionConfiguration.encryptionType", e.EncryptionType, "KMS")
		keyID.need(v, "encryptionConfiguration.keyId", e.KeyId)
	}
	if l := in.LoggingConfiguration; l != nil {
		v.required("loggingConfiguration.cloudWatchLogs", l.CloudWatchLogs == nil)
		v.required("loggingConfiguration.cloudWatchLogs.enabled", l.CloudWatchLogs != nil && l.CloudWatchLogs.Enabled == nil)
	}
	if d := in.S3DestinationConfiguration; d != nil {
		d.StorageConfiguration.validate(v, "s3DestinationConfiguration.storageConfiguration")
		d.DeadLetterQueueS3Configuration.validate(v, "s3DestinationConfiguration.deadLetterQueueS3Configuration")
	}
	if d := in.S3TablesDestinationConfiguration; d != nil {
		const at = "s3TablesDestinationConfiguration."
		v.required(at+"deadLetterQueueS3Configuration", d.DeadLetterQueueS3Configuration == nil)
		d.DeadLetterQueueS3Configuration.validate(v, at+"deadLetterQueueS3Configuration")
		v.required(at+"s3TablesConfigurationList", d.S3TablesConfigurationList == nil)
		for i := range d.S3TablesConfigurationList {
			d.S3TablesConfigurationList[i].validate(v, fmt.Sprintf("%ss3TablesConfigurationList.%d.member", at, i+1))
		}
	}
	v.tags(in.Tags)
}

func (c *S3StorageConfiguration) validate(v *violations, at string) {
	v.required(at, c == nil)
	if c == nil {
		return
	}
	v.required(at+".bucketARN", c.BucketARN == nil)
	v.required(at+".compressionType", c.CompressionType == nil)
	v.enum(at+".compressionType", c.CompressionType, "NONE", "GZIP", "ZSTD")
	v.required(at+".expectedBucketOwner", c.ExpectedBucketOwner == nil)
	v.enum(at+".storageClass", c.StorageClass, "STANDARD", "INTELLIGENT_TIERING", "GLACIER_IR")
}

func (c *DeadLetterQueueS3Configuration) validate(v *violations, at string) {
	if c == nil {
		return
	}
	v.required(at+".bucketARN", c.BucketARN == nil)
	v.required(at+".expectedBucketOwner", c.ExpectedBucketOwner == nil)
}

func (c *S3TablesConfiguration) validate(v *violations, at string) {
	v.required(at+".compressionType", c.CompressionType == nil)
	v.enum(at+".compressionType", c.CompressionType, "NONE", "ZSTD", "SNAPPY")
	v.required(at+".namespace", c.Namespace == nil)
	v.required(at+".tableBucketARN", c.TableBucketARN == nil)
	v.required(at+".tableName", c.TableName == nil)
	if c.PartitionSpec == nil {
		return
	}
	v.required(at+".partitionSpec.partitionFields", c.PartitionSpec.PartitionFields == nil)
	for i, f := range c.PartitionSpec.PartitionFields {
		field := fmt.Sprintf("%s.partitionSpec.partitionFields.%d.member", at, i+1)
		v.required(field+".sourceName", f.SourceName == nil)
		v.required(field+".transform", f.Transform == nil)
		v.enum(field+".transform", f.Transform, "TIME_HOUR")
	}
}

func (a *API) createChannel(_ context.Context, in *CreateChannelInput) (*CreateChannelOutput, error) {
	if (in.S3DestinationConfiguration == nil) == (in.S3TablesDestinationConfiguration == nil) {
		return nil, fail(codeInvalidArgument, "Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be provided.")
	}
	for _, c := range in.StreamConfigurationList {
		if _, err := a.find(nil, c.StreamARN); err != nil {
			return nil, err
		}
	}
	return nil, fail(codeInvalidArgument, "Channels are not supported here.")
}

func (in *DescribeChannelInput) validate(v *violations) {
	v.required("channelARN", in.ChannelARN == nil)
}

func (a *API) describeChannel(_ context.Context, in *DescribeChannelInput) (*DescribeChannelOutput, error) {
	return nil, a.noChannel(*in.ChannelARN)
}

func (in *ListChannelsInput) validate(v *violations) {
	within(v, "maxResults", in.MaxResults, 1, 10_000)
	nextToken.check(v, "nextToken", in.NextToken)
	for i, f := range in.StreamFilter {
		streamARN.need(v, fmt.Sprintf("streamFilter.%d.member.streamARN", i+1), f.StreamARN)
	}
}

func (a *API) listChannels(context.Context, *ListChannelsInput) (*ListChannelsOutput, error) {
	return nil, fail(codeInvalidArgument, "Channels are not supported here.")
}

func (in *UpdateChannelInput) validate(v *violations) {
	v.required("channelARN", in.ChannelARN == nil)
	if l := in.LoggingConfiguration; l != nil {
		v.required("loggingConfiguration.cloudWatchLogs", l.CloudWatchLogs == nil)
		v.required("loggingConfiguration.cloudWatchLogs.enabled", l.CloudWatchLogs != nil && l.CloudWatchLogs.Enabled == nil)
	}
	if d := in.S3DestinationConfiguration; d != nil {
		v.required("s3DestinationConfiguration.dataFreshnessInSeconds", d.DataFreshnessInSeconds == nil)
	}
	if d := in.S3TablesDestinationConfiguration; d != nil {
		v.required("s3TablesDestinationConfiguration.dataFreshnessInSeconds", d.DataFreshnessInSeconds == nil)
	}
}

func (a *API) updateChannel(_ context.Context, in *UpdateChannelInput) (*UpdateChannelOutput, error) {
	return nil, a.noChannel(*in.ChannelARN)
}

func (in *DeleteChannelInput) validate(v *violations) {
	v.required("channelARN", in.ChannelARN == nil)
}

func (a *API) deleteChannel(_ context.Context, in *DeleteChannelInput) (none, error) {
	return nil, a.noChannel(*in.ChannelARN)
}

func (a *API) noChannel(arn string) error {
	return fail(codeResourceNotFound, "Channel %s under account %s not found: channels are not supported here.", arn, a.cfg.Account)
}
