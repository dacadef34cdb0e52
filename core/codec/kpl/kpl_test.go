package kpl

import (
	"bytes"
	"crypto/md5"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// frame aggregates a message as the library does.
func frame(message []byte) []byte {
	sum := md5.Sum(message)
	return append(append([]byte(magic), message...), sum[:]...)
}

func text(dst []byte, number protowire.Number, p string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, number, protowire.BytesType), p)
}

func number(dst []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

// member is a record of an aggregated one; hash -1 is none.
func member(dst []byte, key uint64, hash int, data string) []byte {
	p := number(nil, 1, key)
	if hash >= 0 {
		p = number(p, 2, uint64(hash))
	}
	return text(dst, 3, string(text(p, 3, data)))
}

func sample() []byte {
	m := text(text(text(nil, 1, "a"), 1, "key é"), 2, "17")
	m = member(member(member(m, 1, -1, "first"), 0, 0, ""), 1, -1, "third")
	return m
}

func TestAggregatedRecordsAreTakenApart(t *testing.T) {
	before := []Record{{Key: "there before"}}
	got, ok := Decode(before, frame(sample()))
	want := []Record{{Key: "there before"}, {Key: "key é", Data: []byte("first")}, {Key: "a", ExplicitHashKey: "17", Data: []byte{}}, {Key: "key é", Data: []byte("third")}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v %+v", ok, got)
	}
}

func TestFieldsOfLaterVersionsArePassedOver(t *testing.T) {
	m := number(sample(), 9, 5)
	tagged := text(text(number(nil, 1, 0), 3, "x"), 4, "a tag")
	if got, ok := Decode(nil, frame(text(m, 3, string(tagged)))); !ok || len(got) != 4 || string(got[3].Data) != "x" {
		t.Errorf("got %v %+v", ok, got)
	}
}

func TestWhatIsNotAggregatedIsLeftAlone(t *testing.T) {
	good := frame(sample())
	for at := range good { // any flipped bit breaks the magic number or the sum
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if _, ok := Decode(nil, bad); ok {
			t.Errorf("a flipped bit at %d was not noticed", at)
		}
	}
	keys := text(nil, 1, "a")
	for name, message := range map[string][]byte{
		"no key":                     text(keys, 3, string(text(nil, 3, "x"))),
		"no data":                    text(keys, 3, string(number(nil, 1, 0))),
		"a key that is not there":    member(keys, 1, -1, "x"),
		"a hash key that is not":     member(keys, 0, 0, "x"),
		"a key that is no number":    text(keys, 3, string(text(text(nil, 1, "0"), 3, "x"))),
		"a record that is no text":   number(keys, 3, 1),
		"a record that is cut":       keys[:len(keys)-1],
		"a field without its number": {0x02, 0x01},
	} {
		before := []Record{{Key: "there before"}}
		if got, ok := Decode(before, frame(message)); ok || len(got) != 1 {
			t.Errorf("%s: got %v %+v", name, ok, got)
		}
	}
	for _, short := range []string{"", magic, magic + "0123456789abcde", "text"} {
		if _, ok := Decode(nil, []byte(short)); ok {
			t.Errorf("%q was taken apart", short)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample())
	f.Add(number(sample(), 9, 5))
	f.Fuzz(func(t *testing.T, message []byte) {
		records, ok := Decode(nil, frame(message))
		if !ok && records != nil {
			t.Fatal("records of what is not aggregated")
		}
		total := 0
		for _, r := range records {
			total += len(r.Data)
		}
		if total > len(message) {
			t.Fatalf("%d bytes of data in a message of %d", total, len(message))
		}
	})
}
