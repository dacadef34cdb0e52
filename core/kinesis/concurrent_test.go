package kinesis

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
)

func TestTheShardQuotaHoldsForCreationsAtTheSameTime(t *testing.T) {
	s := newServer(t, Config{ShardQuota: 10})
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if s.call("CreateStream", doc{"StreamName": fmt.Sprintf("s%d", i), "ShardCount": 3}, nil) == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if n := s.provisionedShards(); made.Load() != 3 || n != 9 {
		t.Errorf("%d streams with %d shards were made within a quota of 10", made.Load(), n)
	}
}

func TestOneNameIsGivenOnceAtATime(t *testing.T) {
	s := newServer(t, Config{})
	for range 20 {
		var made, gone atomic.Int32
		each := func(n *atomic.Int32, operation string, in doc) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if s.call(operation, in, nil) == nil {
						n.Add(1)
					}
				})
			}
			wg.Wait()
		}
		each(&made, "CreateStream", doc{"StreamName": "a", "ShardCount": 1})
		each(&gone, "DeleteStream", doc{"StreamName": "a"})
		if made.Load() != 1 || gone.Load() != 1 {
			t.Errorf("made %d times, deleted %d times", made.Load(), gone.Load())
		}
	}
}

// TestChangesAtTheSameTimeLeaveNothingBehind makes, changes, describes and deletes a few streams from several clients.
func TestChangesAtTheSameTimeLeaveNothingBehind(t *testing.T) {
	s := newServer(t, Config{})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range testenv.Count(100, 2000) {
				name := fmt.Sprintf("s%d", rand.IntN(3))
				arn := s.streamARN(name)
				requests := []struct {
					operation string
					in        doc
				}{
					{"CreateStream", doc{"StreamName": name, "ShardCount": 1}},
					{"DeleteStream", doc{"StreamName": name, "EnforceConsumerDeletion": true}},
					{"UpdateMaxRecordSize", doc{"StreamARN": arn, "MaxRecordSizeInKiB": 1024 + rand.IntN(1000)}},
					{"UpdateStreamMode", doc{"StreamARN": arn, "StreamModeDetails": doc{"StreamMode": []string{modeProvisioned, modeOnDemand}[rand.IntN(2)]}}},
					{"AddTagsToStream", doc{"StreamName": name, "Tags": doc{fmt.Sprint(rand.IntN(20)): "x"}}},
					{"RegisterStreamConsumer", doc{"StreamARN": arn, "ConsumerName": fmt.Sprint(rand.IntN(3))}},
					{"DescribeStream", doc{"StreamName": name}},
					{"DescribeStreamSummary", doc{"StreamName": name}},
					{"ListStreams", doc{}},
				}
				r := requests[rand.IntN(len(requests))]
				// Each is refused at times; what counts is what is there in the end.
				_ = s.call(r.operation, r.in, nil)
			}
		})
	}
	wg.Wait()
	if streams, metas := s.API.cfg.Streams.List(), storedMetas(s); len(metas) != len(streams) {
		t.Errorf("streams %v, but metas %v", streams, metas)
	}
	for _, name := range s.API.cfg.Streams.List() {
		if got := s.summary(name).StreamStatus; got != "ACTIVE" {
			t.Errorf("%s is %s", name, got)
		}
		must[any](s, "DeleteStream", doc{"StreamName": name, "EnforceConsumerDeletion": true})
	}
	if metas := storedMetas(s); len(metas) > 0 {
		t.Errorf("left in the state store: %v", metas)
	}
}

func TestADeletionLeavesAYoungerStreamOfTheSameNameAlone(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	old, err := s.known("a")
	if err != nil {
		t.Fatal(err)
	}
	must[any](s, "DeleteStream", doc{"StreamName": "a"})
	s.create("a", 2)
	young, err := s.known("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := old.remove(t.Context()); fault.CodeOf(err) != "stream.not_found" {
		t.Errorf("the late deletion: %v", err)
	}
	s.forget(old)
	if k, err := s.known("a"); k != young || len(storedMetas(s)) != 1 {
		t.Errorf("the younger stream is known as %p, was as %p: %v", k, young, err)
	}
}
