package view

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/record"
)

func text(lines []Line) string {
	w := Writer{}
	w.Lines(lines)
	return string(w.Bytes())
}

func TestDataIsShownForPeople(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 100) + `","b":[1]}`
	for _, test := range []struct{ data, want string }{
		{`{"a": 1}`, "  {\"a\": 1}\n"},
		{long, "  {\n    \"a\": \"" + strings.Repeat("x", 100) + "\",\n    \"b\": [\n      1\n    ]\n  }\n"},
		{"one\ntwo\n", "  one\n  two\n"},
		{"", "  \n"},
		{"\x1f\x8b\x08\x00", "  binary, 4B: 1f8b0800\n"},
		{strings.Repeat("\x00", 2000), "  binary, 1.95KiB: " + strings.Repeat("00", 32) + "…\n"},
		{strings.Repeat("l\n", 50), strings.Repeat("  l\n", 40) + "  … (100B in all)\n"},
		{strings.Repeat("x", 10_000), "  " + strings.Repeat("x", 8192) + "\n  … (9.77KiB in all)\n"},
	} {
		if got := text(Data([]byte(test.data))); got != test.want {
			t.Errorf("%.40q:\n got %q\nwant %q", test.data, got, test.want)
		}
	}
}

// Nothing that comes from a record moves the cursor, changes colours or turns the text around.
func TestATerminalIsNotAtTheMercyOfRecords(t *testing.T) {
	hostile := "a\x1b[2Jb\u009b31mc\u202ed\x7f\r"
	w := Writer{Color: true}
	w.Head(hostile)
	w.Note(hostile)
	w.Verdict(hostile)
	w.Lines(Data([]byte(hostile)))
	w.Lines(Diff([]byte(hostile), []byte(hostile+"!")))
	w.Lines(Diff([]byte(`{"`+"\u009b"+`":1}`), []byte(`{"`+"\u009b"+`":"`+"\u009b"+`"}`)))
	for _, style := range []string{bold, dim, red, green, yellow, reset} {
		shown := strings.ReplaceAll(w.b.String(), style, "")
		w.b.Reset()
		w.b.WriteString(shown)
	}
	for _, r := range w.b.String() {
		if unprintable(r) && r != '\n' {
			t.Fatalf("%U is in %q", r, w.b.String())
		}
	}
	if !strings.Contains(w.b.String(), `a\x1b[2Jb\x9b31mc\u202ed\x7f\x0d`) {
		t.Errorf("got %q", w.b.String())
	}
}

func TestDifferencesOfJSONAreThoseOfFields(t *testing.T) {
	for _, test := range []struct{ was, is, want string }{
		{`{"a":1,"b":{"c":[1,2,3]},"d":"x","e":null}`, `{"a":1.0,"b":{"c":[1,5]},"d":["x"],"f g":{"h":1}}`,
			"  ~ .b.c[1]: 2 -> 5\n  - .b.c[2]: 3\n  ~ .d: \"x\" -> [\"x\"]\n  - .e: null\n  + .[\"f g\"]: {\"h\":1}\n"},
		{`{"a":1}`, `{ "a": 1.0 }`, ""},
		{`[1]`, `{"a":1}`, "  ~ .: [1] -> {\"a\":1}\n"},
		{`9007199254740993`, `9007199254740992`, "  - 9007199254740993\n  + 9007199254740992\n"},
		{`a,b`, `{"a":"b"}`, "  - a,b\n  + {\"a\":\"b\"}\n"},
		{"one\ntwo\nthree\n", "one\n2\nthree\nfour\n", "    one\n  - two\n  + 2\n    three\n  + four\n"},
		{"\x00", "text", "  - binary, 1B: 00\n  + text\n"},
		{"same", "same", ""},
		{"x", "x\n", "  ~ what is shown of it is the same (1B before, 2B now)\n"},
		{`{"a":"` + strings.Repeat("x", 300) + `1"}`, `{"a":"` + strings.Repeat("x", 300) + `2"}`,
			"  ~ .a: \"" + strings.Repeat("x", 199) + "… -> \"" + strings.Repeat("x", 199) + "…\n"},
	} {
		if got := text(Diff([]byte(test.was), []byte(test.is))); got != test.want {
			t.Errorf("%s -> %s:\n got %q\nwant %q", test.was, test.is, got, test.want)
		}
	}
	var was, is []string
	for range 100 {
		was, is = append(was, "1"), append(is, "2")
	}
	if got := Diff([]byte("["+strings.Join(was, ",")+"]"), []byte("["+strings.Join(is, ",")+"]")); len(got) != maxChanges+1 || got[maxChanges].Text != "… and 40 more" {
		t.Errorf("%d lines, the last is %q", len(got), got[len(got)-1].Text)
	}
}

// Whatever two records hold, their difference is short, printable, and empty exactly if they are the same bytes or the same JSON.
func FuzzDiff(f *testing.F) {
	for _, pair := range [][2]string{
		{`{"a":1,"b":[1,2,{"c":null}]}`, `{"a":1.0,"b":[1,{"c":"x"}],"d":{}}`}, {"one\ntwo", "two\nthree"}, {"\x00\xff", "text"}, {"", "{}"}, {`[1]`, `{"0":1}`}, {`"a\u009b"`, `1e400`},
	} {
		f.Add([]byte(pair[0]), []byte(pair[1]))
	}
	f.Fuzz(func(t *testing.T, was, is []byte) {
		lines := Diff(was, is)
		if len(lines) > 2*maxLines+maxChanges+4 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range append(lines, Data(is)...) {
			if strings.ContainsFunc(l.Text, unprintable) {
				t.Fatalf("%q is no line for a terminal", l.Text)
			}
		}
		if same := bytes.Equal(was, is); same && len(lines) > 0 {
			t.Fatalf("equal data differs: %q", lines)
		} else if !same && !codec.JSONEqual(was, is) && len(lines) == 0 {
			t.Fatalf("%q and %q do not differ", was, is)
		}
		p := Payload{Key: "k", Data: is}
		b, err := marshal(&p)
		if err != nil {
			t.Fatal(err)
		}
		var back Payload
		if err := json.Unmarshal(b, &back); err != nil || !back.Equal(&p) {
			t.Fatalf("%s became %+v (%v)", b, back, err)
		}
	})
}

func TestPayloadsSurviveJSON(t *testing.T) {
	for _, p := range []Payload{
		{Key: "k", Data: []byte(`{"a":"<&>"}`)},
		{Data: []byte{0xff, 0}},
		{Data: []byte{}, Partition: record.Attrs{{Name: "b", Value: "1"}, {Name: "a", Value: "<"}}, Attrs: record.Attrs{{Name: "x", Value: "y"}}},
	} {
		b, err := marshal(&p)
		if err != nil {
			t.Fatal(err)
		}
		var got Payload
		if err := json.Unmarshal(b, &got); err != nil || !got.Equal(&p) {
			t.Errorf("%s became %+v (%v)", b, got, err)
		}
		if strings.Contains(string(b), `\u003c`) {
			t.Errorf("< is escaped: %s", b)
		}
	}
	for n, want := range map[int]string{0: "0 records", 1: "1 record", 999: "999 records", 1000: "1,000 records", 1234567: "1,234,567 records"} {
		if got := Count(n, "record"); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
