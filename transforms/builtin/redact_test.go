package builtin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/stage"
)

// kinds are what each detector finds and what it leaves alone; # stands for what is redacted.
var kinds = map[string][]struct{ text, want string }{
	"email": {
		{"bob@example.com", "#"}, {"to <bob.o'x+tag@mail.example.co.uk>, now", "to <#>, now"}, {"user=bob@x.at;", "user=#;"}, {"é@exämple.at", "#"},
		{"a@b.cd. End", "#. End"}, {"a@b.cd@e.fg", "#@e.fg"}, {"a@b@c.de", "a@#"}, {"mailto:a_b-c@d-e.f-g", "mailto:#"},
		{"a@b", "a@b"}, {"@b.cd", "@b.cd"}, {"a@.cd", "a@.cd"}, {"a@b..cd", "a@b..cd"}, {"@", "@"}, {"a@", "a@"}, {"1@2.3 x@y.z", "# #"},
	},
	"credit_card": {
		{"4111111111111111", "#"}, {"card 4111 1111 1111 1111.", "card #."}, {"4111-1111-1111-1111", "#"}, {"378282246310005", "#"}, {"12 4111 1111 1111 1111 35", "12 # 35"},
		{"id=4222222222222x", "id=#x"}, {"6304000000000000 4111111111111111", "# #"}, {"2223003122003222", "#"},
		{"4111111111111112", "4111111111111112"}, {"41111111111111111111", "41111111111111111111"}, {"1000000000000008", "1000000000000008"},
		{"4111  1111 1111 1111", "4111  1111 1111 1111"}, {"1763899200000", "1763899200000"}, {"4111 1111 1111", "4111 1111 1111"},
	},
	"ipv4": {
		{"10.0.0.1", "#"}, {"from 255.255.255.255:80,1.2.3.4", "from #:80,#"}, {"host.10.0.0.1.", "host.#."}, {"v10.0.0.1x", "v#x"},
		{"256.0.0.1", "256.0.0.1"}, {"1.2.3", "1.2.3"}, {"1.2.3.4.5", "1.2.3.4.5"}, {"1.2.3.1000", "1.2.3.1000"}, {"1..2.3.4", "1..2.3.4"}, {"1.2.3.", "1.2.3."},
	},
	"ipv6": {
		{"2001:db8::1", "#"}, {"[fe80::1]:443", "[#]:443"}, {"addr:2001:db8:0:0:0:0:0:1, x", "addr:#, x"}, {"::ffff:10.0.0.1", "#"}, {"::1.", "#."}, {"bad:fe80:0:0:0:0:0:0:1", "#"}, {"1:2:3:4:5:6:7:8:443.", "#."},
		{"12:00:00", "12:00:00"}, {"std::vector", "std::vector"}, {"a:b:c", "a:b:c"}, {"00:1a:2b:3c:4d:5e", "00:1a:2b:3c:4d:5e"}, {strings.Repeat(":", 80), strings.Repeat(":", 80)}, {":", ":"}, {"a :: b", "a :: b"}, {"core::fmt", "core::fmt"},
	},
	"mac": {
		{"00:1a:2B:3c:4d:5e", "#"}, {"x 00-1a-2b-3c-4d-5e.", "x #."}, {"00:1a:2b:3c:4d:5e:6f", "00:1a:2b:3c:4d:5e:6f"}, {"00:1a:2b-3c:4d:5e", "00:1a:2b-3c:4d:5e"}, {"00:1a:2b:3c:4d:5g", "00:1a:2b:3c:4d:5g"},
	},
	"iban": {
		{"AT611904300234573201", "#"}, {"IBAN: DE89 3704 0044 0532 0130 00 and", "IBAN: # and"}, {"GB29NWBK60161331926819 X", "# X"}, {"FR14 2004 1010 0505 0001 3M02 606", "#"},
		{"AT611904300234573202", "AT611904300234573202"}, {"XAT611904300234573201", "XAT611904300234573201"}, {"AT61", "AT61"},
	},
	"us_ssn": {
		{"123-45-6789", "#"}, {"(123-45-6789)", "(#)"}, {"000-45-6789", "000-45-6789"}, {"666-45-6789", "666-45-6789"}, {"912-45-6789", "912-45-6789"}, {"123-00-6789", "123-00-6789"}, {"123-45-0000", "123-45-0000"},
		{"1123-45-6789", "1123-45-6789"}, {"123-45-67890", "123-45-67890"}, {"123-45-678", "123-45-678"},
	},
	"jwt": {
		{"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "Bearer #"}, {"eyJhbGciOiJub25lIn0.eyJ9.", "#"}, {"eyJhbGciOiJub25lIn0.x", "eyJhbGciOiJub25lIn0.x"}, {"eyJ..x", "eyJ..x"},
	},
	"aws_access_key_id": {
		{"AKIAIOSFODNN7EXAMPLE", "#"}, {"id=ASIAIOSFODNN7EXAMPLE,", "id=#,"}, {"AKIAIOSFODNN7EXAMPL", "AKIAIOSFODNN7EXAMPL"}, {"XAKIAIOSFODNN7EXAMPLE", "XAKIAIOSFODNN7EXAMPLE"}, {"AKIAIOSFODNN7EXAMPLEX", "AKIAIOSFODNN7EXAMPLEX"}, {"IA", "IA"}, {"AIDAIOSFODNN7EXAMPLE", "AIDAIOSFODNN7EXAMPLE"},
	},
}

func TestEachKindIsFound(t *testing.T) {
	for kind, cases := range kinds {
		text := open(t, "redact", fmt.Sprintf(`{ detect: [ %s ], format: text, replacement: "#" }`, kind))
		doc := open(t, "redact", fmt.Sprintf(`{ detect: [ %s ], replacement: "#" }`, kind))
		for _, c := range cases {
			want := "[" + c.want + "]"
			if c.want == c.text {
				want = "unchanged"
			}
			if got := apply(t, text, c.text)[0].String(); got != want {
				t.Errorf("%s in %q: got %s, want %s", kind, c.text, got, want)
			}
			escaped := `{"\u0061":["` + escape(c.text) + `"],"b":1.0}`
			if want != "unchanged" {
				b, err := json.Marshal(c.want)
				if err != nil {
					t.Fatal(err)
				}
				want = `[{"\u0061":[` + strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(b)) + `],"b":1.0}]`
			}
			if got := apply(t, doc, escaped)[0].String(); got != want {
				t.Errorf("%s in %s: got %s, want %s", kind, escaped, got, want)
			}
		}
	}
}

// escape writes every other character of a text as JSON escapes it.
func escape(text string) string {
	var b strings.Builder
	for i, r := range text {
		if i%2 == 0 {
			fmt.Fprintf(&b, `\u%04X`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func TestRecordsAreRedacted(t *testing.T) {
	becomes(t, "redact", `{ fields: [ .a, .b.c ], detect: [ email, ipv4 ], patterns: [ 'secret\w*', '' ] }`,
		`{ "a":"x", "b" : {"c":[1],"d":"a secretive a@b.cd"} }`, `[{ "a":"[redacted]", "b" : {"c":"[redacted]","d":"a [redacted] [redacted]"} }]`,
		`{"a":null,"b":{}}`, "unchanged", `{"a":true}`, `[{"a":"[redacted]"}]`,
		`"a@b.cd"`, `["[redacted]"]`, `["10.0.0.1", {"secret": {"x":1}}]`, `[["[redacted]", {"[redacted]": {"x":1}}]]`,
		`{"x":"\"a@b.cd\\"}`, `[{"x":"\"[redacted]\\"}]`, `{"x":"é a@b.cd é"}`, `[{"x":"é [redacted] é"}]`,
		`{"a":1,"a":null}`, "redact.repeated_key: a key that leads to one of the fields is there twice in its object",
		`{"b":{"c":1},"b":{}}`, "redact.repeated_key: a key that leads to one of the fields is there twice in its object",
		`x a@b.cd`, "redact.not_json: not JSON: at byte 0: …",
	)
	becomes(t, "redact", `{ detect: [ email, credit_card ], patterns: [ 'com \d+' ] }`, `{"x":"a@b.com 4111111111111111!"}`, `[{"x":"[redacted]!"}]`,
		`{"n":[4111111111111111,-4111111111111111,4111111111111111.5,1.0e5]}`, `[{"n":["[redacted]","-[redacted]","[redacted].5",1.0e5]}]`)
	becomes(t, "redact", `{ detect: [ email ], within: [ .a, .b.c ] }`, `{"a":{"x":["a@b.cd"],"a@b.cd":2},"b":{"c":"a@b.cd","d":"a@b.cd"}}`, `[{"a":{"x":["[redacted]"],"[redacted]":2},"b":{"c":"[redacted]","d":"a@b.cd"}}]`,
		`{"d":"a@b.cd"}`, "unchanged", `{"a":"a@b.cd","a":1}`, "redact.repeated_key: …")
	becomes(t, "redact", `{ fields: [ .a.b, .c ], detect: [ email ], within: [ .a, .d ] }`, `{"a":{"b":"secret","x":"a@b.cd"},"c":1}`, `[{"a":{"b":"[redacted]","x":"[redacted]"},"c":"[redacted]"}]`,
		`{"a":{"b":"secret","x":"y"}}`, `[{"a":{"b":"[redacted]","x":"y"}}]`, `{"a":{"x":"a@b.cd"}}`, `[{"a":{"x":"[redacted]"}}]`, `{"d":"y"}`, "unchanged")
	becomes(t, "redact", `{ fields: [ .a ], patterns: [ 'x\S*' ], keep_last: 3 }`, `{"a":"ab-cd-ef"}`, `[{"a":"**-*d-ef"}]`, `{"a":12345}`, `[{"a":"***45"}]`, `{"a":[1]}`, `[{"a":"[redacted]"}]`,
		`{"a":"","b":"an xylophone, x"}`, `[{"a":"","b":"an ******one, *"}]`)
	refused(t, "redact", map[string]string{
		`{}`: "needs fields, detect or patterns", `{ detect: [ emails ] }`: "there is no \"emails\"", `{ patterns: [ "(" ] }`: "missing closing", `{ fields: [ a ] }`: "not a path",
		`{ fields: [ .a ], within: [ .b ] }`: "neither", `{ fields: [ .a ], format: text }`: "no fields", `{ fields: [ .a, .a ] }`: ".a is there twice", `{ fields: [ .a ], replacement: "` + strings.Repeat("x", 1025) + `" }`: "at most 1024",
	})
}

// No byte of what is found is left, wherever in a record it stands, however it is escaped; all else is as it was.
func TestNothingOfAMatchIsLeft(t *testing.T) {
	tr := open(t, "redact", `{ detect: [ email, credit_card, ipv4, ipv6, mac, iban, us_ssn, jwt, aws_access_key_id ], patterns: [ 'Q+' ], replacement: "#" }`)
	secrets := []string{
		"bob@example.com", "4111 1111 1111 1111", "10.20.30.40", "2001:db8::77", "00:1a:2b:3c:4d:5e", "AT611904300234573201", "123-45-6789",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjft-_", "AKIAIOSFODNN7EXAMPLE", "QQQ",
	}
	// What stands around a secret has none of its characters and none that could belong to it.
	around := rapid.SampledFrom([]string{"", " ", "(", " ~ ", "ж ", "\n", "\"", "\\", "\U0001F600 ", "/", "\t<"})
	rapid.Check(t, func(rt *rapid.T) {
		write := func(secret string) (in, out string) {
			pre, post := around.Draw(rt, "before")+" ", " "+around.Draw(rt, "after")
			text := pre + secret + post
			b, err := json.Marshal(text)
			if err != nil {
				rt.Fatal(err)
			}
			in = string(b)
			if rapid.Bool().Draw(rt, "escaped") {
				in = `"`
				for _, r := range text {
					if r > 0xffff {
						in += string(r)
					} else {
						in += fmt.Sprintf(`\u%04x`, r)
					}
				}
				in += `"`
			}
			return in, pre + "#" + post
		}
		key, keyOut := write(rapid.SampledFrom(secrets).Draw(rt, "key"))
		value, valueOut := write(rapid.SampledFrom(secrets).Draw(rt, "value"))
		other, err := json.Marshal(rapid.StringOf(rapid.RuneFrom([]rune("xyz é\"\\\n"))).Draw(rt, "other"))
		if err != nil {
			rt.Fatal(err)
		}
		record := fmt.Sprintf(`{ "k":[ %s ], "deep": {%s : [1.50, %s]}, "n":null}`, other, key, value)
		got := apply(t, tr, record)[0]
		var object struct {
			K    []string
			Deep map[string][]any
		}
		if len(got.Outs) != 1 || json.Unmarshal([]byte(got.Outs[0]), &object) != nil {
			rt.Fatalf("%s: %s", record, got)
		}
		list := object.Deep[keyOut]
		if len(list) != 2 || list[0] != 1.5 || list[1] != valueOut || len(object.Deep) != 1 {
			rt.Fatalf("%s: %s", record, got)
		}
		if prefix := fmt.Sprintf(`{ "k":[ %s ], "deep": {`, other); !strings.HasPrefix(got.Outs[0], prefix) || !strings.HasSuffix(got.Outs[0], `]}, "n":null}`) {
			rt.Fatalf("%s: %s", record, got)
		}
	})
}

// FuzzRedact sees that redacting is stable (what has been redacted has nothing more to redact), keeps JSON JSON, and never breaks.
func FuzzRedact(f *testing.F) {
	for _, cases := range kinds {
		for _, c := range cases {
			f.Add([]byte(c.text))
		}
	}
	const all = `detect: [ email, credit_card, ipv4, ipv6, mac, iban, us_ssn, jwt, aws_access_key_id ]`
	text, doc, masked := open(f, "redact", `{ `+all+`, format: text, replacement: "<#>" }`), open(f, "redact", `{ `+all+` }`), open(f, "redact", `{ `+all+`, format: text, keep_last: 4 }`)
	f.Fuzz(func(t *testing.T, data []byte) {
		if got := apply(t, text, string(data))[0]; got.Status == stage.OK {
			if again := apply(t, text, got.Outs[0])[0]; again.Status != stage.Unchanged {
				t.Fatalf("%q became %q and then %s", data, got.Outs[0], again)
			}
		}
		apply(t, masked, string(data))
		got := apply(t, doc, string(data))[0]
		if got.Status == stage.OK && !json.Valid([]byte(got.Outs[0])) {
			t.Fatalf("%q became %s", data, got)
		}
		quoted, err := json.Marshal(string(data))
		if err != nil {
			t.Fatal(err)
		}
		if got := apply(t, doc, string(quoted))[0]; got.Status == stage.Failed || got.Status == stage.OK && !json.Valid([]byte(got.Outs[0])) {
			t.Fatalf("%s became %s", quoted, got)
		}
	})
}

func TestRedactingTakesTimeInProportion(t *testing.T) {
	var texts []string
	for _, cases := range kinds {
		for _, c := range cases {
			texts = append(texts, c.text)
		}
	}
	tr := open(t, "redact", `{ detect: [ email, credit_card, ipv4, ipv6, mac, iban, us_ssn, jwt, aws_access_key_id ], format: text }`)
	inProportion(t, tr, texts, []string{"@", "a", "1", " ", ".", ":", "::", "-", "eyJ", ".eyJ", "AT", "AT61", "AKIA", "a@b", "1.", "é"}, 40)
}

func BenchmarkRedact(b *testing.B) {
	b.Run("fields", func(b *testing.B) { measure(b, open(b, "redact", `{ fields: [ .user.email, .user.name ] }`), someJSON) })
	b.Run("detect", func(b *testing.B) {
		measure(b, open(b, "redact", `{ detect: [ email, credit_card, ipv4 ] }`), someJSON)
	})
	b.Run("detect/nothing", func(b *testing.B) {
		measure(b, open(b, "redact", `{ detect: [ email, credit_card, ipv4, ipv6, iban, us_ssn, jwt ] }`), strings.ReplaceAll(someJSON, "@", "/"))
	})
	b.Run("pattern", func(b *testing.B) { measure(b, open(b, "redact", `{ patterns: [ '\d{3}-\d{4}' ] }`), someJSON) })
	b.Run("text", func(b *testing.B) {
		measure(b, open(b, "redact", `{ detect: [ ipv4, email ], format: text }`), `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en]"`)
	})
}
