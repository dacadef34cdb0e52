package builtin_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestObjectsBecomeRows(t *testing.T) {
	becomes(t, "json_to_csv", `{ columns: [ .a, .b.c, ".d[1]", . ] }`,
		`{"a":1.50}`, `[1.50,,,"{""a"":1.50}"]`,
		`{"a":"\u00e9,","b":{"c":true},"d":[0,"x\ny"]}`, "[\"é,\",true,\"x\ny\",\"{\"\"a\"\":\"\"\\u00e9,\"\",\"\"b\"\":{\"\"c\"\":true},\"\"d\"\":[0,\"\"x\\ny\"\"]}\"]",
		`{"a":"","d":[[],{"x": 1}]}`, `["",,"{""x"": 1}","{""a"":"""",""d"":[[],{""x"": 1}]}"]`,
		`[1]`, `[,,,[1]]`,
		`{"a":1}{`, `json_to_csv.not_json: the record is not one JSON value: byte 7 does not belong there`,
	)
	becomes(t, "json_to_csv", `{ columns: [ .a, ".[1]" ] }`,
		`{}`, `[,]`, ` [1,2]`, `[,2]`, " 1 ", `json_to_csv.not_an_object: the record is "1 ": none of the columns can be in it`, `"x"`, `json_to_csv.not_an_object: …`, `null`, `json_to_csv.not_an_object: …`)
	becomes(t, "json_to_csv", `{ columns: [ .a ] }`, `[{"a":1}]`, `json_to_csv.not_an_object: …`)
	becomes(t, "json_to_csv", `{ columns: [ ".[0]" ] }`, `{"a":1}`, `json_to_csv.not_an_object: …`, `[]`, `[]`)
	becomes(t, "json_to_csv", `{ columns: [ .a, .b ], required: [ .b ], delimiter: ";", quote: "'", quote_all: true, null_text: NA }`,
		`{"a":"it's","b":1}`, `['it''s';'1']`, `{"b":"NA"}`, `[NA;'NA']`, `{"a":1,"b":null}`, `json_to_csv.missing: there is no .b`)
	becomes(t, "json_to_csv", `{ columns: [ .a, .b ], quote: "" }`, `{"a":"say \"x\"","b":""}`, `[say "x",]`, `{"a":"x,"}`, `json_to_csv.needs_quotes: .a: "x," cannot be written without quotes`, `{"a":"x\r"}`, `json_to_csv.needs_quotes: .a: "x\r" cannot be written without quotes`)
	refused(t, "json_to_csv", map[string]string{
		`{}`: "needs the key", `{ columns: [] }`: "takes 1", `{ columns: [ a ] }`: "not a path", `{ columns: [ .a ], required: [ .b ] }`: "not one of the columns", `{ columns: [ .a ], delimiter: "" }`: "is not one ASCII",
		`{ columns: [ .a ], quote: "," }`: "other than the delimiter", `{ columns: [ .a ], quote: "", quote_all: true }`: "needs a quote", `{ columns: [ .a ], null_text: "a,b" }`: "null_text",
	})
}

// Rows that became objects become the same rows again: as encoding/csv reads them, and byte by byte if they are written as json_to_csv writes.
func TestRowsBecomeObjectsAndTheSameRows(t *testing.T) {
	in := open(t, "csv_to_json", `{ columns: [ { name: a }, { name: b, type: integer }, { name: c, type: number }, { name: d, type: boolean } ] }`)
	out := open(t, "json_to_csv", `{ columns: [ .a, .b, .c, .d ] }`)
	text := rapid.StringOf(rapid.RuneFrom([]rune("ab ,\"'\\\té\U0001F600\u2028<;\x01")))
	rapid.Check(t, func(rt *rapid.T) {
		a := text.Draw(rt, "a")
		row := `"` + strings.ReplaceAll(a, `"`, `""`) + `"`
		if a != "" && !strings.ContainsAny(a, `",`) {
			row = a
		}
		row += fmt.Sprintf(",%d,%v,%v", rapid.Int64().Draw(rt, "b"), json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?`).Draw(rt, "c")), rapid.Bool().Draw(rt, "d"))
		if rapid.Bool().Draw(rt, "nulls") {
			row = row[:strings.LastIndex(row, ",")] + ","
		}
		object := apply(t, in, row)[0]
		if len(object.Outs) != 1 {
			rt.Fatalf("%q: %s", row, object)
		}
		if got := apply(t, out, object.Outs[0])[0]; len(got.Outs) != 1 || got.Outs[0] != row {
			rt.Fatalf("%q became %s and then %s", row, object, got)
		}
	})
}

func TestTheRealFileComesThroughBoth(t *testing.T) {
	raw, err := os.ReadFile("../../pipelines/examples/birdstrikes/birdstrikes.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	objects := apply(t, open(t, "csv_to_json", "header: true"), string(raw))[0].Outs
	var paths []string
	for _, name := range rows[0] {
		paths = append(paths, fmt.Sprintf("'.[%q]'", name))
	}
	var text strings.Builder
	for _, o := range apply(t, open(t, "json_to_csv", "columns: [ "+strings.Join(paths, ", ")+" ]"), objects...) {
		text.WriteString(o.Outs[0] + "\n")
	}
	got, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
	if err != nil || fmt.Sprint(got) != fmt.Sprint(rows[1:]) {
		t.Fatalf("%d rows of %d, %v", len(got), len(rows)-1, err)
	}
}

func BenchmarkJSONToCSV(b *testing.B) {
	measure(b, open(b, "json_to_csv", `{ columns: [ .id, .time, .user.name, .level, .message, .status, .took ] }`), someJSON)
}
