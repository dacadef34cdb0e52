package abi

import "strconv"

// Span is where the fields of one record lie in an INPUT frame: data from Data to DataEnd, key from Key to Attrs, attributes
// from Attrs to End.
type Span struct{ Data, DataEnd, Key, Attrs, End uint32 }

// Layout is where the records of an INPUT frame lie: all data first, then keys and attributes, which a guest can thus take over
// in one piece. The host keeps it to check the answer, because the guest can write to the frame itself.
//
// A frame is made in two passes over its records, and the second one is the only one that touches their bytes: Reset, Add
// for each record, Size, Begin, Put for each record.
type Layout struct {
	Spans []Span // of the records that are put

	count       int
	data, texts uint64 // bytes of all data, and of all keys and attributes
	at, text    uint32 // where the next record's go
}

// Reset begins a layout without records.
func (l *Layout) Reset() { *l = Layout{Spans: l.Spans[:0]} }

// Add counts a record in whose data and key have so many bytes. It returns nil, or why it cannot: its attributes cannot be
// encoded or the frame would exceed MaxFrame.
func (l *Layout) Add(data, key int, attrs []Attr) *FrameError {
	l.count++
	l.data += uint64(data)
	l.texts += uint64(key)
	if len(attrs) > 0 {
		n, ok := AttrsSize(attrs)
		if !ok {
			return &FrameError{"record", l.count - 1, "its attributes are too many or too long"}
		}
		l.texts += uint64(n)
	}
	if l.size() > MaxFrame {
		return &FrameError{"record", l.count - 1, "it does not fit into a frame of 4 GiB"}
	}
	return nil
}

func (l *Layout) size() uint64 { return uint64(HeaderSize+RecordSize*l.count) + l.data + l.texts }

// Size is the length of the frame in bytes.
func (l *Layout) Size() int { return int(l.size()) }

// Begin writes the header of the frame to dst, which has l.Size() bytes.
func (l *Layout) Begin(dst []byte, batchID uint64) {
	copy(dst, MagicInput)
	le.PutUint16(dst[4:], Version)
	le.PutUint16(dst[6:], HeaderSize)
	le.PutUint32(dst[8:], uint32(l.count))
	le.PutUint32(dst[12:], 0)
	le.PutUint64(dst[16:], batchID)
	le.PutUint32(dst[24:], uint32(l.size()))
	le.PutUint32(dst[28:], 0)
	l.Spans = l.Spans[:0]
	l.at = uint32(HeaderSize + RecordSize*l.count)
	l.text = l.at + uint32(l.data)
}

// Put writes the next record to dst. The records are those that were added, in the same order.
func (l *Layout) Put(dst []byte, r *Record) {
	s := Span{Data: l.at, DataEnd: l.at + uint32(len(r.Data)), Key: l.text, Attrs: l.text + uint32(len(r.Key))}
	s.End = s.Attrs
	copy(dst[s.Data:s.DataEnd], r.Data)
	copy(dst[s.Key:s.Attrs], r.Key)
	if len(r.Attrs) > 0 {
		s.End += uint32(len(AppendAttrs(dst[s.Attrs:s.Attrs], r.Attrs)))
	}
	e := dst[HeaderSize+RecordSize*len(l.Spans):][:RecordSize]
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
	l.at, l.text = s.DataEnd, s.End
	l.Spans = append(l.Spans, s)
}

// Plan lays recs out. It fails as Add does.
func (l *Layout) Plan(recs []Record) error {
	l.Reset()
	for i := range recs {
		if err := l.Add(len(recs[i].Data), len(recs[i].Key), recs[i].Attrs); err != nil {
			return err
		}
	}
	return nil
}

// EncodeInput writes the frame of recs, which l.Plan has laid out, to dst. dst has l.Size() bytes.
func (l *Layout) EncodeInput(dst []byte, batchID uint64, recs []Record) {
	l.Begin(dst, batchID)
	for i := range recs {
		l.Put(dst, &recs[i])
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
