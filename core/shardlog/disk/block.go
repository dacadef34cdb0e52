package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// The layout of a block; FORMAT.md has the byte tables.
const (
	blockMagic   = 0x3142544c // "LTB1"
	blockVersion = 1
	headerSize   = 88
	runEntrySize = 40
	blockAlign   = 8
	// maxBlock bounds a block's length, in bytes: an append of maxAppend with its table, marks and padding.
	maxBlock = maxAppend + 8<<20
)

type blockKind uint8

const (
	kindRecords  blockKind = 1 // runs, marks, shard operations
	kindSnapshot blockKind = 2 // first in a segment: the log's state when the segment began
	kindPromise  blockKind = 3 // nothing but a promise
	kindIndex    blockKind = 4 // last in a sealed segment: where its runs are
)

func (k blockKind) String() string {
	switch k {
	case kindRecords:
		return "records"
	case kindSnapshot:
		return "snapshot"
	case kindPromise:
		return "promise"
	case kindIndex:
		return "index"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// blockHeader is the decoded head of a block.
type blockHeader struct {
	kind     blockKind
	length   uint32 // of the whole block, padding included
	table    uint32 // offset of the table in the block; the runs lie before it
	runs     uint32 // entries in the table
	marks    uint32 // bytes of marks behind the run entries
	ops      uint32 // bytes of shard operations behind the marks
	segment  uint64
	id       uint64 // grows by one from block to block over the whole log
	epoch    uint64 // of the owner that wrote it
	promised uint64 // all bytes of this segment before this offset were synced when the block was written
	time     int64  // wall clock at commit, nanoseconds since the Unix epoch
	keyID    uint32 // 0: not encrypted
	nonce    uint64 // random, one per segment: bytes of another log that are stored as records never pass for a block
	tableCRC uint32 // of everything from the table to the end of the block
}

func (h *blockHeader) put(b []byte) {
	le.PutUint32(b[0:], blockMagic)
	b[4], b[5] = blockVersion, byte(h.kind)
	le.PutUint16(b[6:], 0)
	le.PutUint32(b[8:], h.length)
	le.PutUint32(b[12:], h.table)
	le.PutUint32(b[16:], h.runs)
	le.PutUint32(b[20:], h.marks)
	le.PutUint64(b[24:], h.segment)
	le.PutUint64(b[32:], h.id)
	le.PutUint64(b[40:], h.epoch)
	le.PutUint64(b[48:], h.promised)
	le.PutUint64(b[56:], uint64(h.time))
	le.PutUint32(b[64:], h.keyID)
	le.PutUint32(b[68:], h.ops)
	le.PutUint64(b[72:], h.nonce)
	le.PutUint32(b[80:], h.tableCRC)
	le.PutUint32(b[84:], checksum(b[:84]))
}

// parseHeader decodes and checks a block header by itself. The error says what is wrong with it.
func parseHeader(b []byte) (blockHeader, error) {
	var h blockHeader
	switch {
	case len(b) < headerSize:
		return h, fmt.Errorf("%d bytes where a block header takes %d", len(b), headerSize)
	case le.Uint32(b) != blockMagic:
		return h, fmt.Errorf("no block here (magic %#x)", le.Uint32(b))
	case le.Uint32(b[84:]) != checksum(b[:84]):
		return h, fmt.Errorf("header checksum differs")
	}
	h = blockHeader{
		kind: blockKind(b[5]), length: le.Uint32(b[8:]), table: le.Uint32(b[12:]), runs: le.Uint32(b[16:]),
		marks: le.Uint32(b[20:]), segment: le.Uint64(b[24:]), id: le.Uint64(b[32:]), epoch: le.Uint64(b[40:]),
		promised: le.Uint64(b[48:]), time: int64(le.Uint64(b[56:])), keyID: le.Uint32(b[64:]), ops: le.Uint32(b[68:]),
		nonce: le.Uint64(b[72:]), tableCRC: le.Uint32(b[80:]),
	}
	need := uint64(h.table) + uint64(h.runs)*runEntrySize + uint64(h.marks) + uint64(h.ops)
	switch {
	case b[4] != blockVersion:
		return h, fmt.Errorf("block version %d: this program reads version %d", b[4], blockVersion)
	case le.Uint16(b[6:]) != 0 || h.keyID != 0:
		return h, fmt.Errorf("block flags %#x, key %d: this program does not know them", le.Uint16(b[6:]), h.keyID)
	case h.kind < kindRecords || h.kind > kindIndex:
		return h, fmt.Errorf("block kind %d is unknown", h.kind)
	case h.table < headerSize || need > uint64(h.length) || h.length%blockAlign != 0 || uint64(h.length)-need >= blockAlign:
		return h, fmt.Errorf("block lengths contradict each other")
	}
	return h, nil
}

// runEntry says where in a block a run lies and what it is. A run with count 0 holds no records of a shard: it is the body
// of a snapshot or index block, or what a refused append left behind.
type runEntry struct {
	shard   record.ShardID
	count   uint32
	first   uint64
	arrived int64
	offset  uint32 // from the start of the block; in an index, of the segment
	length  uint32
	crc     uint32 // crc32c of the run's bytes
}

// put writes the entry. Its last field, the entry's own checksum, lets a reader trust a single entry of an index.
func (e *runEntry) put(b []byte) {
	le.PutUint32(b[0:], uint32(e.shard))
	le.PutUint32(b[4:], e.count)
	le.PutUint64(b[8:], e.first)
	le.PutUint64(b[16:], uint64(e.arrived))
	le.PutUint32(b[24:], e.offset)
	le.PutUint32(b[28:], e.length)
	le.PutUint32(b[32:], e.crc)
	le.PutUint32(b[36:], checksum(b[:36]))
}

func parseRunEntry(b []byte) (e runEntry, ok bool) {
	e = runEntry{
		shard: record.ShardID(le.Uint32(b)), count: le.Uint32(b[4:]), first: le.Uint64(b[8:]),
		arrived: int64(le.Uint64(b[16:])), offset: le.Uint32(b[24:]), length: le.Uint32(b[28:]), crc: le.Uint32(b[32:]),
	}
	return e, le.Uint32(b[36:]) == checksum(b[:36])
}

// blockTable is the decoded table of a block.
type blockTable struct {
	runs  []runEntry
	marks []shardlog.Mark
	ops   []shardOp
}

// parseTable decodes and checks a block's table. b is the block from h.table to its end. Strings and states are copies.
func parseTable(h *blockHeader, b []byte, t *blockTable) error {
	t.runs, t.marks, t.ops = t.runs[:0], t.marks[:0], t.ops[:0]
	if uint32(len(b)) != h.length-h.table {
		return fmt.Errorf("table has %d bytes, its header says %d", len(b), h.length-h.table)
	}
	if checksum(b) != h.tableCRC {
		return fmt.Errorf("table checksum differs")
	}
	at := uint32(headerSize)
	for i := range int(h.runs) {
		e, _ := parseRunEntry(b[i*runEntrySize:])
		if e.offset != at || uint64(at)+uint64(e.length) > uint64(h.table) {
			return fmt.Errorf("run %d lies outside of its place", i)
		}
		at += e.length
		t.runs = append(t.runs, e)
	}
	if at != h.table {
		return fmt.Errorf("runs end at %d, the table begins at %d", at, h.table)
	}
	rest := b[h.runs*runEntrySize:]
	var err error
	if t.marks, err = parseMarks(rest[:h.marks], t.marks); err != nil {
		return err
	}
	t.ops, err = parseOps(rest[h.marks:h.marks+h.ops], t.ops)
	return err
}

// putMark appends a mark: producer length (1 byte), state length (2), producer, state.
func putMark(b []byte, m shardlog.Mark) []byte {
	b = append(b, byte(len(m.Producer)))
	b = le.AppendUint16(b, uint16(len(m.State)))
	b = append(b, m.Producer...)
	return append(b, m.State...)
}

func markSize(m *shardlog.Mark) int { return 3 + len(m.Producer) + len(m.State) }

func parseMarks(b []byte, out []shardlog.Mark) ([]shardlog.Mark, error) {
	for len(b) > 0 {
		if len(b) < 3 {
			return out, fmt.Errorf("marks end within a mark")
		}
		np, ns := int(b[0]), int(le.Uint16(b[1:]))
		if len(b) < 3+np+ns {
			return out, fmt.Errorf("marks end within a mark")
		}
		out = append(out, shardlog.Mark{Producer: string(b[3 : 3+np]), State: append([]byte(nil), b[3+np:3+np+ns]...)})
		b = b[3+np+ns:]
	}
	return out, nil
}

// shardOp is one step of a reshard: a shard opens or closes.
type shardOp struct {
	open bool
	id   record.ShardID
	at   int64 // nanoseconds since the Unix epoch
	meta []byte
}

const opHeadSize = 16

// putOp appends an operation: kind (1 byte: 1 open, 2 close), 0, meta length (2), shard (4), time (8), meta.
func putOp(b []byte, op shardOp) []byte {
	kind := byte(2)
	if op.open {
		kind = 1
	}
	b = append(b, kind, 0)
	b = le.AppendUint16(b, uint16(len(op.meta)))
	b = le.AppendUint32(b, uint32(op.id))
	b = le.AppendUint64(b, uint64(op.at))
	return append(b, op.meta...)
}

func parseOps(b []byte, out []shardOp) ([]shardOp, error) {
	for len(b) > 0 {
		if len(b) < opHeadSize {
			return out, fmt.Errorf("shard operations end within one")
		}
		n := int(le.Uint16(b[2:]))
		if len(b) < opHeadSize+n || b[0] < 1 || b[0] > 2 || b[1] != 0 || n > shardlog.MaxShardMeta {
			return out, fmt.Errorf("shard operation %d with %d bytes of description makes no sense", b[0], n)
		}
		out = append(out, shardOp{
			open: b[0] == 1, id: record.ShardID(le.Uint32(b[4:])), at: int64(le.Uint64(b[8:])),
			meta: append([]byte(nil), b[opHeadSize:opHeadSize+n]...),
		})
		b = b[opHeadSize+n:]
	}
	return out, nil
}

// padded rounds a block length up.
func padded(n int) int { return (n + blockAlign - 1) &^ (blockAlign - 1) }

// sealBlock finishes a block whose table ends at b: it pads, and fills in the header's lengths and checksums. b[0:headerSize]
// is overwritten with the header.
func sealBlock(b []byte, h *blockHeader) []byte {
	for len(b)%blockAlign != 0 {
		b = append(b, 0)
	}
	h.length = uint32(len(b))
	h.tableCRC = checksum(b[h.table:])
	h.put(b)
	return b
}

// bodyBlock builds a block around one body, in the form of snapshot and index blocks.
func bodyBlock(h *blockHeader, body []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(body)+runEntrySize+blockAlign)
	b = append(b, body...)
	e := runEntry{offset: headerSize, length: uint32(len(body)), crc: checksum(body)}
	h.table, h.runs = uint32(len(b)), 1
	b = append(b, make([]byte, runEntrySize)...)
	e.put(b[h.table:])
	return sealBlock(b, h)
}

// parseBodyBlock is the inverse of bodyBlock. b starts at the block and may be longer.
func parseBodyBlock(b []byte, kind blockKind) (h blockHeader, body []byte, err error) {
	if h, err = parseHeader(b); err != nil {
		return h, nil, err
	}
	if h.kind != kind || h.runs != 1 {
		return h, nil, fmt.Errorf("a %v block with %d runs where the %v block belongs", h.kind, h.runs, kind)
	}
	if uint64(h.length) > uint64(len(b)) {
		return h, nil, fmt.Errorf("block of %d bytes is cut at %d", h.length, len(b))
	}
	var t blockTable
	if err := parseTable(&h, b[h.table:h.length], &t); err != nil {
		return h, nil, err
	}
	body = b[headerSize:h.table]
	if checksum(body) != t.runs[0].crc {
		return h, nil, fmt.Errorf("%v checksum differs", kind)
	}
	return h, body, nil
}
