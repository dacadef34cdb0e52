package builtin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFieldsAreAdded(t *testing.T) {
	becomes(t, "add_fields", `{ fields: { .a: 1.50, .b.c: [ x, null ], .d: { e: "f" } } }`,
		`{}`, `[{"a":1.50,"b":{"c":["x",null]},"d":{"e":"f"}}]`,
		"{ \"z\" : 1e2 }\n", `[{ "z" : 1e2,"a":1.50,"b":{"c":["x",null]},"d":{"e":"f"} }`+"\n]",
		`{"b":{},"d":null,"a":"x"}`, `[{"b":{"c":["x",null]},"d":{"e":"f"},"a":1.50}]`,
		`{"b":null}`, `[{"b":{"c":["x",null]},"a":1.50,"d":{"e":"f"}}]`,
		`{"b":[]}`, `add_fields.no_object: b is an array, and nothing can be set in it`,
		`[]`, `add_fields.no_object: the document is an array, and nothing can be set in it`,
		``, `add_fields.not_json: not JSON: at byte 0: …`,
	)
	becomes(t, "add_fields", `{ metadata: { .k: partition_key, .s: sequence_number, .u: sub_sequence_number, .h: shard_id, .t: arrived, .m: arrived_ms, .p: pipeline, .g: stage, .o: "attribute:origin", .x: "attribute:none" } }`,
		`{"k":1}`, `[{"k":"key","s":"1","u":0,"h":"shardId-000000000003","t":"2026-11-23T12:00:00Z","m":1795435200000,"p":"p","g":"t","o":"test"}]`)
	becomes(t, "add_fields", `{ fields: { .a: 1, .b: 2 }, overwrite: false }`, `{"a":null,"b":[]}`, "unchanged", `{"a":0}`, `[{"a":0,"b":2}]`)
	refused(t, "add_fields", map[string]string{
		`{}`:                             "needs fields or metadata",
		`{ fields: [ .a ] }`:             "not a mapping",
		`{ fields: { a: 1 } }`:           "not a path",
		`{ fields: { .a: 1, .a.b: 2 } }`: ".a and .a.b cannot both be there",
		`{ fields: { .a: 1 }, metadata: { .a: stage } }`: ".a is there twice",
		`{ metadata: { .a: color } }`:                    `there is no "color"`,
		`{ metadata: { .a: "attribute:" } }`:             `there is no "attribute:"`,
	})
}

func TestFieldsAreRemoved(t *testing.T) {
	becomes(t, "remove_fields", `{ fields: [ .a, .b.c, '.["odd key"]' ] }`,
		`{ "a" : 1 , "b" : {"c":{}, "d": 2.0}, "odd key":[] }`, `[{ "b" : {"d": 2.0} }]`,
		`{"a":1}`, `[{}]`, `{"b":{"c":1}}`, `[{"b":{}}]`, `{"a":1,"x":2,"\u0061":3}`, `[{"x":2}]`,
		`{"b":1}`, "unchanged", `[1]`, "unchanged", `"a"`, "unchanged",
		`{"a":}`, `remove_fields.not_json: not JSON: at byte 5: …`,
	)
	becomes(t, "remove_fields", `{ keep: [ .a, .b.c.d, .b.e, .b.c, .f.g ] }`,
		`{ "x":1, "b": {"z":1, "c": {"q": 1 }, "e" : 1e1 }, "\u0061" : "é", "f":7 }`, `[{"b":{"c":{"q": 1 },"e":1e1},"\u0061":"é"}]`,
		`{"f":{}}`, `[{"f":{}}]`, `{}`, `[{}]`,
		`null`, `remove_fields.not_an_object: the record is null, and no field of it can be kept`,
	)
	refused(t, "remove_fields", map[string]string{`{}`: "needs one of", `{ fields: [ a ] }`: "not a path", `{ keep: [ ".a[1]" ] }`: "array", `{ keep: [] }`: "takes 1 to"})
}

func TestFieldsAreRenamed(t *testing.T) {
	becomes(t, "rename_fields", `{ fields: { .a: .b, .c: .d.e, .f.g: .h, .f.i: .f.j } }`,
		`{ "a" : 1.0 , "x":2 }`, `[{ "b" : 1.0 , "x":2 }]`,
		`{"b":1,"x":2,"a":3}`, `[{"x":2,"b":3}]`,
		`{"c":[1, 2],"f":{"g":"y","i":0}}`, `[{"f":{"j":0},"d":{"e":[1, 2]},"h":"y"}]`,
		`{"x":1}`, "unchanged", `7`, "unchanged",
		`{"c":1,"d":"text"}`, `rename_fields.no_object: d is a string, and nothing can be set in it`,
		`{]`, `rename_fields.not_json: not JSON: at byte 1: …`,
	)
	becomes(t, "rename_fields", `{ fields: { .a.x: .b, .b: .a.x } }`, `{"a":{"x":1},"b":2}`, `[{"a":{"x":2},"b":1}]`)
	becomes(t, "rename_fields", `{ fields: { .a: .b, .c: .d.e }, overwrite: false }`, `{"a":1,"b":2,"c":3,"d":{"e":4}}`, "unchanged", `{"a":1,"c":2}`, `[{"b":1,"d":{"e":2}}]`)
	becomes(t, "rename_fields", `{ fields: { .a.b: .c }, missing: fail }`, `{"a":{}}`, `rename_fields.missing: there is no .a.b`)
	refused(t, "rename_fields", map[string]string{
		`{}`:                               "needs the key",
		`{ fields: { .a: .a.b } }`:         "one holds the other",
		`{ fields: { .a: .b, .c: .b } }`:   ".b is there twice",
		`{ fields: { .a: .b, .a.x: .c } }`: "one holds the other",
		`{ fields: { .a: b } }`:            "not a path",
		`{ fields: { a: .b } }`:            "not a path",
	})
}

// objects draws the text of a JSON object with keys of its own and odd spaces, and its keys in order.
func object(t *rapid.T, values ...string) (text string, keys []string) {
	keys = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-m]{1,3}`), 0, 6, rapid.ID[string]).Draw(t, "keys")
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	values = append(values, `1.50`, `"x\u00e9\n"`, `null`, `[1, {"A":2}]`, `{"A": 1,"Z": 2}`, `true`, `-0`, `1e400`)
	text = "{"
	for i, k := range keys {
		if i > 0 {
			text += ","
		}
		text += space.Draw(t, "s") + `"` + k + `"` + space.Draw(t, "s") + ":" + space.Draw(t, "s") + rapid.SampledFrom(values).Draw(t, "v") + space.Draw(t, "s")
	}
	if len(keys) == 0 {
		text += space.Draw(t, "s")
	}
	return text + "}", keys
}

func TestAddingAndRemovingGivesTheSameBytes(t *testing.T) {
	add, remove := open(t, "add_fields", `{ fields: { .x: [ 1 ], .y.z: true } }`), open(t, "remove_fields", `{ fields: [ .y, .x ] }`)
	rapid.Check(t, func(rt *rapid.T) {
		text, _ := object(rt)
		added := apply(t, add, text)[0]
		if len(added.Outs) != 1 || !strings.Contains(added.Outs[0], `"x":[1],"y":{"z":true}`) {
			rt.Fatalf("%s: %s", text, added)
		}
		if got := apply(t, remove, added.Outs[0])[0].Outs; len(got) != 1 || got[0] != text {
			rt.Fatalf("%q became %q and then %q", text, added.Outs[0], got)
		}
	})
}

func TestRenamingKeepsTheOrderAndTheValues(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text, keys := object(rt)
		if len(keys) == 0 {
			return
		}
		from := rapid.SampledFrom(keys).Draw(rt, "from")
		tr := open(t, "rename_fields", fmt.Sprintf(`{ fields: { .%s: .new } }`, from))
		got := apply(t, tr, text)[0]
		if len(got.Outs) != 1 || strings.Replace(text, `"`+from+`"`, `"new"`, 1) != got.Outs[0] {
			rt.Fatalf("%q with %s: %s", text, from, got)
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &before) != nil || json.Unmarshal([]byte(got.Outs[0]), &after) != nil {
			rt.Fatalf("%s: %s", text, got)
		}
		before["new"] = before[from]
		delete(before, from)
		if !maps.EqualFunc(before, after, func(a, b json.RawMessage) bool { return slices.Equal(a, b) }) {
			rt.Fatalf("%s: %s", text, got)
		}
	})
}

// Whatever fields change places, within an object and between two: each value comes to where it should.
func TestRenamedValuesComeToTheirPlaces(t *testing.T) {
	places := []string{".a", ".b", ".c", ".x.a", ".x.b", ".y.z"}
	rapid.Check(t, func(rt *rapid.T) {
		from := rapid.Permutation(places).Draw(rt, "from")
		to := rapid.Permutation(places).Draw(rt, "to")
		n := rapid.IntRange(1, len(places)).Draw(rt, "moves")
		var pairs []string
		moves := map[string]string{}
		for i := range n {
			if from[i] != to[i] {
				pairs = append(pairs, from[i]+": "+to[i])
				moves[from[i]] = to[i]
			}
		}
		if len(pairs) == 0 {
			return
		}
		there := map[string]int{}
		object := map[string]any{"x": map[string]any{}, "y": map[string]any{}}
		put := func(object map[string]any, place string, v any) {
			keys := strings.Split(place[1:], ".")
			if len(keys) == 2 {
				object = object[keys[0]].(map[string]any)
			}
			object[keys[len(keys)-1]] = v
		}
		for i, place := range places {
			if rapid.Bool().Draw(rt, place) {
				there[place] = i
				put(object, place, i)
			}
		}
		want := map[string]any{"x": map[string]any{}, "y": map[string]any{}}
		for _, moved := range []bool{false, true} {
			for place, v := range there {
				if target, ok := moves[place]; ok == moved {
					if ok {
						place = target
					}
					put(want, place, v)
				}
			}
		}
		in, err1 := json.Marshal(object)
		expected, err2 := json.Marshal(want)
		if err1 != nil || err2 != nil {
			rt.Fatal(err1, err2)
		}
		got := apply(t, open(t, "rename_fields", "{ fields: { "+strings.Join(pairs, ", ")+" } }"), string(in))[0]
		out := string(in)
		if len(got.Outs) > 0 {
			out = got.Outs[0]
		}
		var result any
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			rt.Fatalf("%s: %v", got, err)
		}
		if sorted, err := json.Marshal(result); err != nil || string(sorted) != string(expected) {
			rt.Fatalf("%s with %s: got %s, want %s", in, pairs, got, expected)
		}
	})
}

const someJSON = `{"id":12345,"time":"2026-11-23T12:00:00Z","user":{"name":"somebody","email":"somebody@example.com","plan":"pro"},"level":"info","message":"a request was answered","status":200,"took":0.0125,"tags":["a","b","c"]}`

func BenchmarkFields(b *testing.B) {
	for _, c := range []struct{ key, settings string }{
		{"add_fields", `{ fields: { .env: prod, .region: eu }, metadata: { .key: partition_key } }`},
		{"remove_fields", `{ fields: [ .user.email, .took, .tags ] }`},
		{"remove_fields", `{ keep: [ .id, .user.name, .status ] }`},
		{"rename_fields", `{ fields: { .time: .timestamp, .user.name: .user.id, .level: .severity } }`},
	} {
		b.Run(c.key+"/"+strings.Fields(c.settings)[1], func(b *testing.B) { measure(b, open(b, c.key, c.settings), someJSON) })
	}
}
