package kinesis

import (
	"encoding/json"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
)

// storedMetas are the keys of all metas in the state store.
func storedMetas(s *server) (keys []string) {
	s.API.cfg.State.View(func(tx *state.Tx) {
		tx.Scan(metaPrefix, func(key string, _ []byte) bool {
			keys = append(keys, key)
			return true
		})
	})
	return keys
}

func TestMetasOfStreamsThatAreGoneAreSweptAtTheStart(t *testing.T) {
	s := newServer(t, Config{})
	s.create("gone", 1)
	s.create("stays", 1)
	if err := s.API.cfg.Streams.Delete(t.Context(), "gone"); err != nil { // not by the API
		t.Fatal(err)
	}
	s.restart()
	stays, err := s.known("stays")
	if err != nil {
		t.Fatal(err)
	}
	if keys := storedMetas(s); len(keys) != 1 || keys[0] != metaKey(stays.Incarnation()) {
		t.Errorf("stored: %v", keys)
	}
}

func TestMembersOfANewerVersionSurviveAChange(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	k, _ := s.known("a")
	err := s.API.cfg.State.Update(t.Context(), func(tx *state.Tx) error {
		tx.Put(metaKey(k.Incarnation()), []byte(`{"tags":{"a":"b"},"later":{"x":[1,2]},"made":true}`))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.restart()
	k, _ = s.known("a")
	if err := k.update(t.Context(), func(m *meta) error { m.Tags["c"] = "d"; return nil }); err != nil {
		t.Fatal(err)
	}
	s.restart()
	var stored map[string]any
	s.API.cfg.State.View(func(tx *state.Tx) {
		p, _ := tx.Get(metaKey(k.Incarnation()))
		if err := json.Unmarshal(p, &stored); err != nil {
			t.Error(err)
		}
	})
	if later, _ := json.Marshal(stored["later"]); string(later) != `{"x":[1,2]}` {
		t.Errorf("the member later is %s", later)
	}
	if k, _ := s.known("a"); len(k.meta().Tags) != 2 || !k.meta().Made {
		t.Errorf("meta: %+v", k.meta())
	}
}

func TestAFailedChangeOfAMetaChangesNothing(t *testing.T) {
	s := newServer(t, Config{})
	must[any](s, "CreateStream", doc{"StreamName": "a", "ShardCount": 1, "Tags": doc{"x": "1"}})
	k, _ := s.known("a")
	err := k.update(t.Context(), func(m *meta) error {
		m.Tags["x"] = "2"
		return fail(codeLimitExceeded, "no")
	})
	if err == nil || k.meta().Tags["x"] != "1" {
		t.Errorf("after a change that failed with %v: %v", err, k.meta().Tags)
	}
}

func TestADamagedMetaIsReportedAndItsStreamCanBeDeleted(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	s.create("b", 1)
	k, _ := s.known("a")
	err := s.API.cfg.State.Update(t.Context(), func(tx *state.Tx) error {
		tx.Put(metaKey(k.Incarnation()), []byte(`{"tags":`))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.restart()
	if err := s.call("DescribeStreamSummary", doc{"StreamName": "a"}, nil); fault.CodeOf(err) != "kinesis.corrupt" {
		t.Errorf("summary: %v", err)
	}
	out := must[ListStreamsOutput](s, "ListStreams", doc{})
	if len(out.StreamNames) != 2 || len(out.StreamSummaries) != 1 {
		t.Errorf("list: %+v", out)
	}
	must[any](s, "DeleteStream", doc{"StreamName": "a"})
	if keys := storedMetas(s); len(keys) != 1 {
		t.Errorf("stored: %v", keys)
	}
}

func TestAStreamThatTheAPIDidNotMakeIsAStreamLikeAnyOther(t *testing.T) {
	s := newServer(t, Config{Limits: true})
	if _, err := s.API.cfg.Streams.Create(t.Context(), "pipeline", stream.Config{Shards: 2}); err != nil {
		t.Fatal(err)
	}
	if got := s.summary("pipeline"); got.StreamStatus != "ACTIVE" || got.OpenShardCount != 2 {
		t.Errorf("summary: %+v", got)
	}
	k, _ := s.known("pipeline")
	must[any](s, "UpdateMaxRecordSize", doc{"StreamARN": k.ARN(), "MaxRecordSizeInKiB": 4096})
	s.restart()
	if k, _ := s.known("pipeline"); k.Config().WriteLimit != (stream.WriteLimit{}) {
		t.Errorf("the server gave it a write limit of %+v", k.Config().WriteLimit)
	}
	must[any](s, "DeleteStream", doc{"StreamName": "pipeline"})
}

// FuzzMeta reads anything as a meta: what can be read is written in a form that reads as the same.
func FuzzMeta(f *testing.F) {
	f.Add([]byte(`{"tags":{"a":"b"},"status":"UPDATING","until":"2026-11-23T00:00:00Z","made":true}`))
	f.Add([]byte(`{"Tags":{"a":"b"},"later":[1,{"x":null}],"":1,"mode_switches":["2026-11-23T00:00:00Z"]}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"tags":null,"unknown":1}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := decodeMeta(p)
		if err != nil {
			return
		}
		first, err := m.encode()
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		again, err := decodeMeta(first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, err := again.encode(); err != nil || string(second) != string(first) {
			t.Errorf("%s became %s, %v", first, second, err)
		}
	})
}

func TestAServerStartsOnAFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	s := newServerOn(t, mem, Config{Limits: true, Now: newClock().now})
	s.create("gone", 1)
	s.create("stays", 1)
	if err := s.API.cfg.Streams.Delete(t.Context(), "gone"); err != nil { // not by the API
		t.Fatal(err)
	}
	s.stop()
	mem.SetCapacity(1)
	s.cfg.Limits = false
	s.start()
	if got := s.summary("stays"); got.StreamStatus != "ACTIVE" {
		t.Errorf("summary: %+v", got)
	}
	if err := s.call("CreateStream", doc{"StreamName": "more", "ShardCount": 1}, nil); fault.ClassOf(err) != fault.Unavailable {
		t.Errorf("a stream on a full disk: %v", err)
	}
	mem.SetCapacity(0)
	s.restart()
	if keys := storedMetas(s); len(keys) != 1 {
		t.Errorf("stored: %v", keys)
	}
	s.create("more", 1)
	s.stop()
}
