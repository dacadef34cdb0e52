package kinesis

import (
	"fmt"
	"strings"
	"testing"
)

// violated is the service's text for violated constraints.
func violated(constraints ...string) string {
	plural := ""
	if len(constraints) > 1 {
		plural = "s"
	}
	return fmt.Sprintf("%d validation error%s detected: Value %s", len(constraints), plural, strings.Join(constraints, "; Value "))
}

// at is a violated constraint of a member.
func at(value, member, constraint string) string {
	return value + " at '" + member + "' failed to satisfy constraint: Member must " + constraint
}

// Constraints as the service words them.
const (
	notNull    = "not be null"
	nameIs     = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
	arnIs      = `satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`
	resourceIs = `satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`
	hashKeyIs  = `satisfy regular expression pattern: 0|([1-9]\d{0,38})`
	atLeastOne = "have length greater than or equal to 1"
	atMost128  = "have length less than or equal to 128"
	metricsAre = "satisfy constraint: [Member must satisfy enum value set: [IncomingBytes, IncomingRecords, OutgoingBytes, OutgoingRecords, " +
		"WriteProvisionedThroughputExceeded, ReadProvisionedThroughputExceeded, IteratorAgeMilliseconds, ALL]]"
	keysAre = "satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
)

// TestConstraintsOfShardsAndSettings holds the order in which the service names members, as far as it is known.
func TestConstraintsOfShardsAndSettings(t *testing.T) {
	s := newServer(t, Config{})
	long := strings.Repeat("a", 129)
	emptyName := []string{at("''", "streamName", nameIs), at("''", "streamName", atLeastOne)}
	longName := at("'"+long+"'", "streamName", atMost128)
	for _, test := range []struct {
		operation string
		in        doc
		want      []string
	}{
		{"ListShards", doc{"StreamName": "", "ExclusiveStartShardId": "", "MaxResults": 0, "NextToken": "", "ShardFilter": doc{"ShardId": "/"}}, append([]string{
			at("''", "exclusiveStartShardId", nameIs), at("''", "exclusiveStartShardId", atLeastOne),
			at("'0'", "maxResults", "have value greater than or equal to 1"), at("''", "nextToken", atLeastOne),
			at("null", "shardFilter.type", notNull), at("'/'", "shardFilter.shardId", nameIs)}, emptyName...)},
		{"ListShards", doc{"StreamName": long, "MaxResults": 10_001, "ShardFilter": doc{"Type": "LATEST"}}, []string{
			at("'10001'", "maxResults", "have value less than or equal to 10000"),
			at("'LATEST'", "shardFilter.type", "satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]"),
			longName}},

		{"SplitShard", doc{"StreamARN": "arn"}, []string{at("null", "newStartingHashKey", notNull), at("'arn'", "streamARN", arnIs), at("null", "shardToSplit", notNull)}},
		{"SplitShard", doc{"StreamName": "", "ShardToSplit": "", "NewStartingHashKey": ""}, append(append([]string{
			at("''", "newStartingHashKey", hashKeyIs)}, emptyName...),
			at("''", "shardToSplit", nameIs), at("''", "shardToSplit", atLeastOne))},
		{"SplitShard", doc{"StreamName": long, "ShardToSplit": long, "NewStartingHashKey": "0"}, []string{longName, at("'"+long+"'", "shardToSplit", atMost128)}},

		{"MergeShards", doc{}, []string{at("null", "shardToMerge", notNull), at("null", "adjacentShardToMerge", notNull)}},
		{"MergeShards", doc{"StreamName": "", "ShardToMerge": "", "AdjacentShardToMerge": ""}, append([]string{
			at("''", "shardToMerge", nameIs), at("''", "shardToMerge", atLeastOne),
			at("''", "adjacentShardToMerge", nameIs), at("''", "adjacentShardToMerge", atLeastOne)}, emptyName...)},

		{"UpdateShardCount", doc{"StreamName": ""}, append(append([]string{at("null", "scalingType", notNull)}, emptyName...), at("null", "targetShardCount", notNull))},
		{"UpdateShardCount", doc{"StreamName": "s", "ScalingType": "x", "TargetShardCount": 0}, []string{
			at("'x'", "scalingType", "satisfy enum value set: [UNIFORM_SCALING]"), at("'0'", "targetShardCount", "have value greater than or equal to 1")}},
		{"UpdateShardCount", target("s", 100_001), []string{at("'100001'", "targetShardCount", "have value less than or equal to 100000")}},

		{"IncreaseStreamRetentionPeriod", doc{"StreamName": "", "RetentionPeriodHours": -1}, append([]string{
			at("'-1'", "retentionPeriodHours", "have value greater than or equal to 1")}, emptyName...)},
		{"IncreaseStreamRetentionPeriod", doc{}, []string{at("null", "retentionPeriodHours", notNull)}},
		{"DecreaseStreamRetentionPeriod", doc{"StreamName": long, "RetentionPeriodHours": 10_001}, []string{
			at("'10001'", "retentionPeriodHours", "have value less than or equal to 10000"), longName}},

		{"AddTagsToStream", doc{}, []string{at("null", "tags", notNull)}},
		{"AddTagsToStream", doc{"StreamName": "", "Tags": doc{}}, append([]string{at("'{}'", "tags", atLeastOne)}, emptyName...)},
		{"AddTagsToStream", doc{"StreamName": "s", "Tags": doc{"": "x", "b": strings.Repeat("v", 257)}}, []string{
			"'{=x, b=" + strings.Repeat("v", 257) + "}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: " +
				"[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]",
			"'{=x, b=" + strings.Repeat("v", 257) + "}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: " +
				"[Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"}},
		{"RemoveTagsFromStream", doc{"StreamName": ""}, append([]string{at("null", "tagKeys", notNull)}, emptyName...)},
		{"RemoveTagsFromStream", doc{"StreamName": "s", "TagKeys": []string{}}, []string{at("'[]'", "tagKeys", atLeastOne)}},
		{"RemoveTagsFromStream", doc{"StreamName": "s", "TagKeys": []string{"a", long, "b"}}, []string{at("'[a, "+long+", b]'", "tagKeys", keysAre)}},
		{"RemoveTagsFromStream", doc{"StreamName": "s", "TagKeys": strings.Split(strings.Repeat("k", 51), "")}, []string{
			at("'["+strings.Repeat("k, ", 50)+"k]'", "tagKeys", "have length less than or equal to 50")}},
		{"ListTagsForStream", doc{"StreamName": "", "Limit": 0, "ExclusiveStartTagKey": ""}, append([]string{
			at("'0'", "limit", "have value greater than or equal to 1"), at("''", "exclusiveStartTagKey", atLeastOne)}, emptyName...)},
		{"ListTagsForStream", doc{"StreamName": "s", "Limit": 51, "ExclusiveStartTagKey": long}, []string{
			at("'51'", "limit", "have value less than or equal to 50"), at("'"+long+"'", "exclusiveStartTagKey", atMost128)}},
		{"TagResource", doc{}, []string{at("null", "resourceARN", notNull), at("null", "tags", notNull)}},
		{"TagResource", doc{"ResourceARN": "s", "Tags": doc{"a": "b"}}, []string{at("'s'", "resourceARN", resourceIs)}},
		{"UntagResource", doc{}, []string{at("null", "resourceARN", notNull), at("null", "tagKeys", notNull)}},
		{"ListTagsForResource", doc{"ResourceARN": ""}, []string{at("''", "resourceARN", resourceIs), at("''", "resourceARN", atLeastOne)}},

		{"PutResourcePolicy", doc{}, []string{at("null", "policy", notNull), at("null", "resourceARN", notNull)}},
		{"GetResourcePolicy", doc{}, []string{at("null", "resourceARN", notNull)}},
		{"DeleteResourcePolicy", doc{"ResourceARN": "s"}, []string{at("'s'", "resourceARN", resourceIs)}},

		{"EnableEnhancedMonitoring", doc{"StreamName": ""}, append([]string{at("null", "shardLevelMetrics", notNull)}, emptyName...)},
		{"EnableEnhancedMonitoring", doc{"StreamName": "s", "ShardLevelMetrics": []string{"ALL", "SOME"}}, []string{at("'[ALL, SOME]'", "shardLevelMetrics", metricsAre)}},
		{"DisableEnhancedMonitoring", doc{"StreamName": "s", "ShardLevelMetrics": []string{}}, []string{at("'[]'", "shardLevelMetrics", atLeastOne)}},
		{"DisableEnhancedMonitoring", doc{"StreamName": "s", "ShardLevelMetrics": []string{"ALL", "ALL", "ALL", "ALL", "ALL", "ALL", "ALL", "ALL"}}, []string{
			at("'[ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL]'", "shardLevelMetrics", "have length less than or equal to 7")}},

		{"StartStreamEncryption", doc{"StreamName": ""}, append([]string{at("null", "encryptionType", notNull), at("null", "keyId", notNull)}, emptyName...)},
		{"StopStreamEncryption", doc{"StreamName": "s", "EncryptionType": "AES", "KeyId": ""}, []string{
			at("'AES'", "encryptionType", "satisfy enum value set: [NONE, KMS]"), at("''", "keyId", atLeastOne)}},

		{"CreateChannel", doc{"StreamConfigurationList": []doc{{}}, "S3DestinationConfiguration": doc{}}, []string{
			at("null", "channelName", notNull), at("null", "serviceExecutionRoleARN", notNull),
			at("null", "streamConfigurationList.1.member.recordConfiguration", notNull), at("null", "streamConfigurationList.1.member.streamARN", notNull),
			at("null", "s3DestinationConfiguration.storageConfiguration", notNull)}},
		{"CreateChannel", doc{"ChannelName": "c", "ServiceExecutionRoleARN": "r", "StreamConfigurationList": []doc{},
			"EncryptionConfiguration": doc{"EncryptionType": "NONE", "KeyId": "k"}, "LoggingConfiguration": doc{"CloudWatchLogs": doc{}},
			"S3TablesDestinationConfiguration": doc{"S3TablesConfigurationList": []doc{{"PartitionSpec": doc{"PartitionFields": []doc{{"Transform": "DAY"}}}}}}}, []string{
			at("'NONE'", "encryptionConfiguration.encryptionType", "satisfy enum value set: [KMS]"),
			at("null", "loggingConfiguration.cloudWatchLogs.enabled", notNull),
			at("null", "s3TablesDestinationConfiguration.deadLetterQueueS3Configuration", notNull),
			at("null", "s3TablesDestinationConfiguration.s3TablesConfigurationList.1.member.compressionType", notNull),
			at("null", "s3TablesDestinationConfiguration.s3TablesConfigurationList.1.member.namespace", notNull),
			at("null", "s3TablesDestinationConfiguration.s3TablesConfigurationList.1.member.tableBucketARN", notNull),
			at("null", "s3TablesDestinationConfiguration.s3TablesConfigurationList.1.member.tableName", notNull),
			at("null", "s3TablesDestinationConfiguration.s3TablesConfigurationList.1.member.partitionSpec.partitionFields.1.member.sourceName", notNull),
			at("'DAY'", "s3TablesDestinationConfiguration.s3TablesConfigurationList.1.member.partitionSpec.partitionFields.1.member.transform", "satisfy enum value set: [TIME_HOUR]")}},
		{"DescribeChannel", doc{}, []string{at("null", "channelARN", notNull)}},
		{"ListChannels", doc{"MaxResults": 0, "NextToken": "", "StreamFilter": []doc{{}}}, []string{
			at("'0'", "maxResults", "have value greater than or equal to 1"), at("''", "nextToken", atLeastOne),
			at("null", "streamFilter.1.member.streamARN", notNull)}},
		{"UpdateChannel", doc{"S3DestinationConfiguration": doc{}, "S3TablesDestinationConfiguration": doc{}, "LoggingConfiguration": doc{}}, []string{
			at("null", "channelARN", notNull), at("null", "loggingConfiguration.cloudWatchLogs", notNull),
			at("null", "s3DestinationConfiguration.dataFreshnessInSeconds", notNull), at("null", "s3TablesDestinationConfiguration.dataFreshnessInSeconds", notNull)}},
		{"DeleteChannel", doc{}, []string{at("null", "channelARN", notNull)}},
	} {
		s.refused(test.operation, test.in, "ValidationException", violated(test.want...))
	}
	for _, operation := range []string{"SplitShard", "MergeShards", "UpdateShardCount", "IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod",
		"AddTagsToStream", "RemoveTagsFromStream", "ListTagsForStream", "EnableEnhancedMonitoring", "DisableEnhancedMonitoring",
		"StartStreamEncryption", "StopStreamEncryption"} {
		s.refused(operation, doc{
			"ShardToSplit": "0", "NewStartingHashKey": "0", "ShardToMerge": "0", "AdjacentShardToMerge": "1", "TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING",
			"RetentionPeriodHours": 24, "Tags": doc{"a": "b"}, "TagKeys": []string{"a"}, "ShardLevelMetrics": []string{"ALL"}, "EncryptionType": "KMS", "KeyId": "k",
		}, "InvalidArgumentException", "Either StreamName or StreamARN should be provided.")
	}
}
