package builtin_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRecordsAreSplit(t *testing.T) {
	becomes(t, "split", `{ delimiter: "\n" }`, "a\r\n\nb\r", "[a b]", "a", "[a]", "", "dropped", "\n\n", "dropped")
	becomes(t, "split", `{ delimiter: "--", keep_empty: true, max: 3 }`, "a----b", "[a  b]", "a--", "[a]", "--", "[]", "a--b--c--d", "split.too_many: the record has more than 3 parts", "a-b", "[a-b]")
	becomes(t, "split", `{ array: ., max: 3 }`, ` [ {"a": 1.0} , "\u00e9",[]] `, `[{"a": 1.0} "\u00e9" []]`, "[]", "dropped",
		`[1,2,3,4]`, "split.too_many: . has more than 3 elements", `{}`, "split.not_an_array: . is an object, not an array", `[`, "split.not_json: not JSON: at byte 1: …")
	becomes(t, "split", `{ array: .a.b, keep_record: true }`, `{"x":0, "a": {"b": [1, {"c":2}], "y":1}}`, `[{"x":0, "a": {"b": 1, "y":1}} {"x":0, "a": {"b": {"c":2}, "y":1}}]`,
		`{"a":{}}`, "split.not_an_array: .a.b is nothing, not an array")
	big := `{"a":[` + strings.Repeat("1,", 3000) + `1]}`
	if got := apply(t, open(t, "split", `{ array: .a, keep_record: true }`), big)[0]; got.Code != "split.too_large" {
		t.Errorf("got %.100s", got)
	}
	refused(t, "split", map[string]string{
		`{}`: "needs one of", `{ delimiter: "" }`: "1 to 1024", `{ delimiter: x, array: .a }`: "only one", `{ delimiter: x, keep_record: true }`: "for arrays",
		`{ array: ., keep_record: true }`: "nothing to keep", `{ array: .a, keep_empty: true }`: "for delimiters", `{ array: a }`: "not a path",
	})
}

func TestTextsAreJoined(t *testing.T) {
	becomes(t, "join", `{ array: .a, delimiter: "-" }`, `{ "a" : ["x\"", 1.50, true, null, ""] }`, `[{ "a" : "x\"-1.50-true-" }]`, `{"a":[{}]}`, "join.not_scalar: an element of .a is an object; only text, numbers and booleans can be joined",
		`{}`, "join.not_an_array: .a is nothing, not an array", `x`, "join.not_json: not JSON: at byte 0: …")
	becomes(t, "join", `{ array: .a, into: .b.c }`, `{"a":[1,2]}`, `[{"a":[1,2],"b":{"c":"1 2"}}]`, `{"a":[],"b":1}`, "join.no_object: b is a number, and nothing can be set in it")
	becomes(t, "join", `{ fields: [ .a, .b ], into: .a, delimiter: "" }`, `{"a":1,"b":"2"}`, `[{"a":"12","b":"2"}]`, `{}`, `[{"a":""}]`, `{"b":[]}`, "join.not_scalar: .b is an array; only text, numbers and booleans can be joined")
	becomes(t, "join", `{ lines: .a, delimiter: "+" }`, `{"a":"1\r\n\n2\n"}`, `[{"a":"1+2"}]`, `{"a":1}`, "join.not_text: .a is a number, not text")
	becomes(t, "join", `{ lines: . }`, "a", "unchanged", "a\nb", "[a b]", "\n", "[]")
	refused(t, "join", map[string]string{
		`{}`: "needs one of", `{ fields: [ .a, .b ] }`: "needs into", `{ fields: [ .a ], into: .b }`: "takes 2", `{ array: . }`: "lone dot",
		`{ lines: ., into: .a }`: "no field", `{ array: a }`: "not a path", `{ array: .a, into: b }`: "not a path",
	})
}

// What an array is split into makes the array when it is put together again.
func TestElementsAreThoseOfTheArray(t *testing.T) {
	tr := open(t, "split", `{ array: .a }`)
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"1", `"x,\"]"`, "[[],{}]", `{"a":[1, 2]}`, "null", "-1.5e3"}), 1, 8).Draw(rt, "elements")
		got := apply(t, tr, `{"z":[9],"a":[ `+strings.Join(parts, " , ")+` ]}`)[0]
		if strings.Join(got.Outs, "|") != strings.Join(parts, "|") {
			rt.Fatalf("%q: %s", parts, got)
		}
	})
}

func TestFieldsAreHashed(t *testing.T) {
	sum := func(text string) string {
		h := sha256.Sum256([]byte(text))
		return hex.EncodeToString(h[:])
	}
	becomes(t, "hash_fields", `{ fields: [ .a, .b.c ] }`,
		`{ "a" : "x\u00e9" , "b":{"c":1.0, "d":2}}`, `[{ "a" : "`+sum("xé")+`" , "b":{"c":"`+sum("1")+`", "d":2}}]`,
		`{"a":"","b":{"c":true}}`, `[{"a":"`+sum("")+`","b":{"c":"`+sum("true")+`"}}]`,
		`{"a":null,"b":7}`, "unchanged",
		`{"a":"first","a":"last"}`, `[{"a":"`+sum("last")+`"}]`,
		`{"a":{}}`, "hash_fields.not_scalar: .a is an object; only text, numbers and booleans have a hash",
		`"a`, "hash_fields.not_json: not JSON: at byte 2: …",
	)
	refused(t, "hash_fields", map[string]string{
		`{}`: "needs the key", `{ fields: [] }`: "takes 1", `{ fields: [ .a, .a.b ] }`: "one holds the other", `{ fields: [ a ] }`: "not a path",
		`{ fields: [ .a ], bytes: 7 }`: "out of range", `{ fields: [ .a ], prefix: "` + strings.Repeat("x", 65) + `" }`: "at most 64",
		`{ fields: [ .a ], key: { secret: env:SECRET } }`: "at least 16", `{ fields: [ .a ], key: { secret: env:NONE } }`: "not set", `{ fields: [ .a ], key: text }`: "wants a secret",
	})
}

// A hash depends on the value, the key and nothing else: not on how JSON writes the value, nor on what was hashed before.
func TestHashesAreStable(t *testing.T) {
	file := t.TempDir() + "/key"
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tr := open(t, "hash_fields", fmt.Sprintf(`{ fields: [ .a ], key: { secret: "file:%s" }, bytes: 16 }`, file))
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String().Draw(rt, "text")
		mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
		mac.Write([]byte(text))
		want := `[{"a":"` + hex.EncodeToString(mac.Sum(nil)[:16]) + `"}]`
		plain, err := json.Marshal(text)
		if err != nil {
			rt.Fatal(err)
		}
		escaped := `"`
		for _, r := range text {
			if r > 0xffff {
				r -= 0x10000
				escaped += fmt.Sprintf(`\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				escaped += fmt.Sprintf(`\u%04x`, r)
			}
		}
		for _, value := range []string{string(plain), escaped + `"`} {
			if got := apply(t, tr, `{"a":"other"}`, `{"a":`+value+`}`)[1].String(); got != want {
				rt.Fatalf("%s: got %s, want %s", value, got, want)
			}
		}
	})
}

func BenchmarkSplitJoinHash(b *testing.B) {
	b.Run("split/lines", func(b *testing.B) {
		measure(b, open(b, "split", `{ delimiter: "\n" }`), strings.Repeat("a line of some text, not long\n", 10))
	})
	b.Run("split/array", func(b *testing.B) {
		measure(b, open(b, "split", `{ array: .events }`), `{"events":[`+strings.Repeat(`{"id":1,"text":"an event"},`, 9)+`{"id":1}]}`)
	})
	b.Run("split/keep_record", func(b *testing.B) {
		measure(b, open(b, "split", `{ array: .events, keep_record: true }`), `{"events":[`+strings.Repeat(`{"id":1,"text":"an event"},`, 9)+`{"id":1}]}`)
	})
	b.Run("join", func(b *testing.B) { measure(b, open(b, "join", `{ array: .tags }`), someJSON) })
	b.Run("hash", func(b *testing.B) { measure(b, open(b, "hash_fields", `{ fields: [ .user.email ] }`), someJSON) })
}
