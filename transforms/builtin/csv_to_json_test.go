package builtin_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/leatstream/leat/core/stage"
)

const fourColumns = "columns: [ { name: text }, { name: int, type: integer }, { name: num, type: number }, { name: day, type: date } ]"

func TestRowsBecomeObjects(t *testing.T) {
	becomes(t, "csv_to_json", fourColumns,
		`plain,1,2.5,2026-11-30`, `[{"text":"plain","int":1,"num":2.5,"day":"2026-11-30"}]`,
		`,,,`, `[{"text":"","int":null,"num":null,"day":null}]`,
		`"a, ""b""",-7,1e3,`+"\r\n", `[{"text":"a, \"b\"","int":-7,"num":1e3,"day":null}]`,
		`"",+007,-00.50,"2024-02-29"`, `[{"text":"","int":7,"num":-0.50,"day":"2024-02-29"}]`,
		"\"two\nlines\",0,000,", `[{"text":"two\nlines","int":0,"num":0,"day":null}]`,
		"tab\tback\\ \x01 <é>,1,1,", `[{"text":"tab\tback\\ \u0001 <é>","int":1,"num":1,"day":null}]`,
		`x,9223372036854775807,1234567890.1,`, `[{"text":"x","int":9223372036854775807,"num":1234567890.1,"day":null}]`,
		`x,-9223372036854775808,123456789012e2,`, `[{"text":"x","int":-9223372036854775808,"num":123456789012e2,"day":null}]`,
		"", "dropped", "\n", "dropped", "\r", "dropped",
	)
}

func TestBrokenRowsFailWithTheColumn(t *testing.T) {
	tr := open(t, "csv_to_json", fourColumns)
	for row, want := range map[string]string{
		`a`:                           `too_few_fields: the row has 1 field and the first missing column is int`,
		`a,1,2`:                       `too_few_fields: the row has 3 fields and the first missing column is day`,
		`a,1,2,2026-01-01,more`:       `too_many_fields: the row has more than 4 fields: after column day comes "more"`,
		`a,1,2,2026-01-01,`:           `too_many_fields: the row has more than 4 fields: after column day comes ""`,
		`"open,1,2,`:                  `bad_quote: column text: no closing quote: "\"open,1,2,"`,
		`a"b,1,2,`:                    `bad_quote: column text: a quote within an unquoted field: "a\"b,1,2,"`,
		`"a"b,1,2,`:                   `bad_quote: column text: text after the closing quote: "\"a\"b,1,2,"`,
		`a,x,2,`:                      `not_an_integer: column int: "x" is not an integer of 64 bits`,
		`a,1.5,2,`:                    `not_an_integer: column int: "1.5" is not an integer of 64 bits`,
		`a,9223372036854775808,2,`:    `not_an_integer: column int: "9223372036854775808" is not an integer of 64 bits`,
		`a,-,2,`:                      `not_an_integer: column int: "-" is not an integer of 64 bits`,
		`a,1,fast,`:                   `not_a_number: column num: "fast" is not a number`,
		`a,1,1e999,`:                  `not_a_number: column num: "1e999" is not a number`,
		`a,1,.5,`:                     `not_a_number: column num: ".5" is not a number`,
		`a,1,0x10,`:                   `not_a_number: column num: "0x10" is not a number`,
		`a,1,NaN,`:                    `not_a_number: column num: "NaN" is not a number`,
		`a,1,"1""2",`:                 `not_a_number: column num: "1\"\"2" is not a number`,
		`a,1,1,2026-02-30`:            `not_a_date: column day: "2026-02-30" is not a date such as 2026-11-30`,
		`a,1,1,30.11.2026`:            `not_a_date: column day: "30.11.2026" is not a date such as 2026-11-30`,
		"a,1,1\xff,":                  `invalid_utf8: column num: byte 6 of the row, 0xff, is not UTF-8`,
		"\"x,y\xc3(\",1,1,":           `invalid_utf8: column text: byte 5 of the row, 0xc3, is not UTF-8`,
		"a,1,1,,\xfe":                 `invalid_utf8: after the last column: byte 8 of the row, 0xfe, is not UTF-8`,
		strings.Repeat("é", 30) + `"`: `bad_quote: column text: a quote within an unquoted field: "` + strings.Repeat("é", 20) + `"…`,
	} {
		if got := apply(t, tr, row)[0].String(); got != "csv_to_json."+want {
			t.Errorf("%q:\n got %s\nwant %s", row, got, want)
		}
	}
}

func TestAnotherDialectOfCSV(t *testing.T) {
	becomes(t, "csv_to_json", `{ columns: [ { name: a }, { name: b, type: boolean }, { name: c, type: ignore } ], delimiter: "\t", quote: "'", null_values: [ "NULL", "" ] }`,
		"say \"hi\"\tYES\t", `[{"a":"say \"hi\"","b":true}]`,
		"'it''s'\tf\tx", `[{"a":"it's","b":false}]`,
		"NULL\tNULL\tNULL", `[{"a":null,"b":null}]`,
		"'NULL'\t0\t", `[{"a":"NULL","b":false}]`,
		"\t\t", `[{"a":null,"b":null}]`,
		"''\t1\t''", `[{"a":"","b":true}]`,
		"it's\t1\t", `csv_to_json.bad_quote: column a: a quote within an unquoted field: "it's\t1\t"`,
		"a\tperhaps\t", `csv_to_json.not_a_boolean: column b: "perhaps" is not true or false`,
		"a\ttruest\t", `csv_to_json.not_a_boolean: column b: "truest" is not true or false`,
	)
	becomes(t, "csv_to_json", `{ columns: [ { name: a } ], quote: "" }`, `"x`, `[{"a":"\"x"}]`, "a\x00b", `[{"a":"a\u0000b"}]`)
	becomes(t, "csv_to_json", `{ columns: [ { name: a, type: ignore }, { name: b } ] }`, `x,y`, `[{"b":"y"}]`)
}

func TestARecordOfManyRows(t *testing.T) {
	becomes(t, "csv_to_json", `{ columns: [ { name: a }, { name: b, type: integer } ], rows: many }`,
		"x,1\ny,2\n", `[{"a":"x","b":1} {"a":"y","b":2}]`,
		"\r\n\"two\nlines\",1\r\n\r\ny,2", `[{"a":"two\nlines","b":1} {"a":"y","b":2}]`,
		"x,1\ny,no\n", `csv_to_json.not_an_integer: row 2: column b: "no" is not an integer of 64 bits`,
		"x,1\n\"y,2\nz,3\n", `csv_to_json.bad_quote: row 2: column a: no closing quote: "\"y,2\nz,3"`,
		"\n\n", "dropped", "", "dropped",
		strings.Repeat("x,1\n", 100_001), "csv_to_json.too_many_rows: the record has more than 100000 rows",
	)
	becomes(t, "csv_to_json", `{ columns: [ { name: n, type: integer }, { name: "odd \"one\"", type: ignore } ], header: true }`,
		"id,n\na,1\nb,2\n", `[{"id":"a","n":1} {"id":"b","n":2}]`,
		"n,id\n1,a\n", `[{"n":1,"id":"a"}]`,
		"n,id\n", "dropped",
		"\"odd \"\"one\"\"\",id\n1,a\n", `[{"id":"a"}]`,
		"\"odd \"\"one\"\"\"\n1\n", `[{}]`,
		"n,n\n1,2", `csv_to_json.bad_header: row 1: column 2 of the header has no name, or that of another: "n"`,
		"n,\n1,2", `csv_to_json.bad_header: row 1: column 2 of the header has no name, or that of another: ""`,
		"\nn,\"x\n1,2", `csv_to_json.bad_quote: row 2: header: no closing quote: "\"x\n1,2"`,
		"n,\xff\n1,2", `csv_to_json.invalid_utf8: row 1: the header is not UTF-8`,
		strings.Repeat("a,", 2000)+"\n", `csv_to_json.bad_header: row 1: column 2 of the header has no name, or that of another: "a"`,
		"id,n\na,1\nb\n", `csv_to_json.too_few_fields: row 3: the row has 1 field and the first missing column is n`,
	)
}

func TestSettingsOfCSVAreChecked(t *testing.T) {
	refused(t, "csv_to_json", map[string]string{
		`{}`:                  "needs columns",
		`{ columns: [ {} ] }`: `needs the key "name"`,
		`{ columns: [ { name: a, type: float } ] }`:  "type cannot be",
		`{ columns: [ { name: a }, { name: a } ] }`:  `two columns are named "a"`,
		`{ columns: [ { name: a, type: ignore } ] }`: "all columns are ignored",
		`{ header: true, delimiter: "" }`:            "is not one ASCII character",
		`{ header: true, delimiter: ";;" }`:          "is not one ASCII character",
		`{ header: true, delimiter: "\n" }`:          "is not one ASCII character",
		`{ header: true, delimiter: "é" }`:           "is not one ASCII character",
		`{ header: true, quote: "," }`:               "other than the delimiter",
	})
}

// TestTheRealFileIsReadAsEncodingCSVReadsIt compares every row with what the standard library makes of it.
func TestTheRealFileIsReadAsEncodingCSVReadsIt(t *testing.T) {
	raw, err := os.ReadFile("../../pipelines/examples/birdstrikes/birdstrikes.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	got := apply(t, open(t, "csv_to_json", "header: true"), string(raw))[0]
	if len(got.Outs) != len(rows)-1 || len(rows) != 10_001 {
		t.Fatalf("%d objects of %d rows: %.200s", len(got.Outs), len(rows), got)
	}
	for i, text := range got.Outs {
		var object map[string]string
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			t.Fatalf("row %d: %v: %s", i, err, text)
		}
		for j, name := range rows[0] {
			if object[name] != rows[i+1][j] {
				t.Fatalf("row %d, column %s: got %q, want %q", i, name, object[name], rows[i+1][j])
			}
		}
	}
}

// FuzzCSVAgreesWithEncodingCSV compares rows with encoding/csv, and the JSON with encoding/json.
func FuzzCSVAgreesWithEncodingCSV(f *testing.F) {
	f.Add("a,b")
	f.Add(`"a ""q""",b`)
	f.Add("\"line\nbreak\",\x00\u2028")
	f.Add("a,b\nc,\\\n")
	f.Add("\n,\"")
	one := open(f, "csv_to_json", `{ columns: [ { name: "first \"name\"" }, { name: second } ] }`)
	many := open(f, "csv_to_json", `{ columns: [ { name: "first \"name\"" }, { name: second } ], rows: many }`)
	named := open(f, "csv_to_json", `{ header: true }`)
	f.Fuzz(func(t *testing.T, text string) {
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = 2
		want, err := r.ReadAll()
		single := apply(t, one, text)[0]
		got := apply(t, many, text)[0]
		apply(t, named, text)
		for _, out := range append(single.Outs, got.Outs...) {
			if !json.Valid([]byte(out)) {
				t.Fatalf("%q: %s is not JSON", text, out)
			}
		}
		if strings.ContainsRune(text, '\r') || strings.Contains(text, "\n\n") || strings.HasPrefix(text, "\n") { // encoding/csv folds these
			return
		}
		if err != nil || !utf8.ValidString(text) {
			if got.Status != stage.Failed {
				t.Fatalf("%q: encoding/csv says %v, and this %s", text, err, got)
			}
			return
		}
		if len(got.Outs) != len(want) {
			t.Fatalf("%q: got %s, want %q", text, got, want)
		}
		for i, out := range got.Outs {
			var object map[string]string
			if err := json.Unmarshal([]byte(out), &object); err != nil || object["first \"name\""] != want[i][0] || object["second"] != want[i][1] {
				t.Fatalf("%q: got %s, want %q", text, out, want[i])
			}
		}
		if len(want) == 1 && single.String() != got.String() {
			t.Fatalf("%q: alone %s, as one of many %s", text, single, got)
		}
	})
}

func BenchmarkCSVToJSON(b *testing.B) {
	b.Run("four", func(b *testing.B) {
		measure(b, open(b, "csv_to_json", fourColumns), `BARKSDALE AIR FORCE BASE ARPT,300,12.5,1990-01-08`)
	})
	b.Run("birdstrikes", func(b *testing.B) {
		raw, err := os.ReadFile("../../pipelines/examples/birdstrikes/birdstrikes.csv")
		if err != nil {
			b.Fatal(err)
		}
		rows := strings.Split(string(raw), "\n")
		var columns []string
		for i, name := range strings.Split(rows[0], ",") {
			kind := "string"
			if i >= 10 {
				kind = "integer"
			} else if i == 3 {
				kind = "date"
			}
			columns = append(columns, "{ name: "+strings.ToLower(strings.ReplaceAll(strings.Trim(name, `"`), " ", "_"))+", type: "+kind+" }")
		}
		measure(b, open(b, "csv_to_json", "columns: [ "+strings.Join(columns, ", ")+" ]"), rows[1:501]...)
	})
}
