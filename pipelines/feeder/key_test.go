package feeder

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestKeys(t *testing.T) {
	long := strings.Repeat("ä", 300)
	for _, c := range []struct {
		name, line string
		key        Key
		want       string // empty for Keyless and not found
	}{
		{"first column", "a,b,c", Key{CSVColumn: 1}, "a"},
		{"last column", "a,b,c", Key{CSVColumn: 3}, "c"},
		{"no such column", "a,b,c", Key{CSVColumn: 4}, ""},
		{"empty column", "a,,c", Key{CSVColumn: 2}, ""},
		{"empty last column", "a,", Key{CSVColumn: 2}, ""},
		{"quoted", `a,"b, ""c""",d`, Key{CSVColumn: 2}, `b, "c"`},
		{"quoted empty", `a,"",d`, Key{CSVColumn: 2}, ""},
		{"after quoted", `"a,a",b`, Key{CSVColumn: 2}, "b"},
		{"quote within", `a,b"c,d`, Key{CSVColumn: 2}, ""},
		{"quote within, before", `a,b"c,d`, Key{CSVColumn: 3}, ""},
		{"quote within, after", `a,b"c,d`, Key{CSVColumn: 1}, "a"},
		{"text after a quote", `"a"b,c`, Key{CSVColumn: 2}, ""},
		{"open quote", `a,"b,c`, Key{CSVColumn: 2}, ""},
		{"spaces stay", "a, b ,c", Key{CSVColumn: 2}, " b "},
		{"not UTF-8", "\xffa", Key{CSVColumn: 1}, "\uFFFDa"},
		{"256 characters", long, Key{CSVColumn: 1}, long[:2*256]},
		{"JSON", ` { "a" : { "b" : "x\u00e4" } } `, Key{JSON: ".a.b"}, "xä"},
		{"JSON, canonical number", `{"a":1.50}`, Key{JSON: ".a"}, "1.5"},
		{"JSON, item", `{"a":["x","y"]}`, Key{JSON: ".a[1]"}, "y"},
		{"JSON, empty", `{"a":""}`, Key{JSON: ".a"}, ""},
		{"JSON, null", `{"a":null}`, Key{JSON: ".a"}, ""},
		{"JSON, object", `{"a":{}}`, Key{JSON: ".a"}, ""},
		{"JSON, missing", `{"a":1}`, Key{JSON: ".b"}, ""},
		{"JSON, not an object", `[1]`, Key{JSON: ".a"}, ""},
		{"JSON, broken", `{"a":1`, Key{JSON: ".a"}, ""},
		{"constant", "", Key{Constant: "k"}, "k"},
	} {
		got, found := newKeyer(c.key)([]byte(c.line))
		want := c.want
		if want == "" {
			want = Keyless
		}
		if got != want || found != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.name, got, found, c.want)
		}
	}
}

func TestRandomKeysSpread(t *testing.T) {
	key := newKeyer(Key{})
	seen := map[string]int{}
	const lines = 10_000 * linesPerKey
	for range lines {
		k, ok := key([]byte("x"))
		if !ok || k == "" {
			t.Fatal("no key")
		}
		seen[k]++
	}
	if len(seen) < 5000 {
		t.Fatalf("%d keys for %d lines", len(seen), lines)
	}
	for k, n := range seen {
		if n%linesPerKey != 0 || n > 20*linesPerKey {
			t.Fatalf("%d of %d lines have the key %s", n, lines, k)
		}
	}
}

func TestOnlyPlainPathsAreKeys(t *testing.T) {
	for _, bad := range []string{"a", "..a", ".a.", ".a b", `."a`, ".a | .b", ".a[]", ".a?"} {
		in := Input{Paths: []string{"/a"}, Key: Key{JSON: bad}}
		if err := in.resolve(); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzCSVField(f *testing.F) {
	for _, s := range []string{"a,b", `"a ""b""",c`, `a"b,c`, `"a`, `"a"b`, ",,", `""`, "a\rb,c", "\xff,x"} {
		f.Add([]byte(s), 1)
		f.Add([]byte(s), 2)
	}
	f.Fuzz(func(t *testing.T, line []byte, n int) {
		n = n&7 + 1
		if bytes.IndexByte(line, '\n') >= 0 || bytes.HasSuffix(line, []byte("\r")) {
			return // not a line as the feeder splits them
		}
		read := func(b []byte) ([]string, error) {
			r := csv.NewReader(bytes.NewReader(b))
			r.FieldsPerRecord = -1
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				return []string{""}, nil // an empty line
			}
			return row, err
		}
		field, end, ok := csvField(line, n)
		row, err := read(line)
		if err == nil {
			if ok != (n <= len(row)) || ok && string(field) != row[n-1] {
				t.Fatalf("column %d of %q is %q, %v; encoding/csv reads %q", n, line, field, ok, row)
			}
			return
		}
		if !ok {
			return
		}
		// The fault comes later: up to the column's end all is well. (A comma follows, because encoding/csv would take a \r
		// at the end for a line end.)
		row, err = read(append(line[:end:end], ','))
		if err != nil || len(row) != n+1 || row[n-1] != string(field) {
			t.Fatalf("column %d of %q is %q; encoding/csv reads %q, %v", n, line, field, row, err)
		}
	})
}

func FuzzPartitionKey(f *testing.F) {
	f.Add([]byte("a"))
	f.Add([]byte(strings.Repeat("\xff", 300)))
	f.Fuzz(func(t *testing.T, field []byte) {
		key, found := partitionKey(field, true)
		if n := utf8.RuneCountInString(key); n < 1 || n > maxKeyRunes || !utf8.ValidString(key) || found != (len(field) > 0) {
			t.Fatalf("%q becomes %q, %v", field, key, found)
		}
	})
}

func FuzzMark(f *testing.F) {
	for _, p := range []position{{}, {id: identity{1, 2}, generation: 3, offset: 4, unterminated: true, head: 5, tail: 6, path: "/a"}, {offset: 1<<63 - 1, skipping: true}} {
		f.Add(p.encode())
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		p, err := decodePosition(state)
		if err != nil {
			return
		}
		again, err := decodePosition(p.encode())
		if err != nil || again != p {
			t.Fatalf("%+v becomes %+v, %v", p, again, err)
		}
		if len(p.encode()) > len(state) {
			t.Fatalf("%d bytes become %d", len(state), len(p.encode()))
		}
	})
}
