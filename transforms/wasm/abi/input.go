package abi

import "strconv"

// Span is where the fields of one record lie in an INPUT frame: data from Data to DataEnd, key from Key to Attrs, attributes
// from Attrs to End.
type Span struct{ Data, DataEnd, Key, Attrs, End uint32 }

// Layout is where the records of an INPUT frame lie: all data first, then keys and attributes, which a guest can thus take over
// in one piece. The host keeps it to check the answer, because the guest can write to the frame itself.
type Layout struct {
	Spans []Span
	size  uint32
}

// Size is the length of the frame in bytes.
func (l *Layout) Size() int { return int(l.size) }

// Plan lays recs out. It fails if a record's attributes cannot be encoded or the frame would exceed MaxFrame.
func (l *Layout) Plan(recs []Record) error {
	l.Spans = l.Spans[:0]
	at := uint64(HeaderSize + RecordSize*len(recs))
	for i := range recs {
		from := at
		if at += uint64(len(recs[i].Data)); at > MaxFrame {
			return &FrameError{"record", i, "it does not fit into a frame of 4 GiB"}
		}
		l.Spans = append(l.Spans, Span{Data: uint32(from), DataEnd: uint32(at)})
	}
	for i := range recs {
		r, s := &recs[i], &l.Spans[i]
		attrs, ok := AttrsSize(r.Attrs)
		if !ok {
			return &FrameError{"record", i, "its attributes are too many or too long"}
		}
		end := at + uint64(len(r.Key)) + uint64(attrs)
		if end > MaxFrame {
			return &FrameError{"record", i, "it does not fit into a frame of 4 GiB"}
		}
		s.Key, s.Attrs, s.End = uint32(at), uint32(at)+uint32(len(r.Key)), uint32(end)
		at = end
	}
	l.size = uint32(at)
	return nil
}

// EncodeInput writes the frame of recs, which l.Plan has laid out, to dst. dst has l.Size() bytes.
func (l *Layout) EncodeInput(dst []byte, batchID uint64, recs []Record) {
	copy(dst, MagicInput)
	le.PutUint16(dst[4:], Version)
	le.PutUint16(dst[6:], HeaderSize)
	le.PutUint32(dst[8:], uint32(len(recs)))
	le.PutUint32(dst[12:], 0)
	le.PutUint64(dst[16:], batchID)
	le.PutUint32(dst[24:], l.size)
	le.PutUint32(dst[28:], 0)
	for i := range recs {
		r, s := &recs[i], l.Spans[i]
		e := dst[HeaderSize+RecordSize*i:][:RecordSize]
		le.PutUint64(e, r.Seq)
		le.PutUint64(e[8:], uint64(r.Arrived))
		le.PutUint32(e[16:], s.Data)
		le.PutUint32(e[20:], s.DataEnd-s.Data)
		le.PutUint32(e[24:], s.Key)
		le.PutUint32(e[28:], s.Attrs-s.Key)
		le.PutUint32(e[32:], s.Attrs)
		le.PutUint32(e[36:], s.End-s.Attrs)
		le.PutUint32(e[40:], r.Shard)
		le.PutUint32(e[44:], r.Sub)
		copy(dst[s.Data:s.DataEnd], r.Data)
		copy(dst[s.Key:s.Attrs], r.Key)
		AppendAttrs(dst[s.Attrs:s.Attrs:s.End], r.Attrs)
	}
}

// Input is a decoded INPUT frame.
type Input struct {
	frame []byte
	table []byte
	// from and to are where the keys and attributes lie, and what else may lie between them.
	from, to uint64
}

// DecodeInput checks frame, which the Input refers to from then on.
func DecodeInput(frame []byte) (Input, error) {
	switch {
	case len(frame) < HeaderSize:
		return Input{}, header("a frame of " + itoa(len(frame)) + " bytes is shorter than its header")
	case string(frame[:4]) != MagicInput:
		return Input{}, header("the magic is " + strconv.Quote(string(frame[:4])) + ", not " + MagicInput)
	case le.Uint16(frame[4:]) != Version:
		return Input{}, header("version " + itoa(le.Uint16(frame[4:])) + " is unknown")
	case uint64(le.Uint32(frame[24:])) != uint64(len(frame)):
		return Input{}, header("the frame has " + itoa(len(frame)) + " bytes and says " + itoa(le.Uint32(frame[24:])))
	}
	first, count := uint64(le.Uint16(frame[6:])), uint64(le.Uint32(frame[8:]))
	begin, size := first+RecordSize*count, uint64(len(frame))
	if first < HeaderSize || first%8 != 0 || begin > size {
		return Input{}, header("a header of " + itoa(first) + " and " + itoa(count) + " records do not fit into the frame")
	}
	in := Input{frame: frame, table: frame[first:begin], from: size}
	// Written out, without calls: they are dear in a guest, and this is for every record.
	for t, i := in.table, 0; len(t) >= RecordSize; t, i = t[RecordSize:], i+1 {
		data, dataLen := uint64(le.Uint32(t[16:])), uint64(le.Uint32(t[20:]))
		key, keyLen := uint64(le.Uint32(t[24:])), uint64(le.Uint32(t[28:]))
		attrs, attrsLen := uint64(le.Uint32(t[32:])), uint64(le.Uint32(t[36:]))
		if data < begin || data+dataLen > size || key < begin || key+keyLen > size || attrs < begin || attrs+attrsLen > size {
			return Input{}, &FrameError{"record", i, "a field lies outside the frame"}
		}
		in.from, in.to = min(in.from, key), max(in.to, key+keyLen)
		if attrsLen > 0 {
			in.from, in.to = min(in.from, attrs), max(in.to, attrs+attrsLen)
			if err := checkAttrs(frame[attrs : attrs+attrsLen]); err != nil {
				return Input{}, &FrameError{"record", i, err.Error()}
			}
		}
	}
	return in, nil
}

// Len is the number of records.
func (in *Input) Len() int { return len(in.table) / RecordSize }

// Texts is a copy of the keys and attribute blocks of a frame. Strings cut from it stay valid when the frame is gone.
type Texts struct {
	text string
	base uint32
}

// Texts copies the frame's keys and attribute blocks. A host puts them side by side; if one did not, they are copied with what
// lies between.
func (in *Input) Texts() Texts {
	if in.to <= in.from {
		return Texts{}
	}
	return Texts{string(in.frame[in.from:in.to]), uint32(in.from)}
}

// cut returns a part of the frame that the texts cover.
func (t *Texts) cut(off, n uint32) string {
	if n == 0 {
		return ""
	}
	return t.text[off-t.base:][:n]
}

// Read fills r with record i: Data shares the frame's memory, Key that of texts. It returns the attribute block, which shares
// it too, and leaves r.Attrs alone.
func (in *Input) Read(i int, texts *Texts, r *Record) (attrs string) {
	e := in.table[RecordSize*i:][:RecordSize:RecordSize]
	r.Seq, r.Arrived = le.Uint64(e), int64(le.Uint64(e[8:]))
	data := uint64(le.Uint32(e[16:]))
	end := data + uint64(le.Uint32(e[20:]))
	r.Data = in.frame[data:end:end]
	r.Key = texts.cut(le.Uint32(e[24:]), le.Uint32(e[28:]))
	r.Shard, r.Sub = le.Uint32(e[40:]), le.Uint32(e[44:])
	return texts.cut(le.Uint32(e[32:]), le.Uint32(e[36:]))
}
