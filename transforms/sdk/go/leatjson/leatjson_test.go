package leatjson

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
)

func TestEditsLeaveAllOtherBytesAsTheyAre(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		edit           func(a, b, inner Field)
	}{
		{"set", `{ "a" : 1.50 , "b":"x" }`, `{ "a" : "new" , "b":"x" }`, func(a, b, inner Field) { a.SetString("new") }},
		{"set what is missing", `{ "b" : [1, 2]
}`, `{ "b" : [1, 2],"a":true
}`, func(a, b, inner Field) { a.SetBool(true) }},
		{"set in an empty object", `{ }`, `{"a":null }`, func(a, b, inner Field) { a.SetNull() }},
		{"make the objects on the way", `{"b":1}`, `{"b":1,"a":{"x":{"y":7}}}`, func(a, b, inner Field) { inner.SetInt(7) }},
		{"make an object of null", `{"a":null}`, `{"a":{"x":{"y":0.5}}}`, func(a, b, inner Field) { inner.SetFloat(0.5) }},
		{"add to an object in an object", `{"a":{"x":{"z":1}}}`, `{"a":{"x":{"z":1,"y":"\""}}}`, func(a, b, inner Field) { inner.SetText([]byte(`"`)) }},
		{"delete the first", `{ "a":1, "b":2 }`, `{ "b":2 }`, func(a, b, inner Field) { a.Delete() }},
		{"delete the last", `{ "b":2 , "a":1 }`, `{ "b":2  }`, func(a, b, inner Field) { a.Delete() }},
		{"delete in the middle", `{"x":0, "a":1, "b":2}`, `{"x":0, "b":2}`, func(a, b, inner Field) { a.Delete() }},
		{"delete the only one", `{ "a":1 }`, `{  }`, func(a, b, inner Field) { a.Delete() }},
		{"delete both", `{"a":1,"b":2}`, `{}`, func(a, b, inner Field) { a.Delete(); b.Delete() }},
		{"delete all and add", `{"b":2}`, `{"a":1}`, func(a, b, inner Field) { b.Delete(); a.SetInt(1) }},
		{"delete what came more than once", `{"a":1,"b":2,"a":{"x":3}}`, `{"b":2}`, func(a, b, inner Field) { a.Delete() }},
		{"set what came more than once", `{"\u0061":1,"b":2,"a":3}`, `{"b":2,"a":4}`, func(a, b, inner Field) { a.SetInt(4) }},
		{"edit within what came more than once", `{"a":{"x":{"y":"secret"}},"a":{"x":{"y":"secret"}}}`, `{"a":{"x":{}}}`, func(a, b, inner Field) { inner.Delete() }},
		{"delete what is there only in what came before", `{"a":{"x":{"y":"secret"}},"b":1,"a":{}}`, `{"b":1,"a":{}}`, func(a, b, inner Field) { inner.Delete() }},
		{"rename", `{"\u0061" : 1}`, `{"né\"w" : 1}`, func(a, b, inner Field) { a.Rename(`né"w`) }},
		{"rename and set", `{"a":1}`, `{"c":2}`, func(a, b, inner Field) { a.Rename("c"); a.SetInt(2) }},
		{"rename over another", `{"c":0,"a":1,"c":2}`, `{"a":1}`, func(a, b, inner Field) { a.Rename("c"); a.Rename("a") }},
		{"rename over one that is no field", `{"c":0,"a":1,"c":2}`, `{"c":1}`, func(a, b, inner Field) { a.Rename("c") }},
		{"rename over a field", `{"b":{"k":1},"a":1}`, `{"b":1}`, func(a, b, inner Field) { a.Rename("b") }},
		{"swap", `{"a":1,"b":2}`, `{"b":1,"a":2}`, func(a, b, inner Field) { a.Rename("b"); b.Rename("a") }},
		{"copy", `{"a":[1, 2],"b":0}`, `{"a":[1, 2],"b":[1, 2]}`, func(a, b, inner Field) { b.SetValue(a.Value()) }},
		{"copy what is missing", `{"b":0}`, `{}`, func(a, b, inner Field) { b.SetValue(a.Value()) }},
		{"set and delete what is missing", `{"b":0}`, `{"b":0}`, func(a, b, inner Field) { a.SetInt(1); a.Delete() }},
		{"long numbers", `{"b":123456789012345678901234567890.10,"a":1}`, `{"b":123456789012345678901234567890.10}`, func(a, b, inner Field) { a.Delete() }},
	} {
		var doc Doc
		a, b, inner := doc.Field("a"), doc.Field("b"), doc.Field("a", "x", "y")
		if err := doc.Parse([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		c.edit(a, b, inner)
		if c.name == "rename over another" { // and back: nothing is to do
			c.want = c.in
		}
		got, err := doc.Patched()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestEditsThatContradictTheDocumentFail(t *testing.T) {
	var doc Doc
	a, b, c, inner := doc.Field("a"), doc.Field("b"), doc.Field("c"), doc.Field("a", "x", "y")
	for _, try := range []struct {
		in, want string
		edit     func()
	}{
		{`{"a":[{}]}`, "a is an array, and nothing can be set in it", func() { inner.SetInt(1) }},
		{`{"a":{"x":"text"}}`, "a.x is a string, and nothing can be set in it", func() { inner.SetInt(1) }},
		{`7`, "the document is a number", func() { a.SetInt(1) }},
		{`{"a":1,"b":2}`, "two fields of the document are renamed to n", func() { a.Rename("n"); b.Rename("n") }},
	} {
		if err := doc.Parse([]byte(try.in)); err != nil {
			t.Fatal(err)
		}
		try.edit()
		if out, err := doc.Patched(); err == nil || !strings.Contains(err.Error(), try.want) || out != nil {
			t.Errorf("%s: got %s, %v", try.in, out, err)
		}
	}
	if err := doc.Parse([]byte(`{"c":1`)); err == nil {
		t.Fatal("a document without an end")
	}
	if out, err := doc.Patched(); err == nil {
		t.Errorf("a document that is none became %q", out)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a field of a document that is none was set")
			}
		}()
		c.SetInt(1)
	}()
}

func TestFaultsHaveAPlace(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth)
	for in, want := range map[string]string{
		``:                         "at byte 0: it ends too early: there should be a value",
		`{"a":1`:                   "at byte 6: it ends too early: there should be a comma or an end",
		`{"a":1}}`:                 "at byte 7: there should be a comma or an end",
		`{"a":1},`:                 "at byte 7: something follows the value",
		`{"a" 1}`:                  "at byte 5: there should be a colon",
		`{a:1}`:                    "at byte 1: there should be a key or the end of an object",
		`{"a":1,}`:                 "at byte 7: there should be a key",
		`[1,]`:                     "at byte 3: there should be a value",
		`[01]`:                     "at byte 2: there should be a comma or an end",
		`[1.]`:                     "at byte 3: there should be a digit",
		`[-]`:                      "at byte 2: there should be a digit",
		`["\x"]`:                   "at byte 2: there should be text without control characters and bad escapes",
		"[\"a\nb\"]":               "at byte 3: there should be text without",
		`["\u12g4"]`:               "at byte 2: there should be text without",
		`["abc`:                    "at byte 5: it ends too early",
		"{\"a\":1}\x00":            "at byte 7",
		`tru`:                      "at byte 0",
		deep + "[":                 "at byte 1000: objects and arrays are nested too deeply",
		deep + "1":                 "at byte 1001: it ends too early",
		"{\"a\":1,\"\x00\":\"b\"}": "at byte 8",
	} {
		var doc Doc
		if err := doc.Parse([]byte(in)); err == nil || !strings.Contains(err.Error(), "not JSON: "+want) {
			t.Errorf("%.20q: got %v, want %s", in, err, want)
		}
	}
	if in := deep + strings.Repeat("]", MaxDepth); !Valid([]byte(in)) {
		t.Error("as deep as may be is too deep")
	}
}

// TestEveryPrefixOfADocumentIsRefused is about records that were cut off.
func TestEveryPrefixOfADocumentIsRefused(t *testing.T) {
	for n := range len(benchEvent) {
		if Valid([]byte(benchEvent[:n])) {
			t.Fatalf("the first %d bytes are a document: %s", n, benchEvent[:n])
		}
	}
}

func TestNothingIsAllocatedInSteadyState(t *testing.T) {
	var doc Doc
	level, email, path, count := doc.Field("level"), doc.Field("user", "email"), doc.Field("http", "path"), doc.Field("count")
	data := []byte(benchEvent)
	data = append(data[:len(data)-1], `,"\u0065scaped":"\ud83d\ude00","level":"w\u0061rn"}`...)
	raw := []byte(`[1,{"a":2}]`)
	whole := doc.Field()
	var w Writer
	if n := testing.AllocsPerRun(50, func() {
		if err := doc.Parse(data); err != nil {
			t.Fatal(err)
		}
		if text, ok := level.Text(); !ok || string(text) != "warn" || !level.Equal("warn") {
			t.Fatalf("level is %q", text)
		}
		email.SetString("redacted")
		path.Delete()
		level.Rename("severity")
		count.SetInt(7)
		if err := path.SetRaw(raw); err != nil {
			t.Fatal(err)
		}
		if _, err := doc.Patched(); err != nil {
			t.Fatal(err)
		}
		members := 0
		for range whole.Value().Members() {
			members++
		}
		w.Reset()
		w.Object().Str("name", "é\n").Int("n", int64(members)).Float("f", 1.5).Key("list").Array().IntValue(1).End().End()
	}); n > 0 {
		t.Errorf("%v allocations a document", n)
	}
}

func TestAWriterWritesWhatEncodingJSONReads(t *testing.T) {
	var w Writer
	for range 2 {
		w.Reset()
		w.Object().Str("s", "a\"\\\n\x01\xff€").Text("t", []byte("<b>")).Int("i", -5).Float("f", 1e-7).Float("nan", math.NaN()).Bool("b", true).Null("n").
			Raw("r", []byte(`{"x":[]}`)).Key("list").Array().StrValue("{").IntValue(1).Object().End().Array().End().BoolValue(false).FloatValue(2).End().
			Key("o").Object().Str("k", ":").End().End()
		want := `{"s":"a\"\\\n\u0001` + "\uFFFD€" + `","t":"<b>","i":-5,"f":1e-7,"nan":null,"b":true,"n":null,"r":{"x":[]},"list":["{",1,{},[],false,2],"o":{"k":":"}}`
		if got := string(w.Bytes()); got != want || !json.Valid(w.Bytes()) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestFloatsAndTextAreWrittenAsEncodingJSONReadsThem(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range testenv.Count(4_000, 60_000) {
		f := math.Float64frombits(r.Uint64())
		if want, err := json.Marshal(f); err == nil && string(AppendFloat(nil, f)) != string(want) {
			t.Fatalf("%v: got %s, want %s", f, AppendFloat(nil, f), want)
		}
		b := make([]byte, r.IntN(30))
		for i := range b {
			b[i] = "abcdefgh\"\\\n\x00\x1f\x7f\x80\xc3\xa9\xf0\x9f\x98\x80\xed\xa0\x80"[r.IntN(23)]
		}
		b = append(b, []string{"", "\u2028", "\u2029"}[r.IntN(3)]...)
		var got, want string
		quoted, err := json.Marshal(string(b))
		if err != nil || json.Unmarshal(quoted, &want) != nil || json.Unmarshal(AppendText(nil, b), &got) != nil || got != want || strings.ContainsAny(string(AppendText(nil, b)), "\n\u2028\u2029") {
			t.Fatalf("%q: %s reads %q, want %q", b, AppendText(nil, b), got, want)
		}
	}
}

func TestNumbersOfTextKeepTheirDigits(t *testing.T) {
	form := regexp.MustCompile(`^([+-]?)0*([0-9]+)((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)$`)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	taken := 0
	for range testenv.Count(20_000, 600_000) {
		text := make([]byte, r.IntN(24))
		for i := range text {
			text[i] = "0123456789000000.-+e"[r.IntN(20)]
		}
		m := form.FindSubmatch(text)
		for _, integer := range []bool{true, false} {
			want := ""
			if m != nil {
				want = strings.TrimPrefix(string(m[1]), "+") + string(m[2]) + string(m[3])
			}
			if _, err := strconv.ParseInt(want, 10, 64); err != nil && integer {
				want = ""
			}
			if _, err := strconv.ParseFloat(want, 64); err != nil {
				want = ""
			}
			got, ok := AppendNumber([]byte("["), text, integer)
			if ok != (want != "") || string(got) != "["+want || ok && !json.Valid(got[1:]) {
				t.Fatalf("%q, integer %v: got %s, %v, want %s", text, integer, got, ok, want)
			}
			if ok {
				taken++
			}
		}
	}
	if taken == 0 {
		t.Error("nothing was a number")
	}
}
