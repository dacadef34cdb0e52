package stream

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leatstream/leat/core/record"
)

// metaVersion is the first byte of an encoded shardMeta.
const metaVersion = 1

// metaSize is the length of an encoded shardMeta in bytes.
const metaSize = 50

// shardMeta is what a stream knows of a shard beyond its records. It is stored in the log, in the same durable step that
// opens the shard, as big-endian fields:
//
//	0  u8      version, 1
//	1  u128    first hash key
//	17 u128    last hash key
//	33 u8      number of parents, 0 to 2
//	34 u32     parent, 0 if none
//	38 u32     adjacent parent, 0 if none
//	42 u64     creation second
type shardMeta struct {
	hash    HashRange
	parents []record.ShardID // none, the shard that was split, or the two that were merged (the lower range first)
	created int64            // seconds since the Unix epoch, as in the shard's sequence numbers
}

func (m *shardMeta) encode() []byte {
	b := make([]byte, 0, metaSize)
	b = append(b, metaVersion)
	b = binary.BigEndian.AppendUint64(b, m.hash.Start.Hi)
	b = binary.BigEndian.AppendUint64(b, m.hash.Start.Lo)
	b = binary.BigEndian.AppendUint64(b, m.hash.End.Hi)
	b = binary.BigEndian.AppendUint64(b, m.hash.End.Lo)
	b = append(b, byte(len(m.parents)))
	for i := range 2 {
		var parent record.ShardID
		if i < len(m.parents) {
			parent = m.parents[i]
		}
		b = binary.BigEndian.AppendUint32(b, uint32(parent))
	}
	return binary.BigEndian.AppendUint64(b, uint64(m.created))
}

func decodeMeta(b []byte) (shardMeta, error) {
	if len(b) == 0 || b[0] != metaVersion {
		return shardMeta{}, fmt.Errorf("shard description of an unknown version (% .8x)", b)
	}
	if len(b) != metaSize {
		return shardMeta{}, fmt.Errorf("shard description of %d bytes, want %d", len(b), metaSize)
	}
	m := shardMeta{
		hash: HashRange{
			Start: HashKey{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])},
			End:   HashKey{binary.BigEndian.Uint64(b[17:]), binary.BigEndian.Uint64(b[25:])},
		},
		created: int64(binary.BigEndian.Uint64(b[42:])),
	}
	if m.hash.Start.Compare(m.hash.End) > 0 {
		return shardMeta{}, errors.New("shard description with a hash range that ends before it starts")
	}
	if m.created < 0 || m.created > secondMask {
		return shardMeta{}, fmt.Errorf("shard description with creation second %d", m.created)
	}
	if b[33] > 2 {
		return shardMeta{}, fmt.Errorf("shard description with %d parents", b[33])
	}
	for i := range int(b[33]) {
		m.parents = append(m.parents, record.ShardID(binary.BigEndian.Uint32(b[34+4*i:])))
	}
	return m, nil
}
