package builtin_test

import (
	"strings"
	"testing"

	"github.com/leatstream/leat/core/stage"
)

func TestConditionsReadTheRecord(t *testing.T) {
	const data = `{"n":5,"f":2.50,"big":12345678901234567890,"s":"x\u0041","no":null,"yes":true,"user":{"id":7,"odd key":{"z":1},"let":3},"tags":["a","b",{"c":9}],"_id":1,"_key":"mine","_steps":4,"a":1,"a":2}`
	for condition, want := range map[string]string{
		`n == 5`: "unchanged", `n == 5.0`: "unchanged", `n > 4 and f < 2.6`: "unchanged", `f == 2.5`: "unchanged", `n != 5`: "dropped",
		`big > 1.2e19`: "unchanged", `s == "xA"`: "unchanged", `s matches "^x[A-Z]$"`: "unchanged", `yes`: "unchanged", `not yes`: "dropped",
		`no == nil && missing == nil && missing.deeper[3].still == nil && s.of == nil`:     "unchanged",
		`user.id == 7 && user["odd key"].z == 1 && user?.id == 7 && missing?.x == nil`:     "unchanged",
		`_record.n == 5 && _record["odd key"] == nil && _record.user["odd key"]["z"] == 1`: "unchanged",
		`tags[0] == "a" && tags[2].c == 9 && tags[7] == nil`:                               "unchanged",
		`tags[-1].c == 9 && len(tags) == 3 && "b" in tags`:                                 "unchanged",
		`any(tags, # == "b")`:                               "unchanged",
		`all(tags, # == "b")`:                               "dropped",
		`count(1..10, # > n) == 5`:                          "unchanged",
		`let id = user.id; id == 7 && any([id], # == id)`:   "unchanged",
		`let user = user; user.id == 7 && user.gone == nil`: "unchanged",
		`let let1 = tags; let1[0] == "a"`:                   "unchanged",
		`_id == 1 && _steps == 4 && a == 2`:                 "unchanged",
		`_key == "key" && _record._key == "mine" && _attrs.origin == "test" && _attrs.none == nil && _shard == "shardId-000000000003" && _seq == 1 && _sub == 0`: "unchanged",
		`_arrived == date("2026-11-23T12:00:00Z") && _arrived.Hour() == 12`:                                                                                      "unchanged",
		`_size == len(_data) && _data contains "odd key"`:                                                                                                        "unchanged",
		`s in ["xA", "y"]`: "unchanged", `missing in ["xA"]`: "dropped", `lower(s) == "xa"`: "unchanged", `(missing ?? 3) > 2`: "unchanged",
		`user[s] == nil`: "unchanged", `_record != nil`: "unchanged", `keys(_record) != []`: "unchanged",
		`missing > 3`:  "filter.failed: invalid operation: <nil> > int, at line 1, column 9",
		`s > 3`:        "filter.failed: invalid operation: string > int, at line 1, column 3",
		`s`:            "filter.failed: the condition gives a text, neither true nor false",
		`missing`:      "filter.failed: the condition gives nil, neither true nor false",
		`n.x.y == nil`: "unchanged",
		`all(1..100000, all(tags, all(tags, # != 1)))`: "filter.failed: its loops look at more than 1000000 elements, at line 1, column 1",
	} {
		becomes(t, "filter", "when: '"+strings.ReplaceAll(condition, "'", "''")+"'", data, want)
	}
}

func TestConditionsWithoutFieldsTakeRecordsOfAnyForm(t *testing.T) {
	becomes(t, "filter", `when: '_data contains "x"'`, "not json x", "unchanged", "", "dropped")
	becomes(t, "filter", `when: 'x == 1'`,
		"not json", "filter.not_json: the record is not one JSON value: byte 0 does not belong there",
		"", "filter.not_json: the record is not one JSON value: byte 0 does not belong there",
		`{"x":1}{"x":1}`, "filter.not_json: the record is not one JSON value: byte 7 does not belong there",
		`[1]`, "dropped", `null`, "dropped", `"x"`, "dropped")
}

func TestConditionsThatCannotBeMet(t *testing.T) {
	refused(t, "filter", map[string]string{
		`when: 'a =='`:                    "unexpected token EOF",
		`when: '_size > "a"'`:             "mismatched types",
		`when: '"text"'`:                  "type string",
		`when: 'nosuch(a)'`:               "there is no function nosuch",
		`when: 'repeat("x", 100) == a'`:   "there is no function repeat",
		`when: 'reduce(a, #acc + #) > 1'`: "there is no function reduce",
		`when: '$env.a == 1'`:             "$env is not there",
		`when: '_step(a)'`:                "there is no function _step",
		`when: 's matches "("'`:           "missing closing )",
		`when: ''`:                        "empty",
		`{}`:                              "when",
		`when: '` + strings.Repeat("a || ", 4000) + "a'": "at most 16384 are allowed",
		`when: '` + strings.Repeat("a || ", 2000) + "a'": "nodes",
	})
}

const logLine = `{"time":"2026-11-23T10:11:12.345678Z","level":"error","status":503,"method":"GET","path":"/api/v1/users/12345/orders?limit=50","host":"web-17.eu-central.example.net","user":{"id":"u-8842","plan":"pro"},"duration_ms":182.4,"bytes":18231,"agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"}`

func BenchmarkFilter(b *testing.B) {
	for _, condition := range []string{`level == "error" && status >= 500`, `user.plan in ["pro", "team"]`, `_data contains "orders"`, `any(["a", "b"], # == level)`} {
		b.Run(condition, func(b *testing.B) { measure(b, open(b, "filter", "when: '"+condition+"'"), logLine) })
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{logLine, `{"a":[1,{"b":"\u0041"}],"a":2}`, "", "[1e999,-0]", `{"user":"x"}`} {
		f.Add([]byte(s))
	}
	var all []stage.Transform
	for _, condition := range []string{`level == "error" && status >= 500`, `any(user.tags, .a == level)`, `_record.a[0] > _size || len(_record) > 1`} {
		all = append(all, open(f, "filter", "when: '"+condition+"'"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, tr := range all {
			apply(t, tr, string(data))
		}
	})
}
