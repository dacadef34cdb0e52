package abi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden frames anew")

var sample = []Record{
	{Seq: 1, Arrived: 1_700_000_000_000_000_000, Shard: 3, Key: "key-1", Data: []byte("one")},
	{Seq: 2, Arrived: -5, Shard: 3, Sub: 7, Data: []byte("the second"), Attrs: []Attr{{"a", "1"}, {"", ""}, {"long name", "ü"}}},
	{Seq: 1<<64 - 1, Key: "k", Data: []byte{}},
}

func encode(t testing.TB, recs []Record) (*Layout, []byte) {
	t.Helper()
	l := new(Layout)
	if err := l.Plan(recs); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, l.Size())
	l.EncodeInput(frame, 42, recs)
	return l, frame
}

// answer is what a guest makes of sample: it changes the first record, splits the second and fails the third.
func answer(t testing.TB, frame []byte) []byte {
	t.Helper()
	in, err := DecodeInput(frame)
	if err != nil {
		t.Fatal(err)
	}
	var w OutputWriter
	w.Reset(&in)
	w.Out(&NewOut{Data: []byte("ONE"), KeepKey: true, KeepAttrs: true, Partition: []Attr{{"state", "Ohio"}}})
	w.Result(OK, 0)
	w.Out(&NewOut{KeepData: true, Key: "other", Attrs: []Attr{{"n", "1"}}})
	w.Out(&NewOut{})
	w.Result(OK, 1)
	w.Out(&NewOut{Data: []byte("taken back")})
	w.Fail(4, 3, "test.third", "the third record is never any good")
	return w.Finish()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name + ".hex"
	if *update {
		if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if hex.Dump(got) != string(want) {
		t.Errorf("%s differs from its golden file, so existing guests break:\n%s", name, hex.Dump(got))
	}
}

func TestFramesAreAsTheGoldenFilesSay(t *testing.T) {
	_, frame := encode(t, sample)
	golden(t, "input", frame)
	golden(t, "output", answer(t, frame))
}

func TestInputRoundTrip(t *testing.T) {
	_, frame := encode(t, sample)
	in, err := DecodeInput(frame)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, in); !reflect.DeepEqual(got, sample) {
		t.Errorf("got %+v, want %+v", got, sample)
	}
}

func TestOutputRoundTrip(t *testing.T) {
	l, frame := encode(t, sample)
	o, err := l.Decode(answer(t, frame))
	if err != nil {
		t.Fatal(err)
	}
	if o.Len() != 3 || o.Outs() != 3 {
		t.Fatalf("%d results, %d outs", o.Len(), o.Outs())
	}
	first, second := o.Out(0), o.Out(1)
	if string(o.Bytes(first.Data)) != "ONE" || first.Key != (Field{InKey, 0, 5}) || first.Attrs.Source != InAttrs {
		t.Errorf("first out: %+v", first)
	}
	if part, err := DecodeAttrs(nil, string(o.Bytes(first.Partition))); err != nil || part[0] != (Attr{"state", "Ohio"}) {
		t.Errorf("partition keys: %v, %v", part, err)
	}
	if second.Data != (Field{InData, 0, 10}) || string(o.Bytes(second.Key)) != "other" || second.Parent != 1 {
		t.Errorf("second out: %+v", second)
	}
	if r := o.Result(1); r.Status != OK || r.First != 1 || r.N != 2 {
		t.Errorf("second result: %+v", r)
	}
	if r := o.Result(2); r.Status != Failed {
		t.Errorf("third result: %+v", r)
	}
	if class, code, reason := o.Failure(2); class != 4 || string(code) != "test.third" || !strings.HasPrefix(string(reason), "the third") {
		t.Errorf("third result: class %d, code %s, reason %s", class, code, reason)
	}
}

func TestDecodeNamesWhatIsWrongWithAnOutput(t *testing.T) {
	l, frame := encode(t, sample)
	good := answer(t, frame)
	results, outs := int(le.Uint32(good[16:])), int(le.Uint32(good[20:]))
	put16 := func(at int, v uint16) func([]byte) { return func(b []byte) { le.PutUint16(b[at:], v) } }
	put32 := func(at int, v uint32) func([]byte) { return func(b []byte) { le.PutUint32(b[at:], v) } }
	cases := []struct {
		name   string
		break_ func([]byte)
		want   string
	}{
		{"magic", put32(0, 0), "magic"},
		{"version", put16(4, 2), "version 2"},
		{"header length", put16(6, 24), "its length is 24"},
		{"count", put32(8, 2), "2 results for 3 records"},
		{"count that wraps", put32(8, 0x0aaaaaab), "results for 3"},
		{"results past the end", put32(16, 0xfffffff8), "results lie at"},
		{"results in the header", put32(16, 8), "results lie at"},
		{"results unaligned", put32(16, uint32(results+4)), "results lie at"},
		{"outs count that wraps", put32(12, 0x05555556), "outs lie at"},
		{"outs past the end", put32(20, 0xfffffff8), "outs lie at"},
		{"tables overlap", put32(20, uint32(results)), "overlap"},
		{"status", func(b []byte) { b[results] = 4 }, "result 0: status 4"},
		{"class", func(b []byte) { b[results+1] = 5 }, "result 0: class 5"},
		{"result flags", put16(results+2, 1), "result 0: flags 1"},
		{"ok without outs", put32(results+8, 0), "result 0: it is ok and names no out"},
		{"first that wraps", put32(results+4, 0xffffffff), "result 0: it names outs 4294967295 to 4294967296"},
		{"dropped with outs", func(b []byte) { b[results] = 2 }, "result 0: it is not ok and names outs"},
		{"an out of another record", put32(outs+4, 1), "out 0: its parent is 1"},
		{"an out nobody names", func(b []byte) { b[results+24] = 2; le.PutUint32(b[results+24+8:], 0) }, "name 1 of 3 outs"},
		{"out flags", put32(outs, 8), "out 0: flags 8"},
		{"reserved", put32(outs+44, 1), "out 0: it sets a reserved field"},
		{"data wraps", put32(outs+12, 0xffffffff), "out 0: its data lies outside"},
		{"data in the header", put32(outs+8, 4), "out 0: its data lies outside"},
		{"data in the results", put32(outs+8, uint32(results)), "out 0: its data lies outside"},
		{"data in the outs", put32(outs+8, uint32(outs)), "out 0: its data lies outside"},
		{"key of another record", put32(outs+16, l.Spans[2].Key), "out 0: its key does not lie in its record"},
		{"input data too long", put32(outs+48+12, 11), "out 1: its data does not lie in its record"},
		{"input data that is another's", put32(outs+48+8, l.Spans[0].Data), "out 1: its data does not lie in its record"},
		{"part of the input attrs", put32(outs+24, l.Spans[0].Attrs+1), "out 0: its attrs does not lie"},
		{"partition block", put32(outs+36, 5), "out 0: its partition: attribute block"},
		{"reason past the end", put32(results+48+20, uint32(len(good))), "result 2: its code or reason"},
	}
	for _, c := range cases {
		bad := bytes.Clone(good)
		c.break_(bad)
		_, err := l.Decode(bad)
		var frameErr *FrameError
		if !errors.As(err, &frameErr) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	for n := range good {
		if _, err := l.Decode(good[:n]); err == nil {
			t.Errorf("a frame cut to %d bytes of %d was accepted", n, len(good))
		}
	}
}

func TestAFieldWithoutBytesLiesAnywhere(t *testing.T) {
	l, frame := encode(t, sample)
	good := answer(t, frame)
	out := int(le.Uint32(good[20:])) + OutSize // the second, with nothing in the INPUT frame but its data
	for _, field := range []int{16, 24, 32} {
		le.PutUint32(good[out+field:], 0xfffffff0)
		le.PutUint32(good[out+field+4:], 0)
	}
	o, err := l.Decode(good)
	if err != nil {
		t.Fatal(err)
	}
	if f := o.Out(1); len(o.Bytes(f.Key)) != 0 || len(o.Bytes(f.Attrs)) != 0 || len(o.Bytes(f.Partition)) != 0 {
		t.Errorf("%+v", f)
	}
}

func TestPlanRefusesAttributesThatCannotBeEncoded(t *testing.T) {
	var l Layout
	if err := l.Plan([]Record{{}, {Attrs: []Attr{{strings.Repeat("n", 1<<16), ""}}}}); err == nil || !strings.Contains(err.Error(), "record 1") {
		t.Errorf("a name of 64 KiB: %v", err)
	}
	if err := l.Plan([]Record{{Attrs: make([]Attr, MaxAttrs+1)}}); err == nil {
		t.Error("65,536 attributes were accepted")
	}
}

func TestFailTakesOutputsBack(t *testing.T) {
	l, frame := encode(t, sample[:2])
	in, _ := DecodeInput(frame)
	var w OutputWriter
	w.Reset(&in)
	w.Out(&NewOut{Data: []byte("half"), KeepKey: true})
	w.Fail(4, 0, "c", "r")
	w.Result(Unchanged, 0)
	if o, err := l.Decode(w.Finish()); err != nil || o.Outs() != 0 {
		t.Errorf("%d outs, %v", o.Outs(), err)
	}
}

// steady runs one crossing as host and guest do it.
func steady(l *Layout, frame []byte, recs []Record, in *Input, w *OutputWriter) error {
	if err := l.Plan(recs); err != nil {
		return err
	}
	l.EncodeInput(frame, 1, recs)
	var err error
	if *in, err = DecodeInput(frame); err != nil {
		return err
	}
	w.Reset(in)
	for i := range in.Len() {
		first := w.Outs()
		w.Out(&NewOut{Data: recs[i].Data, KeepKey: true, KeepAttrs: true})
		w.Result(OK, first)
	}
	o, err := l.Decode(w.Finish())
	if err != nil {
		return err
	}
	for i := range o.Len() {
		if out := o.Out(o.Result(i).First); len(o.Bytes(out.Data)) != len(recs[i].Data) {
			return errors.New("a record changed on the way")
		}
	}
	return nil
}

func TestSteadyPathDoesNotAllocate(t *testing.T) {
	l, frame := encode(t, sample)
	var in Input
	var w OutputWriter
	if n := testing.AllocsPerRun(100, func() {
		if err := steady(l, frame, sample, &in, &w); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkCodec500x1KiB(b *testing.B) {
	recs := make([]Record, 500)
	for i := range recs {
		recs[i] = Record{Seq: uint64(i), Key: "some-key", Data: make([]byte, 1024)}
	}
	l, frame := encode(b, recs)
	var in Input
	var w OutputWriter
	b.SetBytes(500 * 1024)
	b.ReportAllocs()
	for b.Loop() {
		if err := steady(l, frame, recs, &in, &w); err != nil {
			b.Fatal(err)
		}
	}
}
