package builtin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

func TestTextsAreParsedByRegularExpressions(t *testing.T) {
	becomes(t, "parse", `{ regex: '(?P<a>\d+)(?:-(?P<b>[^ ]*))?( x)?', types: { a: integer, b: boolean } }`,
		"see 007-yes!", `parse.bad_value: b: "yes!" is not true or false`,
		"see 007-yes", `[{"a":7,"b":true}]`,
		"7-", `[{"a":7,"b":null}]`,
		"7\n", `[{"a":7,"b":null}]`,
		"none", `parse.no_match: the regular expression does not match "none"`,
		strings.Repeat("é", 40), `parse.no_match: the regular expression does not match "`+strings.Repeat("é", 20)+`"…`,
	)
	becomes(t, "parse", `{ regex: '(?s)^(?<all>.*)$' }`, "caf\xe9 \"q\"\n\ttab\x00", `[{"all":"caf`+"\ufffd"+` \"q\"\n\ttab\u0000"}]`)
}

func TestAccessLogsAreParsed(t *testing.T) {
	const line = `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326`
	becomes(t, "parse", `{ apache: common }`,
		line, `[{"host":"127.0.0.1","identity":null,"user":"frank","timestamp":"2000-10-10T13:55:36-07:00","request":"GET /a HTTP/1.0","method":"GET","path":"/a","protocol":"HTTP/1.0","status":200,"size":2326}]`,
		`::1 id a user [29/Feb/2024:00:00:00 +0530] "GET /a b\"c HTTP/2.0" 304 -`+"\r\n", `[{"host":"::1","identity":"id","user":"a user","timestamp":"2024-02-29T00:00:00+05:30","request":"GET /a b\"c HTTP/2.0","method":"GET","path":"/a b\"c","protocol":"HTTP/2.0","status":304,"size":null}]`,
		`h - - [01/Jan/2024:00:00:00 +0000] "\x16\x03\x01" 400 0`, `[{"host":"h","identity":null,"user":null,"timestamp":"2024-01-01T00:00:00+00:00","request":"\u0016\u0003\u0001","method":null,"path":null,"protocol":null,"status":400,"size":0}]`,
		`h - - [01/Jan/2024:00:00:00 +0000] "-" 408 -`, `[{"host":"h","identity":null,"user":null,"timestamp":"2024-01-01T00:00:00+00:00","request":null,"method":null,"path":null,"protocol":null,"status":408,"size":null}]`,
		"", `parse.no_match: the client's address is missing at byte 0: the text ends there`,
		"h", `parse.no_match: the identity is missing at byte 1: the text ends there`,
		`h - - 10/Oct/2000`, `parse.no_match: the user, and behind it the time in brackets is missing at byte 4: there is "- 10/Oct/2000"`,
		`h - - [30/Feb/2024:00:00:00 +0000] "-" 408 -`, `parse.no_match: a valid time is missing at byte 7: there is "30/Feb/2024:00:00:00 +0000] \"-\" 408 -"`,
		`h - - [01/Jan/2024:00:00:00 +0000] "- 408 -`, `parse.no_match: the request in quotes is missing at byte 35: there is "\"- 408 -"`,
		`h - - [01/Jan/2024:00:00:00 +0000] "-" x08 -`, `parse.no_match: a status of three digits is missing at byte 40: there is "08 -"`,
		line+"5x", `parse.no_match: a size in bytes is missing at byte 75: the text ends there`,
		line+" more", `parse.no_match: the end of the line is missing at byte 74: there is "more"`,
	)
	becomes(t, "parse", `{ apache: vhost_combined }`,
		`example.com:443 `+line+` "-" "curl/8 \\ \"x\""`, `[{"vhost":"example.com:443","host":"127.0.0.1","identity":null,"user":"frank","timestamp":"2000-10-10T13:55:36-07:00","request":"GET /a HTTP/1.0","method":"GET","path":"/a","protocol":"HTTP/1.0","status":200,"size":2326,"referrer":null,"agent":"curl/8 \\ \"x\""}]`,
		`example.com:443 `+line, `parse.no_match: the referrer in quotes is missing at byte 89: the text ends there`,
	)
	becomes(t, "parse", `{ nginx: main }`,
		line+` "-" "curl/8" "10.0.0.1"`, `[{"host":"127.0.0.1","user":"frank","timestamp":"2000-10-10T13:55:36-07:00","request":"GET /a HTTP/1.0","method":"GET","path":"/a","protocol":"HTTP/1.0","status":200,"size":2326,"referrer":null,"agent":"curl/8","forwarded_for":"10.0.0.1"}]`,
	)
}

func TestErrorLogsAreParsed(t *testing.T) {
	becomes(t, "parse", `{ apache: error, time_zone: Europe/Vienna }`,
		`[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:1234] File does not exist: /x`,
		`[{"timestamp":"2011-09-09T10:42:29.902022+02:00","module":"core","severity":"error","pid":35708,"thread":"4328636416","client":"72.15.99.187:1234","message":"File does not exist: /x"}]`,
		`[Wed Oct  1 14:32:52 2000] [error] [client 127.0.0.1] client denied: /export`,
		`[{"timestamp":"2000-10-01T14:32:52+02:00","module":null,"severity":"error","pid":null,"thread":null,"client":"127.0.0.1","message":"client denied: /export"}]`,
		`[Fri Sep 09 10:42:29 2011] [mpm:notice] [pid x] hello`, `parse.no_match: a pid that is a number is missing at byte 48: there is "hello"`,
		`[Fri Sep 31 10:42:29 2011] [core:error] x`, `parse.no_match: a valid time is missing at byte 1: there is "Fri Sep 31 10:42:29 2011] [core:error] x"`,
		`Fri`, `parse.no_match: the time in brackets is missing at byte 0: there is "Fri"`,
	)
	becomes(t, "parse", `{ nginx: error }`,
		`2021/04/01 13:02:31 [notice] 1#0: signal process started`,
		`[{"timestamp":"2021-04-01T13:02:31Z","severity":"notice","pid":1,"tid":0,"connection":null,"message":"signal process started","client":null,"server":null,"request":null,"subrequest":null,"upstream":null,"host":null,"referrer":null}]`,
		`2021/04/01 13:02:31 [error] 31#31: *1 upstream timed out, client: 10.0.0.1, server: , request: "GET /a"b, c HTTP/1.1", upstream: "http://u/", host: "h", referrer: "http://r/"`,
		`[{"timestamp":"2021-04-01T13:02:31Z","severity":"error","pid":31,"tid":31,"connection":1,"message":"upstream timed out","client":"10.0.0.1","server":null,"request":"GET /a\"b, c HTTP/1.1","subrequest":null,"upstream":"http://u/","host":"h","referrer":"http://r/"}]`,
		`2021/04/01 13:02:31 [error] 31#31: *1 x, client: 10.0.0.1, odd: 7`, `parse.no_match: a detail that nginx writes is missing at byte 57: there is ", odd: 7"`,
		`2021/04/01 13:02:61 [error] 31#31: x`, `parse.no_match: a valid time is missing at byte 0: there is "2021/04/01 13:02:61 [error] 31#31: x"`,
		`2021/04/01 13:02:31 [error] 31: x`, `parse.no_match: the process is missing at byte 28: there is "31: x"`,
		`x`, `parse.no_match: the time of day, and behind it the severity in brackets is missing at byte 1: the text ends there`,
	)
}

func TestSyslogIsParsed(t *testing.T) {
	becomes(t, "parse", `{ syslog: auto }`,
		`<13>1 - - - - - -`, `[{"facility":"user","severity":"notice","timestamp":null,"hostname":null,"appname":null,"procid":null,"msgid":null,"structured_data":null,"message":""}]`,
		`<0>1 2026-11-23T12:00:00+01:00 h a p m [x@1 a="1" b="\"\\\]\n"][y][x@1 c="2"] `+"\ufeffé", `[{"facility":"kern","severity":"emerg","timestamp":"2026-11-23T12:00:00+01:00","hostname":"h","appname":"a","procid":"p","msgid":"m","structured_data":{"x@1":{"a":"1","b":"\"\\]\\n"},"y":{}},"message":"é"}]`,
		`<191>Nov 23 11:00:00 host kernel: [ 1.2] up`, `[{"facility":"local7","severity":"debug","timestamp":"2026-11-23T11:00:00Z","hostname":"host","appname":"kernel","procid":null,"message":"[ 1.2] up"}]`,
		`Dec  1 11:00:00 host cron[77]: (root) CMD`, `[{"facility":null,"severity":null,"timestamp":"2026-12-01T11:00:00Z","hostname":"host","appname":"cron","procid":"77","message":"(root) CMD"}]`,
		`2026-11-23T11:00:00.123456+01:00 host a.b/c[7]: x: y`, `[{"facility":null,"severity":null,"timestamp":"2026-11-23T11:00:00.123456+01:00","hostname":"host","appname":"a.b/c","procid":"7","message":"x: y"}]`,
		`<34>Nov 23 11:00:00 su: no host`, `[{"facility":"auth","severity":"crit","timestamp":"2026-11-23T11:00:00Z","hostname":null,"appname":"su","procid":null,"message":"no host"}]`,
		`<34>Nov 23 11:00:00 host no tag here`, `[{"facility":"auth","severity":"crit","timestamp":"2026-11-23T11:00:00Z","hostname":"host","appname":null,"procid":null,"message":"no tag here"}]`,
		`<34>Feb 29 11:00:00 host a: b`, `parse.no_match: a time such as Oct 11 22:14:15 is missing at byte 4: there is "Feb 29 11:00:00 host a: b"`,
		`<192>Nov 23 11:00:00 h a: b`, `parse.no_match: a priority of 0 to 191 in angle brackets is missing at byte 0: there is "<192>Nov 23 11:00:00 h a: b"`,
		`<034>1 - - - - - -`, `parse.no_match: a priority of 0 to 191 in angle brackets is missing at byte 0: there is "<034>1 - - - - - -"`,
		`<34>1 2026-11-23 h a p m - x`, `parse.no_match: a time as RFC 3339 has it is missing at byte 6: there is "2026-11-23 h a p m - x"`,
		`<34>1 - h a p m x`, `parse.no_match: structured data or a dash is missing at byte 16: there is "x"`,
		`<34>1 - h a p m [x a=1] b`, `parse.no_match: a parameter of structured data is missing at byte 21: there is "1] b"`,
		`<34>1 - h a p m [x a="1" b`, `parse.no_match: an equals sign is missing at byte 25: there is "b"`,
		`<34>1 - h a p m [x]b`, `parse.no_match: a space before the message is missing at byte 19: there is "b"`,
		``, `parse.no_match: a time such as Oct 11 22:14:15 is missing at byte 0: the text ends there`,
		`<`, `parse.no_match: a priority of 0 to 191 in angle brackets is missing at byte 0: there is "<"`,
	)
	becomes(t, "parse", `{ syslog: rfc5424 }`, `Nov 23 11:00:00 h a: b`, `parse.no_match: the priority in angle brackets is missing at byte 0: there is "Nov 23 11:00:00 h a: b"`)
	becomes(t, "parse", `{ syslog: rfc3164, time_zone: America/New_York }`, `<34>Jul 23 11:00:00 h a: b`, `[{"facility":"auth","severity":"crit","timestamp":"2026-07-23T11:00:00-04:00","hostname":"h","appname":"a","procid":null,"message":"b"}]`)
}

// The year of a time without one is at most half a year away from the record's arrival.
func TestATimeWithoutYearIsNearTheArrival(t *testing.T) {
	for day := range 365 {
		at := arrived.AddDate(0, 0, day-182)
		text := at.Format("Jan _2 15:04:05") + " h a: b"
		got := apply(t, open(t, "parse", `{ syslog: rfc3164 }`), text)[0].String()
		if !strings.Contains(got, `"timestamp":"`+at.Format(time.RFC3339)+`"`) {
			t.Fatalf("%s: %s", text, got)
		}
	}
}

func TestPairsAreParsed(t *testing.T) {
	becomes(t, "parse", `{ key_value: {}, types: { n: integer, x: number, b: boolean } }`,
		`n=1 x=1.50 b=f s=2 e= q="a \"b\"\n\\" done`, `[{"n":1,"x":1.50,"b":false,"s":"2","e":"","q":"a \"b\"\n\\","done":true}]`,
		"\t n= \t\r\n", `[{"n":null}]`,
		`a=1 a=2 "odd key"=3 "bare key" u=x=y`, `[{"a":"1","odd key":"3","bare key":true,"u":"x=y"}]`,
		`n=one`, `parse.bad_value: n: "one" is not an integer of 64 bits`,
		`=1`, `parse.no_match: a key is missing at byte 0: there is "=1"`,
		`a="open b=1`, `parse.no_match: a closing quote is missing at byte 2: there is "\"open b=1"`,
		`a="b"c`, `parse.no_match: what separates pairs is missing at byte 5: there is "c"`,
		`"a"b=1`, `parse.no_match: what separates a key in quotes from its value is missing at byte 3: there is "b=1"`,
		`  `, `parse.no_match: there is no pair in "  "`,
	)
	becomes(t, "parse", `{ key_value: { field_delimiter: "; ", key_value_delimiter: ": ", bare_keys: fail } }`,
		`a: 1; b: x; y; c: "d; e"`, `parse.no_match: a value for the key "y" is missing at byte 13: there is "; c: \"d; e\""`,
		`a: 1; b c: x y ; c: "d; e"`, `[{"a":"1","b c":"x y","c":"d; e"}]`,
	)
	many := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&many, "k%d=%d ", i, i)
	}
	got := apply(t, open(t, "parse", `{ key_value: {} }`), many.String(), many.String()+"x")
	var object map[string]string
	if err := json.Unmarshal([]byte(got[0].Outs[0]), &object); err != nil || len(object) != 1000 || object["k999"] != "999" {
		t.Errorf("%d pairs, %v", len(object), err)
	}
	if got[1].Code != "parse.too_many_fields" {
		t.Errorf("got %s", got[1])
	}
}

func TestTextsWithinRecordsAreParsed(t *testing.T) {
	becomes(t, "parse", `{ key_value: {}, from: .log.text }`,
		`{"id": 1.0, "log": {"text": "a=1 b=\"\u00e9\""}, "z":[] }`, `[{"id": 1.0, "log": {"text": {"a":"1","b":"é"}}, "z":[] }]`,
		`{"log":{"text":null}}`, `parse.not_text: .log.text is null, not text`,
		`{}`, `parse.not_text: .log.text is nothing, not text`,
		`a=1`, `parse.not_json: not JSON: at byte 0: …`,
		`{"log":{"text":""}}`, `parse.no_match: there is no pair in ""`,
	)
	becomes(t, "parse", `{ key_value: {}, from: .text, into: .new.fields }`,
		`{"text":"a=1"}`, `[{"text":"a=1","new":{"fields":{"a":"1"}}}]`,
		`{"text":"a=1","new":7}`, `parse.no_object: new is a number, and nothing can be set in it`,
	)
	becomes(t, "parse", `{ key_value: {}, from: .text, into: . }`,
		`{ "text" : "a=1 c=3" , "a" : {"x": [1, 2]}, "b":2, "\u0063":4}`, `[{"text":"a=1 c=3","b":2,"a":"1","c":"3"}]`,
		`{"text":"text=x"}`, `[{"text":"x"}]`,
	)
	becomes(t, "parse", `{ key_value: { bare_keys: ignore }, from: .text, into: . }`, `{"text":"a", "b":1}`, `parse.no_match: there is no pair in "a"`)
}

func TestSettingsOfParseAreChecked(t *testing.T) {
	refused(t, "parse", map[string]string{
		`{}`:                                    "needs one of the keys",
		`{ regex: "(?P<a>.)", syslog: auto }`:   "only one of them",
		`{ regex: "(" }`:                        "missing closing )",
		`{ regex: "a(?=b)" }`:                   "look-arounds",
		`{ regex: "(a)" }`:                      "no named groups",
		`{ regex: "(?P<a>.)(?P<b>.)(?P<a>.)" }`: "two groups",
		`{ regex: "(?P<a>.)", types: { b: integer } }`:            "no group",
		`{ regex: "(?P<a>.)", types: { a: float } }`:              "must be string",
		`{ syslog: auto, types: { a: integer } }`:                 "types of their own",
		`{ syslog: auto, time_zone: Mars }`:                       "not a known time zone",
		`{ syslog: auto, into: .a }`:                              "from",
		`{ syslog: auto, from: a }`:                               "not a path",
		`{ syslog: auto, from: ".a[0]" }`:                         "array",
		`{ syslog: auto, from: . }`:                               "lone dot",
		`{ syslog: auto, from: .a, into: .b. }`:                   "not a path",
		`{ key_value: { field_delimiter: "=" } }`:                 "both delimiters",
		`{ key_value: { field_delimiter: "" } }`:                  "1 to 16 bytes",
		`{ regex: "(?P<a>.)` + strings.Repeat("x", 8<<10) + `" }`: "at most 8192",
	})
}

// formats are one configuration of each format, and a text that it takes.
var formats = []struct{ settings, text string }{
	{`{ regex: '^(?P<ip>\S+) (?P<n>\d+)?', types: { n: integer } }`, "10.0.0.1 77 and more"},
	{`{ apache: common }`, `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326`},
	{`{ apache: vhost_combined }`, `h:80 127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "-" "\x16 \" \\"`},
	{`{ apache: error }`, `[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:1234] File does not exist: /x`},
	{`{ nginx: combined }`, `127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "http://example.com/a/b" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"`},
	{`{ nginx: main }`, `127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "-" "x" "-"`},
	{`{ nginx: error }`, `2021/04/01 13:02:31 [error] 31#31: *1 x, client: 10.0.0.1, server: , request: "GET /a"b, c HTTP/1.1", upstream: "http://u/", host: "h"`},
	{`{ syslog: auto }`, `<165>1 2026-10-11T22:14:15.003Z mymachine.example.com evntslog 12 ID47 [exampleSDID@32473 iut="3" eventSource="Appl\]ication"] An event`},
	{`{ syslog: rfc3164 }`, `<34>Nov 23 22:14:15 mymachine su[230]: 'su root' failed on /dev/pts/8`},
	{`{ key_value: {}, types: { took: number } }`, `time=2026-11-23T12:00:00Z level=info msg="it \"works\" well" took=0.25 cached`},
	{`{ key_value: { field_delimiter: ", ", key_value_delimiter: ":" } }`, `a: 1, "b" : "x, y", c`},
}

// FuzzParse sees that no text breaks a format: there is one outcome, and an object is JSON with each name once.
func FuzzParse(f *testing.F) {
	var all []stage.Transform
	for _, format := range formats {
		f.Add([]byte(format.text))
		f.Add([]byte(format.text[:len(format.text)/2]))
		all = append(all, open(f, "parse", format.settings))
	}
	f.Add([]byte("<1>1 - - - - - [a b=\"\\"))
	f.Add([]byte("[Fri Sep 09 10:42:29. 2011] [\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for i, tr := range all {
			got := apply(t, tr, string(text))[0]
			switch {
			case got.Status == stage.Failed && (!strings.HasPrefix(got.Code, "parse.") || len(got.Reason) > 500):
				t.Fatalf("%s of %q: %s", formats[i].settings, text, got)
			case got.Status == stage.Failed:
			case len(got.Outs) != 1 || !json.Valid([]byte(got.Outs[0])):
				t.Fatalf("%s of %q: %s", formats[i].settings, text, got)
			default:
				unique(t, got.Outs[0])
			}
		}
	})
}

// unique fails if a key of an object is there twice.
func unique(t *testing.T, object string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	seen := map[string]bool{}
	for depth, key := 0, false; d.More() || depth > 1; {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			key = depth == 1
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
			key = depth == 1
			continue
		}
		if depth != 1 {
			continue
		}
		if name, ok := token.(string); ok && key {
			if seen[name] {
				t.Fatalf("%s has %q twice", object, name)
			}
			seen[name] = true
		}
		key = !key
	}
}

func TestParsingTakesTimeInProportion(t *testing.T) {
	parts := []string{`"`, `\"`, ` `, `=`, `[`, `]`, `a`, `, `, `: `, `"="`, ` "`, `" `, `[a b="`, `#`, `<1>1 - - - - - `, `, client: `, `a="b" `, "\n"}
	for _, format := range formats {
		inProportion(t, open(t, "parse", format.settings), []string{format.text}, parts, 6)
	}
}

// inProportion fails if a transform takes out of proportion longer for longer texts.
func inProportion(t *testing.T, tr stage.Transform, heads, parts []string, rounds int) {
	t.Helper()
	seed := rand.Uint64()
	for _, bad := range disproportions(t, tr, heads, parts, rounds, seed) {
		t.Errorf("seed %d: %s", seed, bad)
	}
}

// disproportions compares the times of texts of one size and of eight times the size: beginnings of heads, and then two parts again
// and again.
func disproportions(t *testing.T, tr stage.Transform, heads, parts []string, rounds int, seed uint64) (bad []string) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	random := rand.New(rand.NewPCG(seed, 1))
	for range rounds {
		head := heads[random.IntN(len(heads))]
		head = head[:random.IntN(len(head)+1)]
		part := parts[random.IntN(len(parts))] + parts[random.IntN(len(parts))]
		took := func(n int) time.Duration {
			text := head + strings.Repeat(part, n/len(part))
			best := time.Hour
			for range 3 {
				start := worked()
				apply(t, tr, text)
				best = min(best, worked()-start)
			}
			return best
		}
		small, large := took(32<<10), took(256<<10)
		if large > 30*small+20*time.Millisecond {
			bad = append(bad, fmt.Sprintf("%q and then %q again and again: 32 KiB take %v, 256 KiB %v", head, part, small, large))
		}
	}
	return bad
}

// quadratic is what parsers must not be: for each quote it looks at all that follows.
type quadratic struct{}

func (quadratic) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	for _, r := range in.Records {
		for i, c := range r.Data {
			if c == '"' && bytes.Contains(r.Data[i:], []byte("none")) {
				break
			}
		}
		out.Results = append(out.Results, stage.Result{Status: stage.Unchanged})
	}
	return nil
}

func (quadratic) Close(context.Context) error { return nil }

func TestTimeOutOfProportionIsNoticed(t *testing.T) {
	if len(disproportions(t, quadratic{}, []string{"x"}, []string{`"xxx`}, 1, 1)) == 0 {
		t.Error("a transform whose time grows with the square of the text passes")
	}
}

func BenchmarkParse(b *testing.B) {
	for _, format := range formats {
		b.Run(strings.Map(func(r rune) rune {
			if r == ' ' || r == '{' || r == '}' || r == '"' || r == '\'' {
				return -1
			}
			return r
		}, strings.SplitN(format.settings, "(", 2)[0]), func(b *testing.B) { measure(b, open(b, "parse", format.settings), format.text) })
	}
	b.Run("from", func(b *testing.B) {
		measure(b, open(b, "parse", `{ key_value: {}, from: .message, into: . }`), `{"host":"a","message":"level=info msg=\"it works\" took=0.25 cached","n":1}`)
	})
}
