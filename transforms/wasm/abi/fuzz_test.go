package abi

import (
	"bytes"
	"reflect"
	"testing"
)

// FuzzDecodeOutput feeds the host what a hostile guest may return: whatever is accepted must be readable without a panic, and
// obey the rules when they are checked again the slow way.
func FuzzDecodeOutput(f *testing.F) {
	l, frame := encode(f, sample)
	f.Add(answer(f, frame))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := l.Decode(b)
		if err != nil {
			return
		}
		owner := make([]int, o.Outs())
		for i := range o.Len() {
			r := o.Result(i)
			for j := r.First; j < r.First+r.N; j++ {
				owner[j]++
				out := o.Out(j)
				if out.Parent != i {
					t.Fatalf("out %d of record %d has parent %d", j, i, out.Parent)
				}
				for _, field := range []Field{out.Data, out.Key, out.Attrs, out.Partition} {
					read(t, &o, field, &sample[i])
				}
				for _, field := range []Field{out.Attrs, out.Partition} {
					if field.Source == InFrame {
						if _, err := DecodeAttrs(nil, string(o.Bytes(field))); err != nil {
							t.Fatalf("out %d: accepted, and then: %v", j, err)
						}
					}
				}
			}
		}
		for j, n := range owner {
			if n != 1 {
				t.Fatalf("out %d has %d results", j, n)
			}
		}
	})
}

func read(t *testing.T, o *Output, f Field, parent *Record) {
	switch f.Source {
	case InFrame:
		if len(o.Bytes(f)) != int(f.Len) {
			t.Fatalf("%+v is not all there", f)
		}
	case InData:
		_ = parent.Data[f.Off:][:f.Len]
	case InKey:
		_ = parent.Key[f.Off:][:f.Len]
	}
}

// FuzzDecodeInput feeds the guest any frame: whatever is accepted must be readable, and comes out the same after another
// round trip.
func FuzzDecodeInput(f *testing.F) {
	_, frame := encode(f, sample)
	f.Add(frame)
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := DecodeInput(b)
		if err != nil {
			return
		}
		recs := readAll(t, in)
		_, again := encode(t, recs)
		in, err = DecodeInput(again)
		if err != nil {
			t.Fatalf("encoded again: %v", err)
		}
		if got := readAll(t, in); !reflect.DeepEqual(got, recs) {
			t.Fatalf("got %+v, want %+v", got, recs)
		}
	})
}

func readAll(t *testing.T, in Input) []Record {
	recs := make([]Record, in.Len())
	texts := in.Texts()
	for i := range recs {
		var r Record
		block := in.Read(i, &texts, &r)
		r.Data = bytes.Clone(r.Data)
		var err error
		if r.Attrs, err = DecodeAttrs(nil, block); err != nil {
			t.Fatalf("record %d was accepted, and then: %v", i, err)
		}
		recs[i] = r
	}
	return recs
}

// FuzzRoundTrip carries arbitrary fields through both frames and compares them with what went in.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("data"), "key", "name", "value", uint8(0))
	f.Add([]byte{}, "", "", "", uint8(0xff))
	f.Fuzz(func(t *testing.T, data []byte, key, name, value string, keep uint8) {
		attrs := []Attr{{name, value}}
		rec := Record{Seq: 9, Key: key, Data: data, Attrs: attrs}
		l := new(Layout)
		recs := []Record{{Data: []byte("before")}, rec}
		if err := l.Plan(recs); err != nil {
			if len(name) < 1<<16 {
				t.Fatal(err)
			}
			return
		}
		frame := make([]byte, l.Size())
		l.EncodeInput(frame, 1, recs)
		in, err := DecodeInput(frame)
		if err != nil {
			t.Fatal(err)
		}
		var w OutputWriter
		w.Reset(&in)
		w.Result(Dropped, 0)
		w.Out(&NewOut{Data: data, KeepData: keep&1 != 0, Key: key, KeepKey: keep&2 != 0, Attrs: attrs, KeepAttrs: keep&4 != 0, Partition: attrs})
		w.Result(OK, 0)
		o, err := l.Decode(w.Finish())
		if err != nil {
			t.Fatal(err)
		}
		out := o.Out(0)
		bytesOf := func(f Field) []byte {
			switch f.Source {
			case InData:
				return data[f.Off:][:f.Len]
			case InKey:
				return []byte(key[f.Off:][:f.Len])
			}
			return o.Bytes(f)
		}
		gotData, gotKey := bytesOf(out.Data), bytesOf(out.Key)
		part, err := DecodeAttrs(nil, string(o.Bytes(out.Partition)))
		if err != nil || !bytes.Equal(gotData, data) || string(gotKey) != key || !reflect.DeepEqual(part, attrs) {
			t.Fatalf("data %q, key %q, partition %v, %v", gotData, gotKey, part, err)
		}
	})
}
