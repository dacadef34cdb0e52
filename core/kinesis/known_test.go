package kinesis

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/leatstream/leat/core/stream"
)

// A stream that a pipeline made may be asked for by a put first, whose name shares the memory of the request's body.
func TestAStreamIsKnownOnceWhoeverAsksFirst(t *testing.T) {
	for _, by := range []string{"StreamName", "StreamARN"} {
		s := newServer(t, Config{})
		if _, err := s.API.cfg.Streams.Create(context.Background(), "birds", stream.Config{}); err != nil {
			t.Fatal(err)
		}
		value := "birds"
		if by == "StreamARN" {
			value = s.streamARN("birds")
		}
		for range 3 {
			must[any](s, "PutRecord", doc{by: value, "PartitionKey": "k", "Data": []byte("x")})
			must[any](s, "PutRecords", doc{by: value, "Records": []doc{{"PartitionKey": "k", "Data": []byte("x")}}})
		}
		if names := slices.Collect(maps.Keys(s.knowns.of)); len(names) != 1 || names[0] != "birds" {
			t.Errorf("by %s: the streams %q are known", by, names)
		}
	}
}
