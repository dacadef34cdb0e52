package stream

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := keys().Draw(t, "a"), keys().Draw(t, "b")
		if a.Compare(b) > 0 {
			a, b = b, a
		}
		m := shardMeta{hash: HashRange{a, b}, created: rapid.Int64Range(0, secondMask).Draw(t, "created")}
		for range rapid.IntRange(0, 2).Draw(t, "parents") {
			m.parents = append(m.parents, record.ShardID(rapid.Uint32().Draw(t, "parent")))
		}
		enc := m.encode()
		if len(enc) != metaSize || len(enc) > shardlog.MaxShardMeta {
			t.Fatalf("%d bytes", len(enc))
		}
		if back, err := decodeMeta(enc); err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%+v came back as %+v, %v", m, back, err)
		}
	})
}

func FuzzDecodeMeta(f *testing.F) {
	m := shardMeta{hash: HashRange{HashKey{}, MaxHashKey}, parents: []record.ShardID{1, 2}, created: 1795305600}
	f.Add(m.encode())
	f.Add([]byte{metaVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		again := m.encode()
		// What is not a parent is not read; all else must come back as it was.
		for i := len(m.parents); i < 2; i++ {
			copy(b[34+4*i:38+4*i], make([]byte, 4))
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("% x was read and written as % x", b, again)
		}
	})
}
