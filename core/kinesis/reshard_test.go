package kinesis

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/stream"
)

func TestSplitShardRefuses(t *testing.T) {
	s := newServer(t, Config{ShardQuota: 5})
	s.create("s", 3)
	must[any](s, "CreateStream", doc{"StreamName": "o", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
	split := func(shard, at string) doc {
		return doc{"StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": at}
	}
	for _, shard := range []string{"2147483648", "shardId-002147483648", "ABKLFD8", "2.14E4"} {
		in := split(shard, "0")
		in["StreamName"] = "t" // there is no such stream, but the shard is looked at first
		s.refused("SplitShard", in, "ResourceNotFoundException", "Could not find shard "+shard+" in stream t under account 123456789012.")
	}
	for _, shard := range []string{"2147483647", "x-2147483647", "a-00002147483647", "-00002147483647"} {
		in := split(shard, "0")
		in["StreamName"] = "t"
		s.refused("SplitShard", in, "ResourceNotFoundException", "Stream t under account 123456789012 not found.")
	}
	s.refused("SplitShard", split("shardId-5", "0"), "ResourceNotFoundException",
		"Could not find shard shardId-000000000005 in stream s under account 123456789012.")
	for at, rest := range map[string]string{
		"1": "0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484.",
		"113427455640312821154458202477256070484": "0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484.",
		"999999999999999999999999999999999999999": "0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484.",
	} {
		s.refused("SplitShard", split("shard-0", at), "InvalidArgumentException", "NewStartingHashKey "+at+" used in SplitShard() on shard "+
			"shardId-000000000000 in stream s under account 123456789012 is not both greater than one plus the shard's StartingHashKey "+rest)
	}
	s.refused("SplitShard", doc{"StreamName": "o", "ShardToSplit": "0", "NewStartingHashKey": "2"}, "ValidationException",
		"Request is invalid. Stream o under account 123456789012 is in On-Demand mode.")

	must[any](s, "SplitShard", split("shard-0", "2"))
	s.refused("SplitShard", split("shard-0", "2"), "InvalidArgumentException", "Shard shardId-000000000000 in stream s under account 123456789012 "+
		"has already been merged or split, and thus is not eligible for merging or splitting.")
	must[any](s, "SplitShard", split("1", "113427455640312821154458202477256070487"))
	s.refused("SplitShard", split("2", "226854911280625642308916404954512140973"), "LimitExceededException",
		"This request would exceed the shard limit for the account 123456789012 in us-east-1. Current shard count for the account: 5. Limit: 5. "+
			"Number of additional shards that would have resulted from this request: 1. Refer to the AWS Service Limits page "+
			"(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.")
}

// TestTheQuotaHoldsForRequestsAtTheSameTime has room for half of them.
func TestTheQuotaHoldsForRequestsAtTheSameTime(t *testing.T) {
	for operation, in := range map[string]doc{
		"SplitShard":       {"ShardToSplit": "0", "NewStartingHashKey": "2"},
		"UpdateShardCount": target("", 2),
	} {
		s := newServer(t, Config{ShardQuota: 15})
		for i := range 10 {
			s.create(fmt.Sprint("s", i), 1)
		}
		var answered atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			in := maps.Clone(in)
			in["StreamName"] = fmt.Sprint("s", i)
			wg.Go(func() {
				if s.call(operation, in, nil) == nil {
					answered.Add(1)
				}
			})
		}
		wg.Wait()
		for i := range 10 {
			s.settle(fmt.Sprint("s", i))
		}
		if n := s.provisionedShards(); n != 15 || answered.Load() != 5 {
			t.Errorf("%d of 10 %s find room for 5, and then there are %d shards", answered.Load(), operation, n)
		}
	}
}

func TestMergeShardsRefuses(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 3)
	merge := func(low, high string) doc {
		return doc{"StreamName": "s", "ShardToMerge": low, "AdjacentShardToMerge": high}
	}
	s.refused("MergeShards", merge("0", "x"), "ResourceNotFoundException", "Could not find shard x in stream s under account 123456789012.")
	s.refused("MergeShards", merge("shardId-5", "0"), "ResourceNotFoundException",
		"Could not find shard shardId-000000000005 in stream s under account 123456789012.")
	for _, pair := range [][2]string{{"shardId-000000000000", "shardId-000000000002"}, {"shardId-000000000001", "shardId-000000000000"}} {
		s.refused("MergeShards", merge(pair[0], pair[1]), "InvalidArgumentException", "Shards "+pair[0]+" and "+pair[1]+
			" in stream s under account 123456789012 are not an adjacent pair of shards eligible for merging")
	}
	must[any](s, "MergeShards", merge("0", "1"))
	s.refused("MergeShards", merge("0", "1"), "InvalidArgumentException", "Shard shardId-000000000000 in stream s under account 123456789012 "+
		"has already been merged or split, and thus is not eligible for merging or splitting.")
}

func TestAReshardedStreamIsUpdatingForItsTransition(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now, Transition: time.Second})
	s.create("s", 1)
	c.advance(time.Second)
	split := doc{"StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": "2"}
	must[any](s, "SplitShard", split)
	if status := s.summary("s").StreamStatus; status != "UPDATING" {
		t.Errorf("after a split the stream is %s", status)
	}
	s.refused("SplitShard", doc{"StreamName": "s", "ShardToSplit": "2", "NewStartingHashKey": "9"}, "ResourceInUseException",
		"Stream s under account 123456789012 not ACTIVE, instead in state UPDATING")
	c.advance(time.Second)
	if status := s.summary("s").StreamStatus; status != "ACTIVE" {
		t.Errorf("a second after a split the stream is %s", status)
	}
}

// settle waits until a stream is ACTIVE.
func (s *server) settle(name string) *StreamDescriptionSummary {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if d := s.summary(name); d.StreamStatus == "ACTIVE" {
			return d
		}
	}
	s.t.Fatalf("stream %s is %s for a minute", name, s.summary(name).StreamStatus)
	return nil
}

func target(name string, shards int) doc {
	return doc{"StreamName": name, "TargetShardCount": shards, "ScalingType": "UNIFORM_SCALING"}
}

func TestUpdateShardCountLeadsToUniformShards(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 3)
	for _, count := range []int{6, 4, 5, 3, 2, 2, 1, 2} {
		before := s.summary("s").OpenShardCount
		out := must[UpdateShardCountOutput](s, "UpdateShardCount", target("s", count))
		if *out.CurrentShardCount != before || *out.TargetShardCount != int32(count) || out.StreamName != "s" || out.StreamARN != s.summary("s").StreamARN {
			t.Errorf("from %d to %d shards: %+v", before, count, out)
		}
		if n := s.settle("s").OpenShardCount; n != int32(count) {
			t.Fatalf("%d shards, want %d", n, count)
		}
		ranges := map[HashKeyRange]bool{}
		for _, sh := range must[ListShardsOutput](s, "ListShards", filtered("AT_LATEST")).Shards {
			ranges[*sh.HashKeyRange] = true
		}
		for _, r := range stream.UniformRanges(count) {
			if !ranges[*hashKeyRange(r)] {
				t.Errorf("none of %d shards has the range %v", count, r)
			}
		}
	}
}

func TestUpdateShardCountRefuses(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now, ShardQuota: 20})
	s.create("s", 4)
	s.create("t", 10)
	s.API.cfg.Limits = true // but for the rates of calls
	must[any](s, "CreateStream", doc{"StreamName": "o", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
	s.refused("UpdateShardCount", target("o", 4), "ValidationException", "Request is invalid. Stream o under account 123456789012 is in On-Demand mode.")
	s.refused("UpdateShardCount", target("s", 9), "LimitExceededException",
		"UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 4, Target shard count: 9")
	s.refused("UpdateShardCount", target("s", 1), "LimitExceededException",
		"UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 4, Target shard count: 1")
	s.refused("UpdateShardCount", target("s", 10_001), "LimitExceededException",
		"Target shard count or number of open shards cannot be greater than 10000. Current open shard count: 4, Target shard count: 10001")
	s.refused("UpdateShardCount", target("t", 17), "LimitExceededException",
		"This request would exceed the shard limit for the account 123456789012 in us-east-1. Current shard count for the account: 14. Limit: 20. "+
			"Number of additional shards that would have resulted from this request: 7. Refer to the AWS Service Limits page "+
			"(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.")
	for i := range 10 {
		must[any](s, "UpdateShardCount", target("s", 4+i%2))
		s.settle("s")
		c.advance(time.Hour)
	}
	s.restart()
	s.API.cfg.Limits = true
	const exhausted = "Stream s under account 123456789012 has reached the limit of 10 UpdateShardCount operations in a rolling period of 24 hours."
	s.refused("UpdateShardCount", target("s", 4), "LimitExceededException", exhausted)
	c.advance(14*time.Hour - time.Second)
	s.refused("UpdateShardCount", target("s", 4), "LimitExceededException", exhausted)
	c.advance(time.Second)
	must[any](s, "UpdateShardCount", target("s", 4))
	s.settle("s")
	s.refused("UpdateShardCount", target("s", 5), "LimitExceededException", exhausted)
	s.API.cfg.Limits = false
	for i := range 3 {
		must[any](s, "UpdateShardCount", target("s", 5-i%2))
		s.settle("s")
	}
	s.API.cfg.Limits = true
	s.refused("UpdateShardCount", target("s", 4), "LimitExceededException", exhausted)
	c.advance(-time.Hour) // the latest lie ahead now
	must[any](s, "UpdateShardCount", target("s", 4))
	s.settle("s")
}

// TestAnUpdateOfTheShardCountGoesOnAfterARestart stops the server at any point of an update, and also as if the process had
// ended right after its answer.
func TestAnUpdateOfTheShardCountGoesOnAfterARestart(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 7)
	for i, count := range []int{13, 8, 15, 9, 16} {
		must[any](s, "UpdateShardCount", target("s", count))
		time.Sleep(time.Duration(i) * 200 * time.Microsecond)
		s.restart()
		if n := s.settle("s").OpenShardCount; n != int32(count) {
			t.Errorf("after a restart there are %d shards, want %d", n, count)
		}
	}

	k, err := s.known("s")
	if err != nil {
		t.Fatal(err)
	}
	err = k.update(context.Background(), func(m *meta) error {
		m.TargetShards = 11
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.restart()
	if n := s.settle("s").OpenShardCount; n != 11 {
		t.Errorf("after a restart there are %d shards, want 11", n)
	}
	if k, err = s.known("s"); err != nil || k.meta().TargetShards != 0 {
		t.Errorf("the target is still stored: %v", err)
	}
}

func TestAShardCountThatCannotBeReachedIsForgotten(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 2)
	k, err := s.known("s")
	if err != nil {
		t.Fatal(err)
	}
	err = k.update(context.Background(), func(m *meta) error {
		m.TargetShards = stream.MaxShards + 1
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.restart()
	if n := s.settle("s").OpenShardCount; n != 2 {
		t.Errorf("there are %d shards, want 2", n)
	}
	if k, err = s.known("s"); err != nil || k.meta().TargetShards != 0 {
		t.Errorf("the target is still stored: %v", err)
	}
}

// TestAStreamCanBeDeletedWhileItsShardsChange leaves no work behind that goes on without its stream.
func TestAStreamCanBeDeletedWhileItsShardsChange(t *testing.T) {
	s := newServer(t, Config{})
	for range 20 {
		s.create("s", 50)
		must[any](s, "UpdateShardCount", target("s", 73))
		for {
			err := s.call("DeleteStream", doc{"StreamName": "s"}, nil)
			if err == nil {
				break
			}
		}
	}
}
