package kinesis

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

// FuzzOperations sends anything to any operation: it is answered, or refused with an error of the service, and never with
// an internal failure.
func FuzzOperations(f *testing.F) {
	const arn = `"arn:aws:kinesis:us-east-1:123456789012:stream/a"`
	s := newServerOn(f, vfs.NewMem(), Config{ShardQuota: 16})
	f.Cleanup(func() {
		s.t = f
		s.stop()
	})
	names := slices.Sorted(maps.Keys(s.ops))
	if len(names) != 45 {
		f.Errorf("%d operations, the model has 45", len(names))
	}
	for i := range names {
		f.Add(uint8(i), []byte(`{}`))
		f.Add(uint8(i), []byte(`null`))
		f.Add(uint8(i), []byte(`{"StreamName":"a","StreamARN":`+arn+`,"ShardId":"0","ShardIteratorType":"LATEST","Limit":2,"MaxResults":2,
			"Data":"YQ==","PartitionKey":"k","Records":[{"Data":"YQ==","PartitionKey":"k"}],"TagKeys":["x"],"Policy":"{}","ShardLevelMetrics":["ALL"],
			"ShardToSplit":"0","NewStartingHashKey":"100","ShardToMerge":"1","AdjacentShardToMerge":"2","TargetShardCount":2,"ScalingType":"UNIFORM_SCALING",
			"RetentionPeriodHours":48,"EncryptionType":"KMS","KeyId":"k","MaxRecordSizeInKiB":2048,"WarmThroughputMiBps":3,
			"RecordDistributionStrategy":"AUTO","StreamModeDetails":{"StreamMode":"ON_DEMAND"},"ConsumerName":"c"}`))
		f.Add(uint8(i), []byte(`{"StreamARN":`+arn+`,"ResourceARN":`+arn+`,"ConsumerName":"c","Tags":{"a":"b"},"StreamModeDetails":{"StreamMode":"PROVISIONED"},
			"ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1},"NextToken":"AAAA","ShardIterator":"AAAAAAAAAAE=","StartingPosition":{"Type":"LATEST"},
			"MinimumThroughputBillingCommitment":{"Status":"ENABLED"},"ConsumerARN":"arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:1"}`))
	}
	f.Fuzz(func(t *testing.T, operation uint8, body []byte) {
		s.t = t
		if _, err := s.known("a"); err != nil {
			s.create("a", 1)
		}
		name := names[int(operation)%len(names)]
		_, err := s.ops[name](context.Background(), &wire.Request{Operation: name, Body: body})
		var known *wire.Error
		if err != nil && (!errors.As(err, &known) || known.Status >= 500) {
			t.Errorf("%s of %s: %v", name, body, errors.Join(err, errors.Unwrap(err)))
		}
	})
}

// TestRandomRequestsAreAnsweredOrRefused sends requests that make some sense to a few streams.
func TestRandomRequestsAreAnsweredOrRefused(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	s := newServer(t, Config{ShardQuota: 40})
	names := slices.Sorted(maps.Keys(s.ops))
	// one is mostly one of the first good values.
	one := func(good int, of ...any) any {
		if rng.IntN(25) > 0 {
			of = of[:good]
		}
		return of[rng.IntN(len(of))]
	}
	stream := func() string { return one(3, "a", "b", "c").(string) }
	var tokens []any // that were answered
	token := func() any { return one(max(1, len(tokens)), append(tokens, "AAAA", "", nil)...) }
	members := map[string]func() any{
		"StreamName":       func() any { return one(1, stream(), "", "a/b", strings.Repeat("a", 129), 7) },
		"StreamARN":        func() any { return one(2, s.streamARN(stream()), s.streamARN(stream()), "", "arn", nil) },
		"ResourceARN":      func() any { return one(1, s.streamARN(stream()), s.streamARN(stream())+"/consumer/c:1", "x") },
		"ConsumerARN":      func() any { return one(1, token(), s.streamARN(stream())+"/consumer/c:1", "x") },
		"ConsumerName":     func() any { return one(2, "c", "d", "") },
		"ShardCount":       func() any { return one(3, 1, 2, 3, 0, -1, 50, 1.5) },
		"TargetShardCount": func() any { return one(4, 1, 2, 3, 4, 0, 50) },
		"ScalingType":      func() any { return one(1, "UNIFORM_SCALING", "X") },
		"StreamModeDetails": func() any {
			return one(2, doc{"StreamMode": "ON_DEMAND"}, doc{"StreamMode": "PROVISIONED"}, doc{}, nil, "x")
		},
		"Tags":                       func() any { return one(1, doc{"a": "b"}, doc{"%": ""}, doc{"": "x"}, doc{}, nil) },
		"TagKeys":                    func() any { return one(1, []any{"a"}, []any{}, []any{nil}, "a") },
		"MaxRecordSizeInKiB":         func() any { return one(3, 1024, 2048, 10240, 1) },
		"WarmThroughputMiBps":        func() any { return one(2, 0, 5, 20_000, -1, nil) },
		"RecordDistributionStrategy": func() any { return one(2, "AUTO", "USER_PARTITION_KEY", "X") },
		"RetentionPeriodHours":       func() any { return one(3, 24, 48, 8760, 8761, 0) },
		"ShardLevelMetrics":          func() any { return one(2, []any{"ALL"}, []any{"IncomingBytes"}, []any{"X"}, []any{}) },
		"ShardId":                    func() any { return one(1, "shardId-000000000000", "1", "x", "shardId-999999999999") },
		"ExclusiveStartShardId":      func() any { return one(1, "shardId-000000000000", "x", nil) },
		"ShardToSplit":               func() any { return one(3, "0", "1", "2", "x") },
		"ShardToMerge":               func() any { return one(3, "0", "1", "2", "x") },
		"AdjacentShardToMerge":       func() any { return one(3, "1", "2", "3", "x") },
		"NewStartingHashKey": func() any {
			return one(2, "100", "170141183460469231731687303715884105728", "01", strings.Repeat("9", 39))
		},
		"ShardIteratorType":      func() any { return one(4, "LATEST", "TRIM_HORIZON", "AT_SEQUENCE_NUMBER", "AT_TIMESTAMP", "X") },
		"StartingSequenceNumber": func() any { return one(2, "0", "1", strings.Repeat("4", 56), token()) },
		"Timestamp":              func() any { return one(2, 0, 1.5, 4e9, -1e300) },
		"StartingPosition":       func() any { return one(1, doc{"Type": "LATEST"}, doc{"Type": "AT_TIMESTAMP"}, doc{}, nil) },
		"ShardFilter": func() any {
			return one(3, doc{"Type": "AT_LATEST"}, doc{"Type": "AFTER_SHARD_ID", "ShardId": "0"}, doc{"Type": "FROM_TIMESTAMP", "Timestamp": 1}, doc{})
		},
		"ShardIterator":   token,
		"NextToken":       token,
		"Limit":           func() any { return one(2, 1, 10, 10_000, 10_001, 0) },
		"MaxResults":      func() any { return one(2, 1, 10_000, 0) },
		"Data":            func() any { return one(2, "", "YQ==", "!", nil) },
		"PartitionKey":    func() any { return one(1, "k", "", strings.Repeat("ä", 257)) },
		"ExplicitHashKey": func() any { return one(2, "0", "1", "-1", strings.Repeat("9", 39), nil) },
		"Records": func() any {
			return one(1, []any{doc{"Data": "YQ==", "PartitionKey": "k"}}, []any{doc{}}, []any{nil}, []any{}, nil)
		},
		"DryRun":                             func() any { return one(2, false, nil, true) },
		"EnforceConsumerDeletion":            func() any { return one(2, true, false, nil) },
		"Policy":                             func() any { return one(2, "{}", `{"Version":"2012-10-17","Statement":[]}`, "x") },
		"EncryptionType":                     func() any { return one(2, "KMS", "NONE", "X") },
		"KeyId":                              func() any { return one(1, "alias/aws/kinesis", "") },
		"MinimumThroughputBillingCommitment": func() any { return one(2, doc{"Status": "ENABLED"}, doc{"Status": "DISABLED"}, doc{}, nil) },
	}
	pool := slices.Sorted(maps.Keys(members))
	answered := map[string]int{}
	for range testenv.Count(6000, 500_000) {
		if len(s.API.cfg.Streams.List()) == 0 {
			s.create("a", 2)
			s.create("b", 2)
		}
		name := names[rng.IntN(len(names))]
		if name == "DeleteStream" && rng.IntN(5) > 0 {
			continue
		}
		in := doc{}
		for _, member := range pool {
			if rng.IntN(4) > 0 { // what an operation does not have it ignores
				in[member] = members[member]()
			}
		}
		delete(in, one(2, "StreamName", "StreamARN", "").(string)) // else nearly all contradict themselves
		if rng.IntN(5) > 0 {
			delete(in, "NextToken")
		}
		var out doc
		if name == "SubscribeToShard" { // whose answer is a stream of events
			in["DryRun"] = true
		}
		err := s.call(name, in, &out)
		var known *wire.Error
		if err != nil && (!errors.As(err, &known) || known.Status >= 500) {
			t.Fatalf("seed %d: %s of %v: %v", seed, name, in, errors.Join(err, errors.Unwrap(err)))
		}
		if err != nil {
			continue
		}
		answered[name]++
		for _, member := range []string{"ShardIterator", "NextShardIterator", "NextToken", "SequenceNumber"} {
			if got, ok := out[member].(string); ok {
				tokens = append(tokens[max(0, len(tokens)-20):], got)
			}
		}
		if c, ok := out["Consumer"].(doc); ok {
			tokens = append(tokens, c["ConsumerARN"])
		}
	}
	t.Logf("answered: %v", answered)
	if len(answered) < 20 {
		t.Errorf("seed %d: only %v were answered", seed, answered)
	}
}
