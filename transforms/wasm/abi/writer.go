package abi

// OutputWriter builds an OUTPUT frame, record by record. Its memory is used again for the next frame. Its methods make few
// calls, because calls are dear in a guest:
//
//	header | results | payload | outs
type OutputWriter struct {
	buf  []byte // header, results and payload
	outs []byte
	in   *Input
	done int
}

// roomyBuffer is what the writer keeps from frame to frame, in bytes. A rare large frame does not stay in memory.
const roomyBuffer = 4 << 20

// Reset begins the frame that answers in.
func (w *OutputWriter) Reset(in *Input) {
	need := HeaderSize + ResultSize*in.Len()
	if cap(w.buf) < need || cap(w.buf) > roomyBuffer {
		w.buf = make([]byte, need, max(2*need, 64<<10))
	}
	w.in, w.done = in, 0
	w.buf, w.outs = w.buf[:need], w.outs[:0]
}

// Done is the number of records that have a result.
func (w *OutputWriter) Done() int { return w.done }

// Outs is the number of outputs so far.
func (w *OutputWriter) Outs() int { return len(w.outs) / OutSize }

// NewOut is an output of the next record. Without data, key or attributes of its own it has those of the record.
type NewOut struct {
	Data      []byte
	Key       string
	Attrs     []Attr
	Partition []Attr
	KeepData  bool
	KeepKey   bool
	KeepAttrs bool
}

// Out appends an output of the next record; its bytes are copied. It returns false if the attributes or partition keys
// cannot be encoded.
func (w *OutputWriter) Out(o *NewOut) bool {
	if len(o.Attrs) > 0 || len(o.Partition) > 0 {
		_, okA := AttrsSize(o.Attrs)
		_, okP := AttrsSize(o.Partition)
		if !okA || !okP {
			return false
		}
	}
	at := len(w.outs)
	if cap(w.outs)-at < OutSize {
		w.outs = append(make([]byte, 0, max(2*cap(w.outs), 64*OutSize)), w.outs...)
	}
	w.outs = w.outs[:at+OutSize]
	e, rec := w.outs[at:at+OutSize:at+OutSize], w.in.table[RecordSize*w.done:][:RecordSize:RecordSize]
	flags := uint32(0)
	if o.KeepData {
		flags |= DataInInput
		le.PutUint64(e[8:], le.Uint64(rec[16:]))
	} else {
		off := len(w.buf)
		w.buf = append(w.buf, o.Data...)
		le.PutUint32(e[8:], uint32(off))
		le.PutUint32(e[12:], uint32(len(o.Data)))
	}
	if o.KeepKey {
		flags |= KeyInInput
		le.PutUint64(e[16:], le.Uint64(rec[24:]))
	} else {
		off := len(w.buf)
		w.buf = append(w.buf, o.Key...)
		le.PutUint32(e[16:], uint32(off))
		le.PutUint32(e[20:], uint32(len(o.Key)))
	}
	if o.KeepAttrs {
		flags |= AttrsInInput
		le.PutUint64(e[24:], le.Uint64(rec[32:]))
	} else {
		w.attrs(e[24:], o.Attrs)
	}
	w.attrs(e[32:], o.Partition)
	le.PutUint32(e, flags)
	le.PutUint32(e[4:], uint32(w.done))
	le.PutUint64(e[40:], 0)
	return true
}

// Data ends the next record with its one output, which has new data and keeps key and attributes: what most transforms do, in one call.
func (w *OutputWriter) Data(data []byte) {
	at, off := len(w.outs), len(w.buf)
	if cap(w.outs)-at < OutSize {
		w.outs = append(make([]byte, 0, max(2*cap(w.outs), 64*OutSize)), w.outs...)
	}
	w.outs = w.outs[:at+OutSize]
	e, rec := w.outs[at:at+OutSize:at+OutSize], w.in.table[RecordSize*w.done:][:RecordSize:RecordSize]
	w.buf = append(w.buf, data...)
	le.PutUint64(e, KeyInInput|AttrsInInput|uint64(w.done)<<32)
	le.PutUint64(e[8:], uint64(off)|uint64(len(data))<<32)
	le.PutUint64(e[16:], le.Uint64(rec[24:]))
	le.PutUint64(e[24:], le.Uint64(rec[32:]))
	le.PutUint64(e[32:], 0)
	le.PutUint64(e[40:], 0)
	r := w.entry()
	le.PutUint64(r, uint64(OK)|uint64(at/OutSize)<<32)
	le.PutUint64(r[8:], 1)
	le.PutUint64(r[16:], 0)
	w.done++
}

// attrs appends the block of attrs and puts its place into entry.
func (w *OutputWriter) attrs(entry []byte, attrs []Attr) {
	le.PutUint64(entry, 0)
	if len(attrs) > 0 {
		off := len(w.buf)
		w.buf = AppendAttrs(w.buf, attrs)
		le.PutUint32(entry, uint32(off))
		le.PutUint32(entry[4:], uint32(len(w.buf)-off))
	}
}

func (w *OutputWriter) entry() []byte {
	return w.buf[HeaderSize+ResultSize*w.done:][:ResultSize:ResultSize]
}

// Result ends the next record, which is OK, Unchanged or Dropped. first is the number of outputs before it.
func (w *OutputWriter) Result(status Status, first int) {
	e := w.entry()
	n := uint64(len(w.outs)/OutSize - first)
	le.PutUint64(e, uint64(status)|uint64(first)<<32)
	le.PutUint64(e[8:], n)
	le.PutUint64(e[16:], 0)
	w.done++
}

// Fail ends the next record, which failed. Outputs that it has made so far are taken back: first is the number of those before
// it. Code and reason are cut to 65,535 bytes.
func (w *OutputWriter) Fail(class uint8, first int, code, reason string) {
	w.outs = w.outs[:first*OutSize]
	code, reason = code[:min(len(code), 1<<16-1)], reason[:min(len(reason), 1<<16-1)]
	off := uint32(len(w.buf))
	w.buf = append(append(w.buf, code...), reason...)
	e := w.entry()
	le.PutUint64(e, uint64(Failed)|uint64(class)<<8|uint64(first)<<32)
	le.PutUint32(e[8:], 0)
	le.PutUint32(e[12:], off)
	le.PutUint16(e[16:], uint16(len(code)))
	le.PutUint16(e[18:], uint16(len(reason)))
	le.PutUint32(e[20:], off+uint32(len(code)))
	w.done++
}

// Finish returns the frame, which is valid until the next Reset. Every record must have its result.
func (w *OutputWriter) Finish() []byte {
	for len(w.buf)%8 != 0 {
		w.buf = append(w.buf, 0)
	}
	outs := len(w.buf)
	w.buf = append(w.buf, w.outs...)
	h := w.buf[:HeaderSize]
	copy(h, MagicOutput)
	le.PutUint16(h[4:], Version)
	le.PutUint16(h[6:], HeaderSize)
	le.PutUint32(h[8:], uint32(w.in.Len()))
	le.PutUint32(h[12:], uint32(w.Outs()))
	le.PutUint32(h[16:], HeaderSize)
	le.PutUint32(h[20:], uint32(outs))
	le.PutUint64(h[24:], 0)
	return w.buf
}
