package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/wire"
)

// flood puts small records so fast that on average over a minute it is rate a second.
func (s *server) flood(name string, rate int) {
	s.t.Helper()
	var records []doc
	for i := range 500 {
		records = append(records, doc{"PartitionKey": fmt.Sprint(i), "Data": []byte("data")})
	}
	body, err := json.Marshal(doc{"StreamName": name, "Records": records})
	if err != nil {
		s.t.Fatal(err)
	}
	for range rate * 60 / 500 {
		if _, err := s.ops["PutRecords"](context.Background(), &wire.Request{Operation: "PutRecords", Body: bytes.Clone(body)}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestAnOnDemandStreamGrowsWithItsLoadAndStaysActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{ShardQuota: 8})
		must[any](s, "CreateStream", doc{"StreamName": "s", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
		s.create("p", 2)
		shards := func(want int) {
			t.Helper()
			got := s.summary("s")
			if got.OpenShardCount != int32(want) || got.StreamStatus != string(statusActive) {
				t.Fatalf("summary is %+v, want %d shards", got, want)
			}
		}
		s.flood("p", 2100)
		s.flood("s", 2100)
		shards(4)
		time.Sleep(time.Minute + time.Second)
		shards(5)
		if n := s.summary("p").OpenShardCount; n != 2 {
			t.Errorf("the provisioned stream has %d shards", n)
		}
		s.restart()
		time.Sleep(24 * time.Hour)
		shards(5)
		s.flood("s", 4000)
		time.Sleep(5 * time.Minute)
		shards(8) // the quota, which the provisioned stream has to itself
		must[any](s, "DeleteStream", doc{"StreamName": "p"})
		s.mode("s", "PROVISIONED")
		s.flood("s", 4000)
		time.Sleep(24 * time.Hour)
		shards(8)
	})
}

func TestTheWarmThroughputKeepsAStreamFromShrinking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{})
		s.commit()
		must[any](s, "CreateStream", doc{"StreamName": "s", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}, "WarmThroughputMiBps": 7})
		const month = 32 * 24 * time.Hour
		time.Sleep(month)
		if n := s.summary("s").OpenShardCount; n != 7 {
			t.Fatalf("there are %d shards, want 7", n)
		}
		must[any](s, "UpdateStreamWarmThroughput", doc{"StreamName": "s", "WarmThroughputMiBps": 5})
		time.Sleep(24 * time.Hour)
		if n := s.summary("s").OpenShardCount; n != 5 {
			t.Fatalf("there are %d shards, want 5", n)
		}
	})
}
