package leat

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/transforms/wasm/abi"
)

// fresh makes the package as it is before init, so that each test registers its own transform.
func fresh(t testing.TB) {
	self = guest{}
	t.Cleanup(func() { self = guest{} })
}

func records(data ...string) []Record {
	recs := make([]Record, len(data))
	for i, d := range data {
		recs[i] = Record{Data: []byte(d), Key: "key", Seq: uint64(i + 1), Attrs: []Attr{{Name: "n", Value: d}}}
	}
	return recs
}

func TestEveryKindOfResult(t *testing.T) {
	fresh(t)
	buf := []byte{}
	Each(func(r Record) Result {
		switch string(r.Data) {
		case "keep":
			return Keep()
		case "route":
			return Keep().WithPartition("a", "1").WithPartition("b", "2").WithKey("new")
		case "data":
			buf = append(buf[:0], "changed "...) // used again for every record
			return Data(append(buf, r.Key...))
		case "emit":
			return Emit(Out{Data: []byte("one")}, Out{Data: []byte("two"), Key: "k2", Attrs: []Attr{}, Partition: []Attr{{Name: "p", Value: "v"}}})
		case "emit nothing":
			return Emit()
		case "drop":
			return Drop()
		case "long name":
			return Emit(Out{Data: []byte("good")}, Out{Partition: []Attr{{Name: strings.Repeat("n", 1<<16)}}})
		case "panic":
			panic(errors.New("an error"))
		}
		return Fail("test.unknown", "what is "+string(r.Data)+"?")
	})
	got, err := Test(nil, records("keep", "route", "data", "emit", "emit nothing", "drop", "long name", "panic", "data", "else")...)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, g := range got {
		fmt.Fprintf(&b, "%s|%s", g.Code, g.Reason)
		for _, o := range g.Outs {
			fmt.Fprintf(&b, " %s/%s/%v/%v", o.Data, o.Key, o.Attrs, o.Partition)
		}
		b.WriteByte('\n')
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{
		"| keep/key/[{n keep}]/[]",
		"| route/new/[{n route}]/[{a 1} {b 2}]",
		"| changed key/key/[{n data}]/[]",
		"| one/key/[{n emit}]/[] two/k2/[]/[{p v}]",
		"|", "|",
		"transform.bad_result|attributes or partition keys are too many, or a name is longer than 65,535 bytes",
		"transform.panic|panic: an error",
		"| changed key/key/[{n data}]/[]",
		"test.unknown|what is else?",
	} {
		if i == 7 { // where it happened follows
			lines[i], _, _ = strings.Cut(lines[i], " (in ")
		}
		if lines[i] != want {
			t.Errorf("record %d: got %q, want %q", i, lines[i], want)
		}
	}
}

func TestWhatATransformKeepsStaysValid(t *testing.T) {
	fresh(t)
	var keys []string
	Each(func(r Record) Result {
		keys = append(keys, r.Key, r.Attrs[0].Value)
		return Keep()
	})
	for _, d := range []string{"first", "other"} {
		recs := records(d)
		recs[0].Key = "key of " + d
		if _, err := Test(nil, recs...); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(keys, ","); got != "key of first,first,key of other,other" {
		t.Error(got)
	}
}

func TestABatchFunctionAnswersForAll(t *testing.T) {
	fresh(t)
	Batch(func(recs []Record) []Result {
		results := make([]Result, len(recs))
		for i, r := range recs {
			results[i] = Data(bytes.ToUpper(r.Data))
			if r.Attrs[0].Value != string(r.Data) {
				results[i] = Fail("test.attrs", r.Attrs[0].Value)
			}
		}
		return results
	})
	got, err := Test(nil, records("a", "b", "c")...)
	if err != nil || string(got[0].Outs[0].Data)+string(got[2].Outs[0].Data) != "AC" {
		t.Errorf("%+v, %v", got, err)
	}
}

type settings struct {
	Size  int `json:"size"`
	ready bool
}

func (s *settings) Validate() error {
	if s.Size < 0 {
		return errors.New("size must not be negative")
	}
	s.ready = true
	return nil
}

func TestConfigIsDecodedAndValidated(t *testing.T) {
	fresh(t)
	var s settings
	Config(&s)
	Each(func(Record) Result { return Keep() })
	if _, err := Test(map[string]int{"size": 3}); err != nil || s.Size != 3 || !s.ready {
		t.Errorf("%+v, %v", s, err)
	}
	for config, want := range map[any]string{
		"text":                         "cannot unmarshal",
		settings{Size: -1}:             "must not be negative",
		struct{ Colour string }{"red"}: "unknown field",
	} {
		if _, err := Test(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", config, err)
		}
	}
	s = settings{}
	if _, err := Test(nil); err != nil { // no config: Validate decides
		t.Error(err)
	}
}

func TestMistakesOfAModuleAreNamed(t *testing.T) {
	fresh(t)
	if _, err := Test(nil); err == nil || !strings.Contains(err.Error(), "call leat.Each") {
		t.Errorf("nothing registered: %v", err)
	}
	Each(func(Record) Result { return Keep() })
	if _, err := Test(1); err == nil || !strings.Contains(err.Error(), "takes no config") {
		t.Errorf("config without Config: %v", err)
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "called twice") {
			t.Errorf("registered twice: %v", p)
		}
	}()
	Batch(func([]Record) []Result { return nil })
}

func TestTheSteadyPathAllocatesLittle(t *testing.T) {
	fresh(t)
	Each(func(r Record) Result { return Data(r.Data).WithPartition("p", "v") })
	recs := make([]Record, 500)
	for i := range recs {
		recs[i] = Record{Data: make([]byte, 100), Key: "a key"}
	}
	in := make([]abi.Record, len(recs))
	for i, r := range recs {
		in[i] = abi.Record{Data: r.Data, Key: r.Key}
	}
	var layout abi.Layout
	if err := layout.Plan(in); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, layout.Size())
	layout.EncodeInput(frame, 1, in)
	if err := self.setUp([]byte(`{"config":null,`)); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() {
		if _, err := self.process(frame); err != nil {
			t.Fatal(err)
		}
	}); n > 2 { // the keys in one piece, and the buffer now and then
		t.Errorf("%v allocations for 500 records", n)
	}
}
