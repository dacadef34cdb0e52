package kinesis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/wire"
)

// filtered is a request for the shards that pass a filter. Members come in pairs.
func filtered(filter string, members ...any) doc {
	f := doc{"Type": filter}
	for i := 0; i < len(members); i += 2 {
		f[members[i].(string)] = members[i+1]
	}
	return doc{"StreamName": "s", "ShardFilter": f}
}

// TestShardFilters walks through the history of a stream: shard 1 is split into 2 and 3 after an hour, and 2 and 3 are merged
// into 4 after another.
func TestShardFilters(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now})
	start := c.now()
	s.create("s", 2)
	c.advance(time.Hour)
	must[any](s, "SplitShard", doc{"StreamName": "s", "ShardToSplit": "shardId-000000000001", "NewStartingHashKey": "270141183460469231731687303715884105728"})
	c.advance(time.Hour)
	must[any](s, "MergeShards", doc{"StreamName": "s", "ShardToMerge": "shardId-000000000002", "AdjacentShardToMerge": "shardId-000000000003"})
	c.advance(time.Hour)
	at := func(hours float64) wire.Timestamp {
		return wire.At(start.Add(time.Duration(hours * float64(time.Hour))))
	}
	for _, test := range []struct {
		in   doc
		want string
	}{
		{doc{"StreamName": "s"}, "0 1 2 3 4"},
		{doc{"StreamName": "s", "ExclusiveStartShardId": "shardId-000000000002"}, "3 4"},
		{doc{"StreamName": "s", "ExclusiveStartShardId": "shardId-000000000009"}, ""},
		{filtered("FROM_TRIM_HORIZON"), "0 1 2 3 4"},
		{filtered("AT_TRIM_HORIZON"), "0 1"},
		{filtered("AT_LATEST"), "0 4"},
		{filtered("AFTER_SHARD_ID", "ShardId", "shardId-000000000001"), "2 3 4"},
		{filtered("AT_TIMESTAMP", "Timestamp", at(-5)), "0 1"},
		{filtered("AT_TIMESTAMP", "Timestamp", at(0.5)), "0 1"},
		{filtered("AT_TIMESTAMP", "Timestamp", at(1)), "0 2 3"},
		{filtered("AT_TIMESTAMP", "Timestamp", at(1.5)), "0 2 3"},
		{filtered("AT_TIMESTAMP", "Timestamp", at(2.5)), "0 4"},
		{filtered("FROM_TIMESTAMP", "Timestamp", at(-5)), "0 1 2 3 4"},
		{filtered("FROM_TIMESTAMP", "Timestamp", at(1)), "0 1 2 3 4"},
		{filtered("FROM_TIMESTAMP", "Timestamp", at(1.5)), "0 2 3 4"},
		{filtered("FROM_TIMESTAMP", "Timestamp", at(2.5)), "0 4"},
	} {
		var want []string
		for _, id := range strings.Fields(test.want) {
			want = append(want, "shardId-00000000000"+id)
		}
		var got []string
		for _, sh := range must[ListShardsOutput](s, "ListShards", test.in).Shards {
			got = append(got, sh.ShardId)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v:\n got %v\nwant %v", test.in, got, want)
		}
		// The same in pages of one.
		got = got[:0]
		in := test.in
		in["MaxResults"] = 1
		for {
			page := must[ListShardsOutput](s, "ListShards", in)
			for _, sh := range page.Shards {
				got = append(got, sh.ShardId)
			}
			if page.NextToken == "" {
				break
			}
			in = doc{"NextToken": page.NextToken, "MaxResults": 1}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v in pages:\n got %v\nwant %v", test.in, got, want)
		}
	}
}

func TestAShardTellsItsRangeItsNumbersAndItsParents(t *testing.T) {
	s := newServer(t, Config{Now: newClock().now})
	s.create("s", 2)
	must[any](s, "MergeShards", doc{"StreamName": "s", "ShardToMerge": "0", "AdjacentShardToMerge": "1"})
	shards := must[ListShardsOutput](s, "ListShards", doc{"StreamName": "s"}).Shards
	if len(shards) != 3 {
		t.Fatalf("%d shards", len(shards))
	}
	if r := shards[1].HashKeyRange; r.StartingHashKey != "170141183460469231731687303715884105728" || r.EndingHashKey != "340282366920938463463374607431768211455" {
		t.Errorf("shard 1 has the range %+v", r)
	}
	if r := shards[2].HashKeyRange; r.StartingHashKey != "0" || r.EndingHashKey != "340282366920938463463374607431768211455" {
		t.Errorf("shard 2 has the range %+v", r)
	}
	if shards[2].ParentShardId != "shardId-000000000000" || shards[2].AdjacentParentShardId != "shardId-000000000001" {
		t.Errorf("shard 2 has the parents %q and %q", shards[2].ParentShardId, shards[2].AdjacentParentShardId)
	}
	for i, sh := range shards {
		n := sh.SequenceNumberRange
		if len(n.StartingSequenceNumber) != 56 || (n.EndingSequenceNumber == "") != (i == 2) || i < 2 && len(n.EndingSequenceNumber) != 56 {
			t.Errorf("shard %d has the sequence numbers %+v", i, n)
		}
		if i < 2 && (sh.ParentShardId != "" || sh.AdjacentParentShardId != "") {
			t.Errorf("shard %d has parents", i)
		}
	}
}

func TestListShardsListsAThousandAtMost(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1001)
	for _, in := range []doc{{"StreamName": "s"}, {"StreamName": "s", "MaxResults": 10_000}} {
		first := must[ListShardsOutput](s, "ListShards", in)
		if len(first.Shards) != 1000 || first.NextToken == "" {
			t.Fatalf("%v: %d shards and the token %q", in, len(first.Shards), first.NextToken)
		}
		rest := must[ListShardsOutput](s, "ListShards", doc{"NextToken": first.NextToken})
		if len(rest.Shards) != 1 || rest.NextToken != "" || rest.Shards[0].ShardId != "shardId-000000001000" {
			t.Errorf("then %d shards and the token %q", len(rest.Shards), rest.NextToken)
		}
	}
}

func TestNextTokensOfListShards(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now})
	s.create("s", 3)
	token := must[ListShardsOutput](s, "ListShards", doc{"StreamName": "s", "MaxResults": 1}).NextToken
	for member, value := range (doc{
		"StreamName": "s", "StreamARN": s.summary("s").StreamARN, "StreamCreationTimestamp": wire.At(c.now()),
		"ExclusiveStartShardId": "shardId-000000000000", "ShardFilter": doc{"Type": "AT_LATEST"},
	}) {
		s.refused("ListShards", doc{"NextToken": token, member: value}, "InvalidArgumentException",
			"NextToken and "+member+" cannot be provided together.")
	}
	s.refused("ListShards", doc{}, "InvalidArgumentException", "Either NextToken or StreamName should be provided.")
	s.refused("ListShards", doc{"NextToken": "here"}, "InvalidArgumentException", "NextToken is invalid.")

	c.advance(300 * time.Second)
	s.restart()
	if page := must[ListShardsOutput](s, "ListShards", doc{"NextToken": token}); len(page.Shards) != 2 {
		t.Errorf("after 300 s and a restart the token lists %d shards", len(page.Shards))
	}
	c.advance(time.Second)
	s.refused("ListShards", doc{"NextToken": token}, "ExpiredNextTokenException", "NextToken has expired.")

	token = must[ListShardsOutput](s, "ListShards", doc{"StreamName": "s", "MaxResults": 1}).NextToken
	must[any](s, "DeleteStream", doc{"StreamName": "s"})
	s.create("s", 3)
	s.refused("ListShards", doc{"NextToken": token}, "ResourceNotFoundException", "Stream s under account 123456789012 not found.")
}

func TestListShardsRefuses(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now, Transition: time.Minute})
	s.refused("ListShards", doc{"StreamName": "t"}, "ResourceNotFoundException", "Stream t under account 123456789012 not found.")
	s.create("s", 1)
	s.refused("ListShards", doc{"StreamName": "s"}, "ResourceInUseException", "Stream s under account 123456789012 not ACTIVE, instead in state CREATING")
	created := c.now()
	c.advance(time.Minute)
	if got := must[ListShardsOutput](s, "ListShards", doc{"StreamName": "s", "StreamCreationTimestamp": created.Unix()}); len(got.Shards) != 1 {
		t.Errorf("%d shards of the stream with its own creation time", len(got.Shards))
	}
	s.refused("ListShards", doc{"StreamName": "s", "StreamCreationTimestamp": created.Unix() - 1}, "ResourceNotFoundException",
		"Stream s under account 123456789012 not found.")
	s.refused("ListShards", filtered("AFTER_SHARD_ID"), "InvalidArgumentException", "ShardId must be provided for ShardFilter type AFTER_SHARD_ID.")
	s.refused("ListShards", filtered("AT_TIMESTAMP"), "InvalidArgumentException", "Timestamp must be provided for ShardFilter type AT_TIMESTAMP.")
	s.refused("ListShards", doc{"StreamName": "s", "ExclusiveStartShardId": "x"}, "ResourceNotFoundException",
		"Could not find shard x in stream s under account 123456789012.")
}
