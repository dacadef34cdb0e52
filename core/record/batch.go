package record

import (
	"sync"
	"unsafe"
)

// chunkSize is what a batch's arena grows by, in bytes, unless one allocation is larger.
const chunkSize = 256 << 10

// keepChunk is the largest chunk, in bytes, that a batch keeps for new allocations, and keepChunks is how many: a rare big
// record does not stay in memory.
const (
	keepChunk  = 4 << 20
	keepChunks = 4
)

// Batch is a list of records and the arena they point into. It has one owner, who releases it. It is not safe for
// concurrent writes.
type Batch struct {
	Records []Record

	chunks   [][]byte // chunks[:used] are full or current; the rest are spare
	used     int
	full     int // bytes of chunks[:used-1], what is left over at their ends among them
	released bool
}

var pool = sync.Pool{New: func() any { return new(Batch) }}

// NewBatch returns an empty batch.
func NewBatch() *Batch {
	b := pool.Get().(*Batch)
	b.released = false
	return b
}

// Release gives the batch's memory back, to be used again: neither the batch nor anything that points into it may be used
// from then on.
func (b *Batch) Release() {
	if b.released {
		panic("record: batch released twice")
	}
	b.released = true
	b.Reset()
	pool.Put(b)
}

// Reset forgets the records and makes the arena's memory free for new ones.
func (b *Batch) Reset() {
	clear(b.Records)
	b.Records = b.Records[:0]
	b.Rewind(Mark{})
}

// Held is how many bytes of the arena are in use, with what was left over where an allocation did not fit.
func (b *Batch) Held() int {
	if b.used == 0 {
		return 0
	}
	return b.full + len(b.chunks[b.used-1])
}

// Mark is a place in a batch's arena.
type Mark struct{ used, full, at int }

// Mark returns the place up to which the arena is in use.
func (b *Batch) Mark() Mark { return Mark{b.used, b.full, b.Held() - b.full} }

// Rewind makes what was allocated after m was taken free for new allocations. Nothing may point into it any more.
func (b *Batch) Rewind(m Mark) {
	kept := b.chunks[:m.used]
	for _, c := range b.chunks[m.used:] {
		if cap(c) <= keepChunk && len(kept) < m.used+keepChunks {
			kept = append(kept, c[:0])
		}
	}
	clear(b.chunks[len(kept):])
	b.chunks, b.used, b.full = kept, m.used, m.full
	if m.used > 0 {
		kept[m.used-1] = kept[m.used-1][:m.at]
	}
}

// Alloc returns n bytes of the arena. They stay where they are until the batch is reset or released; their content is
// undefined. The slice's capacity is n, so that appending to it copies rather than overwrites a neighbour.
func (b *Batch) Alloc(n int) []byte {
	if b.used > 0 {
		cur := &b.chunks[b.used-1]
		if cap(*cur)-len(*cur) >= n {
			at := len(*cur)
			*cur = (*cur)[:at+n]
			return (*cur)[at : at+n : at+n]
		}
		b.full += cap(*cur)
	}
	i := b.used
	for i < len(b.chunks) && cap(b.chunks[i]) < n {
		i++
	}
	if i == len(b.chunks) {
		b.chunks = append(b.chunks, make([]byte, 0, max(n, chunkSize)))
	}
	b.chunks[i], b.chunks[b.used] = b.chunks[b.used], b.chunks[i][:n]
	b.used++
	return b.chunks[b.used-1][:n:n]
}

// Bytes copies p into the arena.
func (b *Batch) Bytes(p []byte) []byte {
	q := b.Alloc(len(p))
	copy(q, p)
	return q
}

// String copies s into the arena.
func (b *Batch) String(s string) string {
	if s == "" {
		return ""
	}
	q := b.Alloc(len(s))
	copy(q, s)
	return unsafe.String(&q[0], len(q))
}

// StringOf returns a string that shares p's memory. p must be memory of this batch's arena and must not change.
func StringOf(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }

// Add appends a deep copy of r.
func (b *Batch) Add(r Record) {
	r.Key = b.String(r.Key)
	r.Data = b.Bytes(r.Data)
	if len(r.Attrs) > 0 {
		attrs := make(Attrs, len(r.Attrs))
		for i, a := range r.Attrs {
			attrs[i] = Attr{b.String(a.Name), b.String(a.Value)}
		}
		r.Attrs = attrs
	}
	b.Records = append(b.Records, r)
}

// Len is the number of records.
func (b *Batch) Len() int { return len(b.Records) }

// Size is the sum of the records' sizes in bytes.
func (b *Batch) Size() int {
	n := 0
	for i := range b.Records {
		n += b.Records[i].Size()
	}
	return n
}
