package jq

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/query"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/internal/testenv"
)

func one(t testing.TB, text string) *Partitioner {
	t.Helper()
	p, err := Compile([]Query{{"k", text}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func eval(p *Partitioner, data string) (string, string) {
	var attrs record.Attrs
	if err := p.Eval([]byte(data), &attrs); err != nil {
		return "", fault.CodeOf(err)
	}
	v, _ := attrs.Get("k")
	return v, ""
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ query, data, want, code string }{
		{".state", `{"state":"Ohio"}`, "Ohio", ""},
		{".state", ` { "x" : [1,{"state":2}] , "state" : "Ohio" } ` + "\n", "Ohio", ""},
		{".a.b", `{"a":{"b":true}}`, "true", ""},
		{`."x y"`, `{"x y":"z"}`, "z", ""},
		{`.["x"].b`, `{"x":{"b":"z"}}`, "z", ""},
		{".a[1]", `{"a":[1,2]}`, "2", ""},
		{".[0]", `["x"]`, "x", ""},
		{".a", `{"a":"\u00fc\n\ud83d\ude00"}`, "ü\n😀", ""},
		{".ü", `{"\u00fc":"x"}`, "", "compile"},
		{`."ü"`, `{"\u00fc":"x"}`, "x", ""},
		{".a", "{\"a\":\"\xff\"}", "\uFFFD", ""},
		{".a", `{"a":1,"a":2}`, "2", ""},
		{".a.b", `{"a":{"b":1},"a":{"c":2}}`, "", "partition.null"},
		{".a.b", `{"a":{"b":1},"a":null}`, "", "partition.null"},
		{".a", `{"a":1.0}`, "1", ""},
		{".a", `{"a":1e3}`, "1000", ""},
		{".a", `{"a":-0}`, "0", ""},
		{".a", `{"a":-0.0}`, "0", ""},
		{".a", `{"a":0.1e-9}`, "1e-10", ""},
		{".a", `{"a":12345678901234567890123}`, "12345678901234567890123", ""},
		{".a", `{"a":9007199254740993}`, "9007199254740993", ""},
		{".a", `{"a":1e999}`, "1.7976931348623157e+308", ""},
		{".a+0", `{"a":1.50}`, "1.5", ""},
		{".a", `{"a":null}`, "", "partition.null"},
		{".a", `{}`, "", "partition.null"},
		{".a", `null`, "", "partition.null"},
		{".a", `[]`, "", "partition.jq_failed"},
		{".a", `"x"`, "", "partition.jq_failed"},
		{".a", `{"a":{}}`, "", "partition.not_scalar"},
		{".a", `{"a":[1]}`, "", "partition.not_scalar"},
		{".a[0]", `{"a":{}}`, "", "partition.jq_failed"},
		{".a", ``, "", "partition.not_json"},
		{".a", `{"a":1`, "", "partition.not_json"},
		{".a", `{"a":1} x`, "", "partition.not_json"},
		{".a", `{"a":1}{"a":2}`, "", "partition.not_json"},
		{".a", `{"a":01}`, "", "partition.not_json"},
		{".a", `{"b":"\x"}`, "", "partition.not_json"},
		{".a", strings.Repeat("[", 20000), "", "partition.not_json"},
		{`.a // "none"`, `{}`, "none", ""},
		{`.a | ascii_downcase`, `{"a":"OHIO"}`, "ohio", ""},
		{`.t[:10]`, `{"t":"2026-11-22T10:00:00Z"}`, "2026-11-22", ""},
		{`.a[]`, `{"a":[1,2]}`, "", "partition.no_value"},
		{`empty`, `{}`, "", "partition.no_value"},
		{`nan`, `{}`, "", "partition.null"},
		{`error("no")`, `{}`, "", "partition.jq_failed"},
		{`env.HOME`, `{}`, "", "partition.null"},
		{`$ENV.PATH`, `{}`, "", "partition.null"},
		{".a", `{"a":"` + strings.Repeat("x", 1025) + `"}`, "", "partition.too_long"},
	} {
		p, err := Compile([]Query{{"k", c.query}})
		if err != nil {
			if c.code != "compile" {
				t.Errorf("%s: %v", c.query, err)
			}
			continue
		}
		if got, code := eval(p, c.data); got != c.want || code != c.code {
			t.Errorf("%s of %.60s: got %q %s, want %q %s", c.query, c.data, got, code, c.want, c.code)
		}
	}
}

func TestCompileNamesTheQuery(t *testing.T) {
	for _, text := range []string{"", ".a |", "nosuch(1)", `include "x"; .a`, strings.Repeat(" ", query.MaxText+1), "input"} {
		_, err := Compile([]Query{{"ok", ".a"}, {"bad", text}})
		if text == "input" && err == nil {
			continue
		}
		if fault.CodeOf(err) != "partition.bad_query" || !strings.Contains(err.Error(), `"bad"`) {
			t.Errorf("%.20q: got %v", text, err)
		}
	}
}

func TestAnEndlessQueryFailsTheRecord(t *testing.T) {
	p := one(t, "def f: f; f")
	p.limit = 20 * time.Millisecond
	start := time.Now()
	if _, code := eval(p, "{}"); code != "partition.jq_failed" || time.Since(start) > 5*time.Second {
		t.Errorf("got %q after %v", code, time.Since(start))
	}
}

func TestKeysKeepTheirOrderAndRepeatedValuesAreNotCopied(t *testing.T) {
	p, err := Compile([]Query{{"b", ".x.b"}, {"a", ".a"}, {"c", `.x.b + "!"`}})
	if err != nil {
		t.Fatal(err)
	}
	var attrs record.Attrs
	if err := p.Eval([]byte(`{"a":"1","x":{"b":"2"}}`), &attrs); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(attrs); got != "[{b 2} {a 1} {c 2!}]" {
		t.Errorf("got %s", got)
	}
	fast, err := Compile([]Query{{"b", ".x.b"}, {"a", ".a"}})
	if err != nil {
		t.Fatal(err)
	}
	data := []byte(`{"a":"1","x":{"b":"2"}}`)
	if n := testing.AllocsPerRun(200, func() { fast.Eval(data, &attrs) }); n > 0.1 {
		t.Errorf("%v allocations for values that repeat", n)
	}
}

// slow returns p with every query run by gojq.
func slow(t testing.TB, queries []Query) *Partitioner {
	t.Helper()
	p, err := Compile(queries)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.queries {
		p.queries[i].path = -1
	}
	return p
}

var fuzzQueries = []Query{{"a", ".a"}, {"b", ".a.b"}, {"c", `."x y"[0]`}, {"d", `.a["c"].d`}, {"e", ".[1]"}, {"f", `.["é"]`}, {"g", `.["\ufffd"]`}, {"h", ".a[0].b"}}

// The scanner and gojq agree on every query alone: on the value, and on whether and how it fails.
func agree(t testing.TB, data []byte) {
	t.Helper()
	for _, q := range fuzzQueries {
		fast, reference := one(t, q.Text), slow(t, []Query{{"k", q.Text}})
		if fast.queries[0].path < 0 {
			t.Fatalf("%s is not seen as a path", q.Text)
		}
		got, gotCode := eval(fast, string(data))
		want, wantCode := eval(reference, string(data))
		if _, err := query.Decode(data); err != nil {
			want, wantCode = "", "partition.not_json"
		}
		path, err := ParsePath(q.Text)
		if err != nil {
			t.Fatal(err)
		}
		if value, ok := path.Find(data); len(value) <= MaxValue && path.scan.Values[0].Kind != jsonpath.Elsewhere && (ok != (wantCode == "") || string(value) != want) {
			t.Fatalf("%s of %q: Find gives %q, %v, gojq %q %s", q.Text, data, value, ok, want, wantCode)
		}
		if got != want || gotCode != wantCode {
			t.Fatalf("%s of %q: the scanner gives %q %s, gojq %q %s", q.Text, data, got, gotCode, want, wantCode)
		}
	}
}

func FuzzScannerAgreesWithGojq(f *testing.F) {
	for _, s := range []string{`{"a":{"b":1.50,"c":{"d":"\u0041"}},"a":{"b":2}}`, `{"x y":["q"],"\u00e9":1}`, `[1,[2],"\ud800"]`, "{\"\xff\":true}", `{"a":"x","a":[{"b":-0e1}]}`, `{"a":nul}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<16 {
			agree(t, data)
		}
	})
}

// Random documents over few keys reach what mutated bytes seldom do: doubled keys, deep matches, values of every kind.
func TestScannerAgreesWithGojqOnRandomDocuments(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for range testenv.Count(2000, 100_000) {
		doc := randomJSON(r, 0)
		if r.IntN(10) == 0 && len(doc) > 0 { // damage one byte
			i := r.IntN(len(doc))
			doc = doc[:i] + string(rune(r.IntN(128))) + doc[i+1:]
		}
		agree(t, []byte(doc))
	}
}

func randomJSON(r *rand.Rand, depth int) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	space := pick("", "", "", " ", "\n\t")
	if depth > 4 || r.IntN(4) == 0 {
		return space + pick("1", "-1.0", "1e2", "-0", "0.5E-7", "123456789012345678901", "true", "false", "null", `"x"`, `""`, `"\u00e9"`, `"a\"b"`, `"é"`, "\"\xc3\"", `"\udc00"`) + space
	}
	var b strings.Builder
	n := r.IntN(4)
	if r.IntN(3) == 0 {
		b.WriteString("[")
		for i := range n {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(randomJSON(r, depth+1))
		}
		return space + b.String() + space + "]"
	}
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(space + pick(`"a"`, `"a"`, `"b"`, `"c"`, `"d"`, `"x y"`, `"\u0061"`, `"\u00e9"`, `"é"`, "\"\xff\"", `"other"`) + space + ":" + randomJSON(r, depth+1))
	}
	return b.String() + space + "}"
}

func BenchmarkEval(b *testing.B) {
	data := []byte(`{"airport":"BARKSDALE AIR FORCE BASE ARPT","make_model":"T-38A","damage":"None","date":"1990-01-08","operator":"MILITARY","origin_state":"Louisiana","phase":"Climb","size":"Large","species":"Turkey vulture","time":"Day","cost_other":0,"cost_repair":0,"cost_total":0,"speed":300}`)
	for _, c := range []struct {
		name string
		p    *Partitioner
	}{{"path", one(b, ".origin_state")}, {"gojq", slow(b, []Query{{"k", ".origin_state"}})}} {
		b.Run(c.name, func(b *testing.B) {
			var attrs record.Attrs
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.p.Eval(data, &attrs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestOnePartitionerServesManyGoroutines(t *testing.T) {
	p, err := Compile([]Query{{"k", ".a.b"}, {"l", `.a.b + "!"`}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			var attrs record.Attrs
			for i := range 300 {
				want := fmt.Sprintf("%d-%d", g, i/3)
				if err := p.Eval([]byte(`{"a":{"b":"`+want+`"}}`), &attrs); err != nil || attrs[0].Value != want || attrs[1].Value != want+"!" {
					t.Errorf("got %v, %v; want %s", attrs, err, want)
					return
				}
			}
		})
	}
	all.Wait()
}
