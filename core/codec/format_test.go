package codec_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
)

func format(t testing.TB, name string) codec.Format {
	t.Helper()
	f, err := codec.FormatByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ format, data, want string }{
		{"json_lines", `{"a":1}`, "{\"a\":1}\n"},
		{"json_lines", ` {"a": [1, 2,  3]} ` + "\r\n", "{\"a\": [1, 2,  3]}\n"}, // one line: as it is
		{"json_lines", "{\n  \"a\": 1,\r\n  \"b\": \"x  y\\n\"\n}\n", "{\"a\":1,\"b\":\"x  y\\n\"}\n"},
		{"json_lines", "[1,\r2]", "[1,2]\n"},
		{"json_lines", `"<&>` + "\u2028" + `"`, `"<&>` + "\u2028" + "\"\n"},
		{"json_lines", "null", "null\n"},
		{"lines", "", "\n"},
		{"lines", "a", "a\n"},
		{"lines", "a\n", "a\n"},
		{"lines", "a\nb", "a\nb\n"},
		{"lines", "a\r\n", "a\r\n"},
		{"lines", "\xff\x00", "\xff\x00\n"},
		{"raw", "a", "a"},
		{"raw", "", ""},
		{"raw", "\x00\n", "\x00\n"},
	} {
		got, err := format(t, c.format).Append([]byte("before\n"), []byte(c.data))
		if err != nil || string(got) != "before\n"+c.want {
			t.Errorf("%s of %q: %q, %v; want %q", c.format, c.data, got, err, c.want)
		}
	}
}

func TestJSONLinesRefusesWhatIsNotJSON(t *testing.T) {
	f := format(t, "json_lines")
	for data, says := range map[string]string{
		"":                  "empty",
		" \n":               "empty",
		`{"a":1}{"b":2}`:    "byte 8",
		"{\"a\":1}\n{}":     "byte 9",
		`{"a":1,}`:          "byte 8",
		`{a:1}`:             "byte 2",
		`["x` + "\n" + `"]`: "byte 4",
		"NaN":               "byte 1",
		"\"\xff\"":          "UTF-8",
		`{"a":`:             "unexpected end",
	} {
		dst := []byte("before")
		got, err := f.Append(dst, []byte(data))
		if fault.ClassOf(err) != fault.Permanent || fault.CodeOf(err) != "codec.invalid_json" {
			t.Errorf("%q: error %v", data, err)
			continue
		}
		if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") || !utf8.ValidString(err.Error()) {
			t.Errorf("%q: the error is %q, want it to say %q", data, err, says)
		}
		if string(got) != "before" {
			t.Errorf("%q: left %q in dst", data, got)
		}
	}
}

func TestFormatByNameListsTheNames(t *testing.T) {
	for _, name := range codec.FormatNames() {
		if f := format(t, name); f.Name() != name || f.ContentType() == "" {
			t.Errorf("FormatByName(%q) has name %q and content type %q", name, f.Name(), f.ContentType())
		}
	}
	_, err := codec.FormatByName("csv")
	if fault.CodeOf(err) != "codec.unknown_format" || !strings.Contains(err.Error(), "json_lines, lines, raw") {
		t.Errorf("error is %v", err)
	}
}

func FuzzJSONLines(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-0.5e+10,true,false,null,"\u00e9\\\"/"],"b":{}}`, "[\n1 ,\r\n 2\t]", `[[[[]]]]`, `{"":{"":[]}}`,
		`"12345678\"abcdefg\\"`, "01", "-", "1.", "1e", `"\x"`, `"\u12g4"`, "tru", "[1,]", `{"a"}`, "\"\x1f\"", "\"é\x80\"", "\x00",
		strings.Repeat("[", 10001) + strings.Repeat("]", 10001), strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
	} {
		f.Add([]byte(seed))
	}
	jsonLines := format(f, "json_lines")
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := jsonLines.Append(nil, data)
		if want := json.Valid(data) && utf8.Valid(data); want != (err == nil) {
			t.Fatalf("valid is %v, error is %v", want, err)
		}
		if err != nil {
			return
		}
		if bytes.Count(got, []byte("\n")) != 1 || got[len(got)-1] != '\n' || bytes.IndexByte(got, '\r') >= 0 {
			t.Fatalf("%q is not one line", got)
		}
		var have, want bytes.Buffer
		if err := json.Compact(&have, got); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if err := json.Compact(&want, data); err != nil || !bytes.Equal(have.Bytes(), want.Bytes()) {
			t.Fatalf("%q has become %q", data, got)
		}
	})
}
