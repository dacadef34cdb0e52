package prefix

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

var noon = time.Date(2026, 11, 22, 12, 34, 56, 789, time.UTC)

func mustCompile(t testing.TB, expr string, opts Options) *Template {
	t.Helper()
	tmpl, err := Compile(expr, opts)
	if err != nil {
		t.Fatalf("Compile(%q): %v", expr, err)
	}
	return tmpl
}

func TestKeys(t *testing.T) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	query := record.Attrs{{Name: "state", Value: "Ohio"}, {Name: "op", Value: "a/b"}}
	lambda := record.Attrs{{Name: "state", Value: "from-lambda"}}
	names := []string{"state", "op"}
	for _, c := range []struct {
		expr string
		opts Options
		want string
	}{
		{"", Options{}, "2026/11/22/12/"},
		{"logs/", Options{}, "logs/2026/11/22/12/"},
		{"logs-", Options{Zone: vienna}, "logs-2026/11/22/13/"},
		{"y=!{timestamp:yyyy}/", Options{}, "y=2026/"},
		{"!{timestamp:yyyy'}'}/", Options{}, "2026}/"},
		{"!{timestamp:HH}!{timestamp:mm}-!{timestamp:ss}/", Options{}, "1234-56/"},
		{"state=!{partitionKeyFromQuery:state}/", Options{QueryKeys: names}, "state=Ohio/"},
		{"!{partitionKeyFromQuery:op}/!{partitionKeyFromQuery:state}/!{partitionKeyFromQuery:op}", Options{QueryKeys: names}, "a%2Fb/Ohio/a%2Fb"},
		{"!{partitionKeyFromQuery:state}/!{partitionKeyFromLambda:state}/", Options{QueryKeys: names}, "Ohio/from-lambda/"},
		{"a/!{firehose:random-string}/", Options{Random: func() string { return "abcdefghijk" }}, "a/abcdefghijk/2026/11/22/12/"},
		{"!{firehose:error-output-type}/", Options{DeadLetters: true}, "processing-failed/"},
		{"plain/", Options{DeadLetters: true}, "plain/"},
		{"", Options{DeadLetters: true}, ""},
	} {
		tmpl := mustCompile(t, c.expr, c.opts)
		group, err := tmpl.Group(nil, query, lambda)
		if err != nil {
			t.Errorf("%q: Group: %v", c.expr, err)
			continue
		}
		errorType := ""
		if c.opts.DeadLetters {
			errorType = "processing-failed"
		}
		if got, err := tmpl.Key(group, noon, errorType); err != nil || got != c.want {
			t.Errorf("%q: got %q, %v; want %q", c.expr, got, err, c.want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, c := range []struct {
		expr, code, text string
		opts             Options
	}{
		{"!{timestamp:yyyy", "prefix.syntax", "no closing }", Options{}},
		{"!{timestamp}", "prefix.syntax", "not an expression", Options{}},
		{"!{timestmp:yyyy}", "prefix.unknown_expression", "timestmp", Options{}},
		{"!{firehose:random}", "prefix.unknown_expression", "firehose:random", Options{}},
		{"!{timestamp:yyyy-VV}", "prefix.bad_pattern", "letter V", Options{}},
		{"!{timestamp:}", "prefix.bad_pattern", "empty", Options{}},
		{"!{firehose:error-output-type}/", "prefix.not_allowed", "dead letters only", Options{}},
		{"!{timestamp:yyyy}/", "prefix.not_allowed", "must have", Options{DeadLetters: true}},
		{"!{firehose:error-output-type}/!{partitionKeyFromQuery:a}", "prefix.not_allowed", "cannot stand", Options{DeadLetters: true, QueryKeys: []string{"a"}}},
		{"!{partitionKeyFromQuery:a}", "prefix.unknown_key", `no partition key "a"`, Options{QueryKeys: []string{"b"}}},
		{"!{partitionKeyFromLambda:}", "prefix.syntax", "names no partition key", Options{}},
		{"/x/", "prefix.bad_text", "begins with a slash", Options{}},
		{"a/../b/", "prefix.bad_text", `level ".."`, Options{}},
		{"a//b/", "prefix.bad_text", "empty level", Options{}},
		{"!{timestamp:'..'}/", "prefix.bad_text", `level ".."`, Options{}},
		{"a\x00", "prefix.bad_text", "control", Options{}},
		{`a\b`, "prefix.bad_text", "backslash", Options{}},
		{strings.Repeat("a", 1025), "prefix.too_long", "1025 bytes", Options{}},
		{strings.Repeat("a", 513), "prefix.too_long", "at most 512", Options{}},
	} {
		_, err := Compile(c.expr, c.opts)
		if fault.CodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: got %v (%s), want %s with %q", c.expr, err, fault.CodeOf(err), c.code, c.text)
		}
	}
}

func TestHostileValuesStayOneLevel(t *testing.T) {
	tmpl := mustCompile(t, "a/!{partitionKeyFromQuery:k}/b/", Options{QueryKeys: []string{"k"}})
	for value, want := range map[string]string{
		"":             EmptyValue,
		".":            "%2E",
		"..":           "%2E%2E",
		"...":          "...",
		".x":           ".x",
		"/":            "%2F",
		"../../etc":    "..%2F..%2Fetc",
		`..\x`:         "..%5Cx",
		"a\x00b":       "a%00b",
		"\n":           "%0A",
		"\u0085":       "%C2%85",
		"\xff\xfe":     "%FF%FE",
		"100%":         "100%25",
		"%2F":          "%252F",
		"Zürich �":     "Zürich �",
		" state=x y ":  " state=x y ",
		"\u202e right": "\u202e right",
	} {
		group, err := tmpl.Group(nil, record.Attrs{{Name: "k", Value: value}}, nil)
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		if got, err := tmpl.Key(group, noon, ""); err != nil || got != "a/"+want+"/b/" {
			t.Errorf("%q: got %q, %v; want a/%s/b/", value, got, err, want)
		}
	}
}

func TestGroupsOfDifferentValuesDiffer(t *testing.T) {
	tmpl := mustCompile(t, "!{partitionKeyFromQuery:a}!{partitionKeyFromQuery:b}", Options{QueryKeys: []string{"a", "b"}})
	seen := map[string]string{}
	values := []string{"", "1", "11", "\x01", "\x011", "1\x01", "\x01\x01"}
	for _, a := range values {
		for _, b := range values {
			group, err := tmpl.Group(nil, record.Attrs{{Name: "a", Value: a}, {Name: "b", Value: b}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			pair := fmt.Sprintf("%q %q", a, b)
			if other, ok := seen[string(group)]; ok {
				t.Errorf("%s and %s share a group", pair, other)
			}
			seen[string(group)] = pair
		}
	}
}

func TestRecordsThatDoNotFitFailInGroup(t *testing.T) {
	tmpl := mustCompile(t, "a/!{partitionKeyFromQuery:k}/!{timestamp:yyyy}/", Options{QueryKeys: []string{"k"}})
	dst := []byte("kept")
	for value, code := range map[string]string{strings.Repeat("x", 513): "prefix.too_long", strings.Repeat("/", 200): "prefix.too_long"} {
		out, err := tmpl.Group(dst, record.Attrs{{Name: "k", Value: value}}, nil)
		if fault.CodeOf(err) != code || string(out) != "kept" {
			t.Errorf("%d bytes: got %q, %v; want %s", len(value), out, err, code)
		}
	}
	if _, err := tmpl.Group(nil, nil, record.Attrs{{Name: "k", Value: "lambda's"}}); fault.CodeOf(err) != "prefix.missing_key" {
		t.Errorf("a missing key: got %v", err)
	}
	if _, err := tmpl.Key([]byte{200, 1}, noon, ""); fault.CodeOf(err) != "prefix.bad_group" {
		t.Errorf("a group of another prefix: got %v", err)
	}
}

func TestRandomStringsAreNewEachTime(t *testing.T) {
	tmpl := mustCompile(t, "!{firehose:random-string}/!{firehose:random-string}/!{timestamp:yyyy}", Options{})
	seen := map[string]bool{}
	for range 200 {
		key, err := tmpl.Key(nil, noon, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range strings.Split(strings.TrimSuffix(key, "/2026"), "/") {
			if len(s) != 11 || seen[s] {
				t.Errorf("%q is not 11 characters or is not new", s)
			}
			seen[s] = true
		}
	}
}

func TestConstantGroupDoesNotAllocate(t *testing.T) {
	tmpl := mustCompile(t, "logs/!{timestamp:yyyy}/", Options{})
	attrs := record.Attrs{{Name: "a", Value: "b"}}
	if n := testing.AllocsPerRun(100, func() { tmpl.Group(nil, attrs, nil) }); n != 0 || !tmpl.Constant() {
		t.Errorf("%v allocations, constant %v", n, tmpl.Constant())
	}
	tmpl = mustCompile(t, "!{partitionKeyFromQuery:a}/", Options{QueryKeys: []string{"a"}})
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { tmpl.Group(dst, attrs, nil) }); n != 0 {
		t.Errorf("%v allocations for one key into a buffer that is large enough", n)
	}
}

// Whatever compiles gives, for whatever values, keys that every store can take.
func FuzzKey(f *testing.F) {
	f.Add("state=!{partitionKeyFromQuery:k}/", "../..", "\x00", false)
	f.Add(".!{partitionKeyFromQuery:k}!{partitionKeyFromLambda:l}/x", ".", "", false)
	f.Add("!{firehose:error-output-type}/!{timestamp:yyyy'/'MM}", "a", "b", true)
	f.Add("!{firehose:random-string}!{timestamp:EEEE QQQQ N}", "a", "b", false)
	f.Fuzz(func(t *testing.T, expr, query, lambda string, dead bool) {
		tmpl, err := Compile(expr, Options{QueryKeys: []string{"k"}, DeadLetters: dead})
		if err != nil {
			if fault.CodeOf(err) == "internal" {
				t.Fatalf("Compile(%q): an error without a code: %v", expr, err)
			}
			return
		}
		group, err := tmpl.Group(nil, record.Attrs{{Name: "k", Value: query}}, record.Attrs{{Name: "l", Value: lambda}})
		if err != nil {
			return
		}
		key, err := tmpl.Key(group, noon, "processing-failed")
		if err != nil {
			t.Fatalf("%q: Group took %q and %q, but Key fails: %v", expr, query, lambda, err)
		}
		again := mustCompile(t, expr, Options{QueryKeys: []string{"k"}, DeadLetters: dead})
		plain, _ := again.Group(nil, record.Attrs{{Name: "k", Value: "x"}}, record.Attrs{{Name: "l", Value: "x"}})
		plainKey, err := again.Key(plain, noon, "processing-failed")
		if err == nil && strings.Count(key, "/") != strings.Count(plainKey, "/") {
			t.Fatalf("%q: the values %q and %q change the levels of %q", expr, query, lambda, key)
		}
		if len(key) > MaxLength || strings.HasPrefix(key, "/") || !utf8.ValidString(key) || strings.ContainsFunc(key, isControl) || strings.Contains(key, `\`) {
			t.Fatalf("%q with %q and %q gives %q", expr, query, lambda, key)
		}
		levels := strings.Split(key, "/")
		for _, level := range levels[:len(levels)-1] {
			if level == "" || level == "." || level == ".." {
				t.Fatalf("%q with %q and %q gives %q", expr, query, lambda, key)
			}
		}
	})
}

func BenchmarkGroup(b *testing.B) {
	tmpl := mustCompile(b, "state=!{partitionKeyFromQuery:state}/", Options{QueryKeys: []string{"state"}})
	attrs := record.Attrs{{Name: "state", Value: "Louisiana"}}
	dst := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Group(dst, attrs, nil); err != nil {
			b.Fatal(err)
		}
	}
}
