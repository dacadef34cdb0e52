package builtin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/leatstream/leat/core/stage"
)

// stateless are settings of transforms that keep nothing from record to record; makesJSON says that all their outputs are JSON.
var stateless = []struct {
	key, settings string
	makesJSON     bool
}{
	{"append_delimiter", `{}`, false},
	{"csv_to_json", fourColumns, true},
	{"csv_to_json", `{ header: true, delimiter: ";", quote: "'", null_values: [ "", x ] }`, true},
	{"json_to_csv", `{ columns: [ .id, ".tags[0]", .user ] }`, false},
	{"parse", `{ regex: '(?P<a>\w+) ?(?P<b>\S*)' }`, true},
	{"parse", `{ key_value: {}, from: .message, into: . }`, true},
	{"parse", `{ syslog: auto, from: .message }`, true},
	{"add_fields", `{ fields: { .a.b: 1, .tags: x }, metadata: { .user.key: partition_key } }`, true},
	{"remove_fields", `{ fields: [ .user.name, .tags ] }`, true},
	{"remove_fields", `{ keep: [ .user.name, .tags ] }`, true},
	{"rename_fields", `{ fields: { .id: .name, .user.name: .who, .tags: .user.tags } }`, true},
	{"redact", `{ fields: [ .user.name ], detect: [ email, credit_card, ipv4 ], patterns: [ 'some\w+' ] }`, true},
	{"redact", `{ fields: [ .id ], detect: [ email, ipv6 ], within: [ .user ], keep_last: 3 }`, true},
	{"hash_fields", `{ fields: [ .user.email, .id ] }`, true},
	{"timestamps", `{ fields: [ .time, .id ], from: [ rfc3339, epoch, "%d.%m.%Y" ], fallback: keep }`, true},
	{"split", `{ array: .tags }`, true},
	{"split", `{ array: .tags, keep_record: true }`, true},
	{"split", `{ delimiter: "," }`, false},
	{"join", `{ array: .tags }`, true},
	{"join", `{ fields: [ .id, .user.name ], into: .user.label }`, true},
	{"join", `{ lines: . }`, false},
}

// FuzzStateless sees that whatever a record holds there is one outcome: outputs that are JSON where they should be, and codes that begin
// with the transform's name.
func FuzzStateless(f *testing.F) {
	for _, text := range []string{someJSON, "a,1,2,2026-11-23", "a;b\n1;'2'\n", `{"tags":[1,"x",[{}]],"user":null}`, `{"id":1,"id":{"a":2},"user":{"name":"\u0041"}}`, "\xff", "[1]", ""} {
		f.Add([]byte(text))
	}
	var all []stage.Transform
	for _, s := range stateless {
		all = append(all, open(f, s.key, s.settings))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for i, tr := range all {
			s := stateless[i]
			got := apply(t, tr, string(data))[0]
			if got.Status == stage.Failed && (!strings.HasPrefix(got.Code, s.key+".") || got.Reason == "" || len(got.Reason) > 1000) {
				t.Fatalf("%s %s of %q: %s", s.key, s.settings, data, got)
			}
			for _, out := range got.Outs {
				if s.makesJSON && !json.Valid([]byte(out)) {
					t.Fatalf("%s %s of %q: %s", s.key, s.settings, data, got)
				}
			}
		}
	})
}

// What one goroutine makes of records does not depend on what others do at the same time, nor on the records before.
func TestCallsAtTheSameTimeDoNotMix(t *testing.T) {
	records := []string{
		someJSON, strings.ReplaceAll(someJSON, "somebody", "another"), `{"id":"a","tags":["x\n",2,true],"user":{"name":"n","email":"e@f.gh"},"message":"a=1 b=\"\\\"\""}`,
		`{"message":"<13>1 - h a p m [x y=\"z\"] text","user":{},"tags":[]}`, "plain,1,2.5,2026-11-30", `"a, ""b""",-7,,`, "a;b\n'x;y';2\n", "level=info text", "", "{",
	}
	for _, s := range stateless {
		tr := open(t, s.key, s.settings)
		var want []string
		for _, r := range records {
			want = append(want, apply(t, open(t, s.key, s.settings), r)[0].String())
		}
		var wait sync.WaitGroup
		for g := range 4 {
			wait.Go(func() {
				for i := range 30 {
					at := (g*7 + i) % len(records)
					other := (at + g + 1) % len(records)
					for k, got := range apply(t, tr, records[at], records[other], records[at]) {
						expected := want[at]
						if k == 1 {
							expected = want[other]
						}
						if text := fmt.Sprint(got); text != expected {
							t.Errorf("%s %s: got %s, want %s", s.key, s.settings, text, expected)
							return
						}
					}
				}
			})
		}
		wait.Wait()
	}
}
