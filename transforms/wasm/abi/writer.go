package abi

// OutputWriter builds an OUTPUT frame, record by record. Its memory is used again for the next frame.
//
// The tables stand behind the payload, because their size is known only at the end:
//
//	header | payload | results | outs
type OutputWriter struct {
	buf     []byte
	results []byte
	outs    []byte
	in      Input
}

// roomyBuffer is what the writer keeps from frame to frame, in bytes. A rare large frame does not stay in memory.
const roomyBuffer = 4 << 20

// Reset begins the frame that answers in.
func (w *OutputWriter) Reset(in Input) {
	if cap(w.buf) < HeaderSize || cap(w.buf) > roomyBuffer {
		w.buf = make([]byte, HeaderSize, 64<<10)
	}
	w.in = in
	w.buf, w.results, w.outs = w.buf[:HeaderSize], w.results[:0], w.outs[:0]
}

// Done is the number of records that have a result.
func (w *OutputWriter) Done() int { return len(w.results) / ResultSize }

// Outs is the number of outputs so far.
func (w *OutputWriter) Outs() int { return len(w.outs) / OutSize }

// Size is the number of bytes that the frame has so far.
func (w *OutputWriter) Size() int { return len(w.buf) + len(w.results) + len(w.outs) }

// Truncate takes back the outputs from n on, those of a record that failed after it had made some.
func (w *OutputWriter) Truncate(n int) { w.outs = w.outs[:n*OutSize] }

// Out appends an output of the next record. Without data, key or attrs of its own (keep*) it has those of the record. The
// arguments are copied. It returns false if the attributes or partition keys cannot be encoded.
func (w *OutputWriter) Out(data []byte, keepData bool, key string, keepKey bool, attrs []Attr, keepAttrs bool, partition []Attr) bool {
	_, okA := AttrsSize(attrs)
	_, okP := AttrsSize(partition)
	if !okA || !okP {
		return false
	}
	parent := w.Done()
	var flags uint32
	var f [8]uint32 // off, len of data, key, attrs, partition
	at := func(k int) { f[2*k] = uint32(len(w.buf)) }
	end := func(k int) { f[2*k+1] = uint32(len(w.buf)) - f[2*k] }
	keep := func(k, entry int) {
		flags |= 1 << k
		f[2*k], f[2*k+1] = w.in.offset(parent, entry)
	}
	if at(0); keepData {
		keep(0, 16)
	} else {
		w.buf = append(w.buf, data...)
		end(0)
	}
	if at(1); keepKey {
		keep(1, 24)
	} else {
		w.buf = append(w.buf, key...)
		end(1)
	}
	if at(2); keepAttrs {
		keep(2, 32)
	} else {
		w.buf = AppendAttrs(w.buf, attrs)
		end(2)
	}
	at(3)
	w.buf = AppendAttrs(w.buf, partition)
	end(3)
	w.outs = le.AppendUint32(w.outs, flags)
	w.outs = le.AppendUint32(w.outs, uint32(parent))
	for _, v := range f {
		w.outs = le.AppendUint32(w.outs, v)
	}
	w.outs = le.AppendUint64(w.outs, 0)
	return true
}

// Result ends the next record. first is the number of outputs before it. Code and reason are of a failed record, and are cut to
// 65,535 bytes.
func (w *OutputWriter) Result(status Status, class uint8, first int, code, reason string) {
	code, reason = code[:min(len(code), 1<<16-1)], reason[:min(len(reason), 1<<16-1)]
	codeOff := uint32(len(w.buf))
	w.buf = append(w.buf, code...)
	reasonOff := uint32(len(w.buf))
	w.buf = append(w.buf, reason...)
	w.results = append(w.results, byte(status), class, 0, 0)
	w.results = le.AppendUint32(w.results, uint32(first))
	w.results = le.AppendUint32(w.results, uint32(w.Outs()-first))
	w.results = le.AppendUint32(w.results, codeOff)
	w.results = le.AppendUint16(w.results, uint16(len(code)))
	w.results = le.AppendUint16(w.results, uint16(len(reason)))
	w.results = le.AppendUint32(w.results, reasonOff)
}

// Finish returns the frame, which is valid until the next Reset.
func (w *OutputWriter) Finish() []byte {
	inCount, outCount := w.Done(), w.Outs()
	for len(w.buf)%8 != 0 {
		w.buf = append(w.buf, 0)
	}
	results := len(w.buf)
	w.buf = append(w.buf, w.results...)
	outs := len(w.buf)
	w.buf = append(w.buf, w.outs...)
	h := w.buf[:HeaderSize]
	copy(h, MagicOutput)
	le.PutUint16(h[4:], Version)
	le.PutUint16(h[6:], HeaderSize)
	le.PutUint32(h[8:], uint32(inCount))
	le.PutUint32(h[12:], uint32(outCount))
	le.PutUint32(h[16:], uint32(results))
	le.PutUint32(h[20:], uint32(outs))
	le.PutUint64(h[24:], 0)
	return w.buf
}
