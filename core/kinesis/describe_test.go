package kinesis

import (
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

func TestDescribeStreamListsShardsInPages(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 5)
	var ids []string
	for in := (doc{"StreamName": "a", "Limit": 2}); ; {
		d := must[DescribeStreamOutput](s, "DescribeStream", in).StreamDescription
		for _, sh := range d.Shards {
			ids = append(ids, sh.ShardId)
		}
		if len(d.Shards) > 2 || len(ids) > 5 {
			t.Fatalf("pages: %v", ids)
		}
		if !d.HasMoreShards {
			break
		}
		in["ExclusiveStartShardId"] = ids[len(ids)-1]
	}
	if got := strings.Join(ids, " "); got != "shardId-000000000000 shardId-000000000001 shardId-000000000002 shardId-000000000003 shardId-000000000004" {
		t.Errorf("shards %s", got)
	}
}

func TestDescribeStreamListsAHundredShardsAtMost(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 101)
	for _, in := range []doc{{"StreamName": "a"}, {"StreamName": "a", "Limit": 10_000}} {
		if d := must[DescribeStreamOutput](s, "DescribeStream", in).StreamDescription; len(d.Shards) != 100 || !d.HasMoreShards {
			t.Errorf("%v: %d shards, more: %v", in, len(d.Shards), d.HasMoreShards)
		}
	}
}

func TestDescribeStreamShowsLineage(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	must[any](s, "SplitShard", doc{"StreamName": "a", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "100"})
	d := must[DescribeStreamOutput](s, "DescribeStream", doc{"StreamARN": s.streamARN("a")}).StreamDescription
	for _, sh := range d.Shards {
		if sh.ShardId != "shardId-000000000000" && (sh.ParentShardId != "shardId-000000000000" || sh.SequenceNumberRange.EndingSequenceNumber != "") {
			t.Errorf("child: %+v", sh)
		}
	}
	if n := s.summary("a").OpenShardCount; n != 2 {
		t.Errorf("%d open shards", n)
	}
}

func TestDescribeStreamRefuses(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	name := strings.Repeat("a", 129)
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{"StreamName": "", "Limit": 0, "ExclusiveStartShardId": ""}, codeValidation, "5 validation errors detected: " +
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
			"Value '' at 'exclusiveStartShardId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value '' at 'exclusiveStartShardId' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{doc{"StreamName": name, "Limit": 100000, "ExclusiveStartShardId": name}, codeValidation, "3 validation errors detected: " +
			"Value '100000' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000; " +
			"Value '" + name + "' at 'exclusiveStartShardId' failed to satisfy constraint: Member must have length less than or equal to 128; " +
			"Value '" + name + "' at 'streamName' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{doc{"StreamName": "b"}, codeResourceNotFound, "Stream b under account 123456789012 not found."},
		{doc{"StreamName": "b", "StreamARN": s.streamARN("a")}, codeInvalidArgument,
			"StreamName b and StreamARN arn:aws:kinesis:us-east-1:123456789012:stream/a do not name the same stream."},
		{doc{"StreamName": "a", "ExclusiveStartShardId": "no"}, codeResourceNotFound, "Could not find shard no in stream a under account 123456789012."},
	} {
		s.refused("DescribeStream", c.in, c.code, c.message)
	}
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{"StreamName": "?", "StreamARN": "arn"}, codeValidation, "2 validation errors detected: " +
			"Value '?' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			`Value 'arn' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`},
		{doc{}, codeInvalidArgument, "Either StreamName or StreamARN should be provided."},
		{doc{"StreamName": "b"}, codeResourceNotFound, "Stream b under account 123456789012 not found."},
	} {
		s.refused("DescribeStreamSummary", c.in, c.code, c.message)
	}
}

func TestARetentionWithoutEndIsShownAsTheLongest(t *testing.T) {
	s := newServer(t, Config{})
	c := stream.Config{Retention: shardlog.Retention{Hold: 1 << 30}}
	if _, err := s.API.cfg.Streams.Create(t.Context(), "pipeline", c); err != nil {
		t.Fatal(err)
	}
	if got := s.summary("pipeline").RetentionPeriodHours; time.Duration(got)*time.Hour != stream.MaxRetention {
		t.Errorf("%d hours", got)
	}
}
