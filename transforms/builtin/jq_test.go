package builtin_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestEachResultOfAQueryIsARecord(t *testing.T) {
	becomes(t, "jq", `query: '.a'`,
		`{"a":1.50,"b":2}`, "[1.50]", ` {"a": {"z":1,"b":"<é>"}} `, `[{"b":"<é>","z":1}]`, `{}`, "[null]", `{"a":"x"}`, `["x"]`,
		`[]`, "jq.failed: expected an object but got: array ([])",
		`{"a":1}{"a":2}`, "jq.not_json: the record is not one JSON value: byte 7 does not belong there",
		``, "jq.not_json: the record is not one JSON value: byte 0 does not belong there",
		`{"a":"`+"\xff"+`"}`, `["`+"\uFFFD"+`"]`)
	becomes(t, "jq", `query: '.[]'`, `[1,"a",{}]`, `[1 "a" {}]`, `[]`, "dropped")
	becomes(t, "jq", `{ query: '.[]', raw: true }`, `[1,"a b"]`, `[1 a b]`)
	becomes(t, "jq", `{ query: 'length', input: text }`, "a\xffb", `[3]`, "", "[0]")
	becomes(t, "jq", `query: '[$_key, $_attrs.origin, $_arrived, $_shard, $_seq, $_sub, $_attrs.none]'`, `1`, `[["key","test",1795435200,"shardId-000000000003",1,0,null]]`)
	if got := apply(t, open(t, "jq", `query: '.'`), `1`)[0].Results[0]; got.Key != "key" || got.Attrs[0].Value != "test" {
		t.Errorf("the output has the key %q and the attributes %v", got.Key, got.Attrs)
	}
}

// What came before an error is not delivered, and what costs too much fails its record alone.
func TestAQueryThatGoesTooFarFailsItsRecord(t *testing.T) {
	for query, want := range map[string]string{
		`1, error("no")`:            "jq.failed: error: no",
		`range(1e12)`:               "jq.too_large: the query gives more than 100000 results, or 16 MiB",
		`range(40) | "x" * 1000000`: "jq.too_large: the query gives more than 100000 results, or 16 MiB",
		`def f: f; f`:               "jq.failed: the query takes longer than 1s",
	} {
		tr := open(t, "jq", "query: 'if . == 1 then ("+query+") else . end'")
		got := apply(t, tr, "0", "1", "2")
		slow := strings.HasPrefix(got[1].String(), "jq.failed: the query takes longer") // a machine with much else to do may see that first
		if s := fmt.Sprint(got[0], got[2]); s != "[0] [2]" || !strings.HasPrefix(got[1].String(), want) && !slow {
			t.Errorf("%s: %v", query, got)
		}
	}
}

func TestQueriesThatDoNotCompile(t *testing.T) {
	refused(t, "jq", map[string]string{`query: '.a |'`: "does not compile", `query: 'input'`: "does not compile", `query: '$x'`: "variable not defined", `{}`: `needs the key "query"`})
}

func BenchmarkJQ(b *testing.B) {
	for _, query := range []string{".user.id", `select(.level == "error") | {level, status}`} {
		b.Run(query, func(b *testing.B) { measure(b, open(b, "jq", "query: '"+query+"'"), logLine) })
	}
}
