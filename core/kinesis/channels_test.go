package kinesis

import (
	"testing"
)

func TestChannelsSayThatThereAreNone(t *testing.T) {
	s := newServer(t, Config{})
	stream, _ := s.resources()
	channel := func(destinations doc) doc {
		in := doc{"ChannelName": "c", "ServiceExecutionRoleARN": "arn:aws:iam::123456789012:role/r",
			"StreamConfigurationList": []doc{{"StreamARN": stream, "RecordConfiguration": doc{"RecordFormatType": "JSON"}}}}
		for name, destination := range destinations {
			in[name] = destination
		}
		return in
	}
	bucket := doc{"StorageConfiguration": doc{"BucketARN": "arn:aws:s3:::b", "CompressionType": "GZIP", "ExpectedBucketOwner": "123456789012"}}
	s.refused("CreateChannel", channel(doc{"S3DestinationConfiguration": bucket}), "InvalidArgumentException", "Channels are not supported here.")
	s.refused("CreateChannel", channel(nil), "InvalidArgumentException",
		"Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be provided.")
	s.refused("ListChannels", doc{}, "InvalidArgumentException", "Channels are not supported here.")
	for _, operation := range []string{"DescribeChannel", "UpdateChannel", "DeleteChannel"} {
		s.refused(operation, doc{"ChannelARN": "arn:c"}, "ResourceNotFoundException",
			"Channel arn:c under account 123456789012 not found: channels are not supported here.")
	}
}
