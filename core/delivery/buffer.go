package delivery

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/record"
)

// buffer is an open object. The collector owns it until it is sealed, then a sealer.
type buffer struct {
	mapKey string // in the collector's table
	dead   bool
	tied   *component
	age    *list.Element // in the collector's list of open buffers, oldest first

	id          string
	key         string // the object's
	compression codec.Compression
	opened      time.Time
	oldest      time.Time // arrival of the first record
	records     int
	covers      coverage
	epoch       uint64 // of the backlog, once it is sealed

	sum     codec.Sum
	pending []byte   // not yet cut into a block
	blocks  []*block // cut, not yet in the spool file; in order
	created bool     // there is a spool file
	spooled int64    // bytes in it
	digest  hash.Hash
}

// component is a set of buffers that must be sealed in one transaction, because they share inputs. Most have one buffer.
type component struct {
	buffers []*buffer
	sealed  bool
}

// tie makes one component of two buffers' components.
func tie(a, b *buffer) {
	from, into := a.tied, b.tied
	if from == into {
		return
	}
	if len(from.buffers) > len(into.buffers) {
		from, into = into, from
	}
	for _, buf := range from.buffers {
		buf.tied = into
	}
	into.buffers = append(into.buffers, from.buffers...)
}

// block is a piece of an object on its way through compression.
type block struct {
	compression codec.Compression
	raw, out    []byte
	done        chan struct{} // closed when out is ready
}

var blockMemory = sync.Pool{New: func() any { return new([codec.BlockSize]byte) }}

// newBuffer opens an object. prefix is what its key begins with.
func (d *Delivery) newBuffer(mapKey, prefix string, dead bool, first *record.Record) *buffer {
	b := &buffer{
		mapKey: mapKey, dead: dead, id: newID(), compression: d.compression(dead),
		opened: time.Now(), oldest: first.ArrivedAt(), digest: sha256.New(),
	}
	b.tied = &component{buffers: []*buffer{b}}
	extension := d.cfg.Extension
	if dead {
		extension = b.compression.Extension()
	}
	b.key = fmt.Sprintf("%s%s-%s-%s%s", prefix, d.cfg.Pipeline, b.oldest.Format("2006-01-02-15-04-05"), b.id, extension)
	return b
}

// compression is that of the objects, or of the dead letters.
func (d *Delivery) compression(dead bool) codec.Compression {
	if dead {
		return d.cfg.DeadLetters.Compression
	}
	return d.cfg.Compression
}

// entry is the name of the object inside itself (zip): its file name without the archive's extension.
func (b *buffer) entry() string {
	name := b.key[strings.LastIndexByte(b.key, '/')+1:]
	return strings.TrimSuffix(name, b.compression.Extension())
}

// write appends framed outputs to the object and cuts off full blocks.
func (d *Delivery) write(b *buffer, p []byte) {
	b.sum.Raw += int64(len(p))
	for len(p) > 0 {
		if b.pending == nil && len(p) >= codec.BlockSize/4 {
			b.pending = blockMemory.Get().(*[codec.BlockSize]byte)[:0]
			d.held.Add(codec.BlockSize)
		}
		n := min(len(p), codec.BlockSize-len(b.pending))
		had := cap(b.pending)
		b.pending = append(b.pending, p[:n]...)
		d.held.Add(int64(cap(b.pending) - had))
		p = p[n:]
		if len(b.pending) == codec.BlockSize {
			d.cut(b)
		}
	}
}

// cut sends what is pending to be compressed.
func (d *Delivery) cut(b *buffer) {
	if len(b.pending) == 0 {
		return
	}
	b.sum.CRC = crc32.Update(b.sum.CRC, crc32.IEEETable, b.pending)
	k := &block{compression: b.compression, raw: b.pending, done: make(chan struct{})}
	b.pending = nil
	b.blocks = append(b.blocks, k)
	d.press <- k
}

// add appends a block that is compressed. raw is what it was made of.
func (d *Delivery) add(b *buffer, raw []byte, k *block) {
	d.cut(b)
	b.sum.CRC = crc32.Update(b.sum.CRC, crc32.IEEETable, raw)
	b.sum.Raw += int64(len(raw))
	b.blocks = append(b.blocks, k)
	d.held.Add(int64(cap(k.out)))
}

// press is the scratch memory of a worker that compresses blocks.
type press struct{ scratch []byte }

// block compresses raw into memory of just the right size.
func (p *press) block(c codec.Compression, raw []byte) []byte {
	p.scratch = c.AppendBlock(p.scratch[:0], raw)
	out := bytes.Clone(p.scratch)
	if cap(p.scratch) > keepShare {
		p.scratch = nil
	}
	return out
}

// done returns a block that is compressed.
func (p *press) done(c codec.Compression, raw []byte) *block {
	return &block{out: p.block(c, raw), done: closed}
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// compress is a worker that compresses blocks.
func (d *Delivery) compress() {
	var p press
	for k := range d.press {
		k.out = p.block(k.compression, k.raw)
		d.held.Add(int64(cap(k.out) - cap(k.raw)))
		if cap(k.raw) == codec.BlockSize {
			blockMemory.Put((*[codec.BlockSize]byte)(k.raw[:codec.BlockSize]))
		}
		k.raw = nil
		close(k.done)
	}
}

// inMemory is how many bytes of the buffer would leave memory by spilling it.
func (b *buffer) inMemory() int64 {
	n := int64(cap(b.pending))
	for _, k := range b.blocks {
		n += codec.BlockSize / 4
		select {
		case <-k.done:
			n += int64(cap(k.out)) - codec.BlockSize/4
		default:
		}
	}
	return n
}

// spill writes what is in memory to the spool file. The last spill of an object completes it and makes it durable.
func (d *Delivery) spill(b *buffer, last bool) error {
	first := !b.created
	w, err := d.spool.open(b)
	if err != nil {
		return err
	}
	if first {
		w.Write(b.compression.AppendHeader(nil, b.entry()))
	}
	for _, k := range b.blocks {
		<-k.done
		w.Write(k.out)
		b.sum.Compressed += int64(len(k.out))
		d.held.Add(-int64(cap(k.out)))
		k.out = nil
	}
	b.blocks = nil
	if last {
		w.Write(b.compression.AppendTrailer(nil, b.entry(), b.sum))
	}
	return w.close(last)
}
