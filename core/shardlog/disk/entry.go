package disk

import (
	"fmt"
	"math"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// An entry is one record in a run: data length (4 bytes), key length (2), number of attributes (2), key, data,
// attributes. An attribute is name length (2), value length (4), name, value.
const (
	entryHeadSize = 8
	attrHeadSize  = 6
)

// entrySize is how many bytes e takes in a run.
func entrySize(e *shardlog.Entry) int {
	n := entryHeadSize + len(e.Key) + len(e.Data)
	for i := range e.Attrs {
		n += attrHeadSize + len(e.Attrs[i].Name) + len(e.Attrs[i].Value)
	}
	return n
}

// checkEntry refuses what the format has no room for; an entry's size is bounded by that of its append.
func checkEntry(e *shardlog.Entry) error {
	if len(e.Key) > math.MaxUint16 {
		return fmt.Errorf("partition key of %d bytes: at most %d", len(e.Key), math.MaxUint16)
	}
	if len(e.Attrs) > math.MaxUint16 {
		return fmt.Errorf("%d attributes: at most %d", len(e.Attrs), math.MaxUint16)
	}
	for i := range e.Attrs {
		if len(e.Attrs[i].Name) > math.MaxUint16 {
			return fmt.Errorf("attribute name of %d bytes: at most %d", len(e.Attrs[i].Name), math.MaxUint16)
		}
	}
	return nil
}

// putEntry writes e at the start of b, which has room, and returns the rest of b.
func putEntry(b []byte, e *shardlog.Entry) []byte {
	le.PutUint32(b, uint32(len(e.Data)))
	le.PutUint16(b[4:], uint16(len(e.Key)))
	le.PutUint16(b[6:], uint16(len(e.Attrs)))
	b = b[entryHeadSize:]
	b = b[copy(b, e.Key):]
	b = b[copy(b, e.Data):]
	for i := range e.Attrs {
		a := &e.Attrs[i]
		le.PutUint16(b, uint16(len(a.Name)))
		le.PutUint32(b[2:], uint32(len(a.Value)))
		b = b[attrHeadSize:]
		b = b[copy(b, a.Name):]
		b = b[copy(b, a.Value):]
	}
	return b
}

// budget is what is left of a ReadLimit.
type budget struct {
	records, bytes int
	taken          int
}

func newBudget(max shardlog.ReadLimit) budget {
	b := budget{records: max.Records, bytes: max.Bytes}
	if b.records <= 0 {
		b.records = defaultReadRecords
	}
	if b.bytes <= 0 {
		b.bytes = defaultReadBytes
	}
	return b
}

// spent says that no further record fits. The first record always does.
func (b *budget) spent() bool { return b.taken > 0 && (b.records <= 0 || b.bytes <= 0) }

// take reports whether a record of so many bytes fits, and takes it off.
func (b *budget) take(size int) bool {
	if b.taken > 0 && (b.records <= 0 || size > b.bytes) {
		b.records = 0 // the read ends here: a smaller record behind must not overtake
		return false
	}
	b.taken++
	b.records--
	b.bytes -= size
	return true
}

// decodeRun adds the records of a run, from position from on, to dst, as far as left allows, and returns the position
// behind the last one added. p is the run; its checksum has been compared. The records point into p, which must be memory
// of dst's arena.
func decodeRun(e *runEntry, p []byte, from uint64, left *budget, dst *record.Batch) (uint64, error) {
	seq := e.first
	end := e.first + uint64(e.count)
	for ; seq < end; seq++ {
		if len(p) < entryHeadSize {
			return from, fmt.Errorf("run ends before its record %d", seq)
		}
		nd, nk, na := uint64(le.Uint32(p)), int(le.Uint16(p[4:])), int(le.Uint16(p[6:]))
		if uint64(entryHeadSize+nk)+nd > uint64(len(p)) {
			return from, fmt.Errorf("run ends within its record %d", seq)
		}
		key := p[entryHeadSize : entryHeadSize+nk]
		data := p[entryHeadSize+nk:][:nd:nd]
		p = p[entryHeadSize+nk+int(nd):]
		wanted := seq >= from
		var attrs record.Attrs
		if wanted && na > 0 {
			attrs = make(record.Attrs, 0, min(na, len(p)/attrHeadSize))
		}
		for range na {
			if len(p) < attrHeadSize {
				return from, fmt.Errorf("run ends within the attributes of its record %d", seq)
			}
			nn, nv := int(le.Uint16(p)), uint64(le.Uint32(p[2:]))
			if uint64(attrHeadSize+nn)+nv > uint64(len(p)) {
				return from, fmt.Errorf("run ends within the attributes of its record %d", seq)
			}
			if wanted {
				attrs = append(attrs, record.Attr{
					Name:  record.StringOf(p[attrHeadSize : attrHeadSize+nn]),
					Value: record.StringOf(p[attrHeadSize+nn:][:nv]),
				})
			}
			p = p[attrHeadSize+nn+int(nv):]
		}
		if !wanted {
			continue
		}
		if !left.take(nk + int(nd)) {
			return seq, nil
		}
		dst.Records = append(dst.Records, record.Record{
			Shard: e.shard, Seq: seq, Arrived: e.arrived, Key: record.StringOf(key), Data: data, Attrs: attrs,
		})
	}
	if len(p) != 0 {
		return from, fmt.Errorf("run has %d bytes too many", len(p))
	}
	return end, nil
}
