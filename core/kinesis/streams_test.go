package kinesis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/stream"
)

func TestANewStreamIsWhatItsRequestSays(t *testing.T) {
	s := newServer(t, Config{Region: "eu-west-1"})
	before := time.Now().Add(-time.Second)
	must[any](s, "CreateStream", doc{
		"StreamName": "orders", "ShardCount": 3, "MaxRecordSizeInKiB": 2048, "Tags": doc{"team": "a"},
		"StreamModeDetails": doc{"StreamMode": "PROVISIONED"}, "SomethingNew": 1,
	})
	d := must[DescribeStreamOutput](s, "DescribeStream", doc{"StreamName": "orders"}).StreamDescription
	if d.StreamStatus != "ACTIVE" || d.StreamARN != "arn:aws:kinesis:eu-west-1:123456789012:stream/orders" ||
		d.StreamName != "orders" || d.RetentionPeriodHours != 24 || d.EncryptionType != "NONE" || d.HasMoreShards ||
		*d.StreamModeDetails.StreamMode != "PROVISIONED" || d.StreamCreationTimestamp.Before(before) || d.StreamCreationTimestamp.After(time.Now()) {
		t.Errorf("description: %+v", d)
	}
	var ranges []string
	for _, sh := range d.Shards {
		ranges = append(ranges, sh.ShardId+" "+sh.HashKeyRange.StartingHashKey+" "+sh.HashKeyRange.EndingHashKey)
		if len(sh.SequenceNumberRange.StartingSequenceNumber) != 56 || sh.SequenceNumberRange.EndingSequenceNumber != "" {
			t.Errorf("sequence numbers of %s: %+v", sh.ShardId, sh.SequenceNumberRange)
		}
	}
	want := []string{ // as recorded from the service
		"shardId-000000000000 0 113427455640312821154458202477256070484",
		"shardId-000000000001 113427455640312821154458202477256070485 226854911280625642308916404954512140969",
		"shardId-000000000002 226854911280625642308916404954512140970 340282366920938463463374607431768211455",
	}
	if !slices.Equal(ranges, want) {
		t.Errorf("shards:\n%s\nwant\n%s", strings.Join(ranges, "\n"), strings.Join(want, "\n"))
	}
	got := s.summary("orders")
	if got.StreamStatus != "ACTIVE" || got.OpenShardCount != 3 || *got.MaxRecordSizeInKiB != 2048 || *got.ConsumerCount != 0 ||
		*got.ChannelCount != 0 || got.EncryptionType != "NONE" || got.RetentionPeriodHours != 24 || got.WarmThroughput != nil ||
		got.RecordDistributionStrategy != byPartitionKey || got.StreamARN != d.StreamARN || !got.StreamCreationTimestamp.Equal(d.StreamCreationTimestamp.Time) ||
		len(got.EnhancedMonitoring) != 1 || got.EnhancedMonitoring[0].ShardLevelMetrics == nil {
		t.Errorf("summary: %+v", got)
	}
	k, err := s.known("orders")
	if err != nil || k.meta().Tags["team"] != "a" {
		t.Errorf("tags: %v, %v", k.meta().Tags, err)
	}
}

func TestAnOnDemandStreamStartsWithFourShards(t *testing.T) {
	s := newServer(t, Config{})
	must[any](s, "CreateStream", doc{
		"StreamName": "clicks", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}, "RecordDistributionStrategy": "AUTO",
	})
	got := s.summary("clicks")
	if *got.StreamModeDetails.StreamMode != "ON_DEMAND" || got.OpenShardCount != 4 || got.RecordDistributionStrategy != "AUTO" ||
		*got.WarmThroughput.CurrentMiBps != 4 || got.WarmThroughput.TargetMiBps != nil {
		t.Errorf("summary: %+v", got)
	}
}

func TestStreamsOfTheAPIHaveTheLimitsOfTheService(t *testing.T) {
	s := newServer(t, Config{Limits: true})
	s.create("a", 1)
	if k, _ := s.known("a"); k.Config().WriteLimit != stream.KinesisWriteLimit {
		t.Errorf("write limit %+v", k.Config().WriteLimit)
	}
	s.cfg.Limits = false
	s.restart()
	if k, _ := s.known("a"); k.Config().WriteLimit != (stream.WriteLimit{}) {
		t.Errorf("write limit %+v, though the server runs without limits", k.Config().WriteLimit)
	}
}

func TestCreateStreamRefuses(t *testing.T) {
	s := newServer(t, Config{ShardQuota: 10})
	s.create("there", 3)
	long := strings.Repeat("a", 129)
	tags := doc{}
	for i := range 51 {
		tags[fmt.Sprintf("tag%d", i)] = ""
	}
	onDemand := doc{"StreamMode": "ON_DEMAND"}
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{}, codeValidation, "2 validation errors detected: " +
			"Value null at 'shardCount' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'streamName' failed to satisfy constraint: Member must not be null"},
		{doc{"StreamName": "", "ShardCount": 0}, codeValidation, "3 validation errors detected: " +
			"Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{doc{"StreamName": long, "ShardCount": 1}, codeValidation, "1 validation error detected: " +
			"Value '" + long + "' at 'streamName' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{doc{"StreamName": "a/b", "StreamModeDetails": doc{"StreamMode": "MANUAL"}, "ShardCount": 1}, codeValidation, "2 validation errors detected: " +
			"Value 'a/b' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value 'MANUAL' at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]"},
		{doc{"StreamName": "a", "StreamModeDetails": doc{}, "ShardCount": 1}, codeValidation, "1 validation error detected: " +
			"Value null at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must not be null"},
		{doc{"StreamName": "a", "ShardCount": 1, "MaxRecordSizeInKiB": 1023, "WarmThroughputMiBps": -1, "RecordDistributionStrategy": "RANDOM"}, codeValidation,
			"3 validation errors detected: " +
				"Value '1023' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value greater than or equal to 1024; " +
				"Value '-1' at 'warmThroughputMiBps' failed to satisfy constraint: Member must have value greater than or equal to 0; " +
				"Value 'RANDOM' at 'recordDistributionStrategy' failed to satisfy constraint: Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]"},
		{doc{"StreamName": "a", "ShardCount": 1, "MaxRecordSizeInKiB": 10241}, codeValidation, "1 validation error detected: " +
			"Value '10241' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value less than or equal to 10240"},
		{doc{"StreamName": "a", "StreamModeDetails": onDemand, "ShardCount": 2}, codeValidation, "ShardCount is not expected when StreamMode=ON_DEMAND"},
		{doc{"StreamName": "a", "ShardCount": 1, "RecordDistributionStrategy": "AUTO"}, codeInvalidArgument,
			"RecordDistributionStrategy AUTO is not supported for stream a under account 123456789012: it is supported in On-Demand mode only."},
		{doc{"StreamName": "a", "ShardCount": 1, "WarmThroughputMiBps": 5}, codeValidation,
			"WarmThroughputMiBps is supported for data streams with the On-Demand capacity mode only."},
		{doc{"StreamName": "a", "StreamModeDetails": onDemand, "WarmThroughputMiBps": 5}, codeValidation,
			"WarmThroughputMiBps requires MinimumThroughputBillingCommitment to be enabled for the account 123456789012."},
		{doc{"StreamName": "a", "ShardCount": 1, "Tags": tags}, codeInvalidArgument,
			"Failed to add tags to stream a under account 123456789012 because a given stream cannot have more than 50 tags associated with it."},
		{doc{"StreamName": "a", "ShardCount": 1, "Tags": doc{"a%b": "c"}}, codeInvalidArgument,
			"Failed to add tags to stream a under account 123456789012 because some tags contained illegal characters. " +
				"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@',':'."},
		{doc{"StreamName": "there", "ShardCount": 1}, codeResourceInUse, "Stream there under account 123456789012 already exists."},
		{doc{"StreamName": "a", "ShardCount": 8}, codeLimitExceeded,
			"This request would exceed the shard limit for the account 123456789012 in us-east-1. Current shard count for the account: 3. Limit: 10. " +
				"Number of additional shards that would have resulted from this request: 8. " +
				"Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) " +
				"for current limits and how to request higher limits."},
		{doc{"StreamName": "a", "ShardCount": 10_001}, codeLimitExceeded,
			"Target shard count or number of open shards cannot be greater than 10000. Current open shard count: 0, Target shard count: 10001"},
	} {
		s.refused("CreateStream", c.in, c.code, c.message)
	}
	if names := s.API.cfg.Streams.List(); len(names) != 1 {
		t.Errorf("streams after refusals: %v", names)
	}
	s.create("rest", 7) // the quota is spent to the last shard
}

func TestAnAccountHasFiftyOnDemandStreams(t *testing.T) {
	s := newServer(t, Config{Limits: true, Now: newClock().now})
	for i := range maxOnDemand {
		if _, err := s.API.cfg.Streams.Create(t.Context(), fmt.Sprintf("s%d", i), stream.Config{Mode: stream.OnDemand}); err != nil {
			t.Fatal(err)
		}
	}
	s.refused("CreateStream", doc{"StreamName": "one-more", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}}, codeLimitExceeded,
		"This request would exceed the limit on the number of on-demand streams for the account 123456789012 in us-east-1. Current on-demand stream count for the account: 50. Limit: 50.")
}

func TestDeletedStreamsAreGoneWithAllThatWasKnownOfThem(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	k, _ := s.known("a")
	must[any](s, "DeleteStream", doc{"StreamARN": k.ARN()})
	s.refused("DescribeStreamSummary", doc{"StreamName": "a"}, codeResourceNotFound, "Stream a under account 123456789012 not found.")
	s.refused("DeleteStream", doc{"StreamName": "a"}, codeResourceNotFound, "Stream a under account 123456789012 not found.")
	if keys := storedMetas(s); len(keys) != 0 {
		t.Errorf("left in the state store: %v", keys)
	}
	if err := k.update(t.Context(), func(m *meta) error { m.WarmMiBps = 1; return nil }); err == nil || len(storedMetas(s)) != 0 {
		t.Errorf("a change of a deleted stream: %v, left %v", err, storedMetas(s))
	}
	must[any](s, "CreateStream", doc{"StreamName": "a", "ShardCount": 1, "Tags": doc{"new": "1"}})
	if k, _ := s.known("a"); len(k.meta().Tags) != 1 {
		t.Errorf("a stream of the same name has tags %v", k.meta().Tags)
	}
}

func TestDeleteStreamRefuses(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	k, _ := s.known("a")
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{"StreamName": "", "StreamARN": "x"}, codeValidation, "3 validation errors detected: " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
			`Value 'x' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`},
		{doc{}, codeInvalidArgument, "Either StreamName or StreamARN should be provided."},
		{doc{"StreamName": "b"}, codeResourceNotFound, "Stream b under account 123456789012 not found."},
		{doc{"StreamARN": strings.Replace(k.ARN(), "us-east-1", "us-west-1", 1)}, codeResourceNotFound, "Stream a under account 123456789012 not found."},
	} {
		s.refused("DeleteStream", c.in, c.code, c.message)
	}
	must[any](s, "RegisterStreamConsumer", doc{"StreamARN": k.ARN(), "ConsumerName": "reader"})
	s.refused("DeleteStream", doc{"StreamName": "a"}, codeResourceInUse,
		"DeleteStream can't delete 123456789012:a because there are consumers associated with this data stream. "+
			"To delete a anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it.")
	if n := *s.summary("a").ConsumerCount; n != 1 {
		t.Errorf("%d consumers", n)
	}
	must[any](s, "DeleteStream", doc{"StreamName": "a", "EnforceConsumerDeletion": true})
}

func TestListStreamsInPages(t *testing.T) {
	s := newServer(t, Config{})
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprintf("s%d", i))
		s.create(names[i], 1)
	}
	var byToken, byName []string
	for in := (doc{"Limit": 3}); ; {
		out := must[ListStreamsOutput](s, "ListStreams", in)
		for i, name := range out.StreamNames {
			if sum := out.StreamSummaries[i]; sum.StreamName != name || sum.StreamStatus != "ACTIVE" || *sum.StreamModeDetails.StreamMode != "PROVISIONED" ||
				sum.StreamARN != s.streamARN(name) || sum.StreamCreationTimestamp == nil {
				t.Errorf("summary of %s: %+v", name, sum)
			}
		}
		byToken = append(byToken, out.StreamNames...)
		if out.HasMoreStreams != (out.NextToken != "") || len(out.StreamNames) > 3 {
			t.Fatalf("page %+v", out)
		}
		if !out.HasMoreStreams {
			break
		}
		in = doc{"Limit": 3, "NextToken": out.NextToken}
	}
	for in := (doc{"Limit": 4}); ; {
		out := must[ListStreamsOutput](s, "ListStreams", in)
		byName = append(byName, out.StreamNames...)
		if !out.HasMoreStreams {
			break
		}
		in = doc{"Limit": 4, "ExclusiveStartStreamName": byName[len(byName)-1]}
	}
	if !slices.Equal(byToken, names) || !slices.Equal(byName, names) {
		t.Errorf("by token %v, by name %v, want %v", byToken, byName, names)
	}
}

func TestListStreamsListsAHundredAtMost(t *testing.T) {
	s := newServer(t, Config{})
	if out := must[ListStreamsOutput](s, "ListStreams", doc{}); out.StreamNames == nil || len(out.StreamNames) > 0 || out.HasMoreStreams {
		t.Errorf("without streams: %+v", out)
	}
	for i := range 101 {
		s.create(fmt.Sprintf("s%03d", i), 1)
	}
	for _, in := range []doc{{}, {"Limit": 10_000}} {
		if out := must[ListStreamsOutput](s, "ListStreams", in); len(out.StreamNames) != 100 || !out.HasMoreStreams {
			t.Errorf("%v: %d streams, more: %v", in, len(out.StreamNames), out.HasMoreStreams)
		}
	}
}

func TestListStreamsRefuses(t *testing.T) {
	s := newServer(t, Config{})
	long := strings.Repeat("a", 129)
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{"ExclusiveStartStreamName": "", "Limit": 0}, codeValidation, "3 validation errors detected: " +
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
			"Value '' at 'exclusiveStartStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value '' at 'exclusiveStartStreamName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{doc{"ExclusiveStartStreamName": long, "Limit": 1000000}, codeValidation, "2 validation errors detected: " +
			"Value '1000000' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000; " +
			"Value '" + long + "' at 'exclusiveStartStreamName' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{doc{"NextToken": "x"}, codeInvalidArgument, "NextToken is invalid."},
		{doc{"NextToken": "x", "ExclusiveStartStreamName": "a"}, codeInvalidArgument, "NextToken and ExclusiveStartStreamName cannot be provided together."},
	} {
		s.refused("ListStreams", c.in, c.code, c.message)
	}
}
