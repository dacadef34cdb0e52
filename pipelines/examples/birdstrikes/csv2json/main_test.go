package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

var testConfig = map[string]any{"columns": []map[string]string{
	{"name": "text", "type": "string"}, {"name": "int", "type": "integer"}, {"name": "num", "type": "number"}, {"name": "day", "type": "date"},
}}

func run(t testing.TB, row string) leat.Tested {
	t.Helper()
	cfg = config{}
	got, err := leat.Test(testConfig, leat.Record{Data: []byte(row)})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func TestRowsBecomeObjects(t *testing.T) {
	for row, want := range map[string]string{
		`plain,1,2.5,2026-11-30`:                 `{"text":"plain","int":1,"num":2.5,"day":"2026-11-30"}`,
		`,,,`:                                    `{"text":"","int":null,"num":null,"day":null}`,
		`"a, ""b""",-7,1e3,` + "\r":              `{"text":"a, \"b\"","int":-7,"num":1e3,"day":null}`,
		`"",+007,-00.50,"2024-02-29"`:            `{"text":"","int":7,"num":-0.50,"day":"2024-02-29"}`,
		"\"two\nlines\",0,000,":                  `{"text":"two\nlines","int":0,"num":0,"day":null}`,
		"tab\tback\\ \x01 <é>,1,1,":              `{"text":"tab\tback\\ \u0001 <é>","int":1,"num":1,"day":null}`,
		`x,9223372036854775807,1234567890.1,`:    `{"text":"x","int":9223372036854775807,"num":1234567890.1,"day":null}`,
		`x,-9223372036854775808,123456789012e2,`: `{"text":"x","int":-9223372036854775808,"num":123456789012e2,"day":null}`,
	} {
		got := run(t, row)
		if got.Code != "" || len(got.Outs) != 1 || string(got.Outs[0].Data) != want {
			t.Errorf("%q: got %+v, want %s", row, got, want)
		}
	}
	for _, blank := range []string{"", "\r"} {
		if got := run(t, blank); got.Code != "" || got.Outs != nil {
			t.Errorf("an empty row: %+v", got)
		}
	}
}

func TestBrokenRowsFailWithTheColumn(t *testing.T) {
	for row, want := range map[string]string{
		`a`:                           tooFew + ": the row has 1 field and the first missing column is int",
		`a,1,2`:                       tooFew + ": the row has 3 fields and the first missing column is day",
		`a,1,2,2026-01-01,more`:       tooMany + ": the row has more than 4 fields: after column day comes \"more\"",
		`a,1,2,2026-01-01,`:           tooMany + ": the row has more than 4 fields: after column day comes \"\"",
		`"open,1,2,`:                  badQuote + ": column text: no closing quote: \"\\\"open,1,2,\"",
		`a"b,1,2,`:                    badQuote + ": column text: a quote within an unquoted field: \"a\\\"b,1,2,\"",
		`"a"b,1,2,`:                   badQuote + ": column text: text after the closing quote: \"\\\"a\\\"b,1,2,\"",
		`a,x,2,`:                      notInteger + ": column int: \"x\" is not an integer of 64 bits",
		`a, 1234567,2,`:               notInteger + ": column int: \" 1234567\" is not an integer of 64 bits",
		`a,1234567x,2,`:               notInteger + ": column int: \"1234567x\" is not an integer of 64 bits",
		`a,1,1,0000-00-00`:            notDate + ": column day: \"0000-00-00\" is not a date such as 2026-11-30",
		`a,1,1,2026/01/02`:            notDate + ": column day: \"2026/01/02\" is not a date such as 2026-11-30",
		`a,1,1,2026-1-022`:            notDate + ": column day: \"2026-1-022\" is not a date such as 2026-11-30",
		`a,1.5,2,`:                    notInteger + ": column int: \"1.5\" is not an integer of 64 bits",
		`a,9223372036854775808,2,`:    notInteger + ": column int: \"9223372036854775808\" is not an integer of 64 bits",
		`a,-,2,`:                      notInteger + ": column int: \"-\" is not an integer of 64 bits",
		`a,1,fast,`:                   notNumber + ": column num: \"fast\" is not a number",
		`a,1,1e999,`:                  notNumber + ": column num: \"1e999\" is not a number",
		`a,1,.5,`:                     notNumber + ": column num: \".5\" is not a number",
		`a,1,0x10,`:                   notNumber + ": column num: \"0x10\" is not a number",
		`a,1,NaN,`:                    notNumber + ": column num: \"NaN\" is not a number",
		`a,1,"1""2",`:                 notNumber + ": column num: \"1\\\"\\\"2\" is not a number",
		`a,1,1,2026-02-30`:            notDate + ": column day: \"2026-02-30\" is not a date such as 2026-11-30",
		`a,1,1,30.11.2026`:            notDate + ": column day: \"30.11.2026\" is not a date such as 2026-11-30",
		"a,1,1\xff,":                  invalidUTF8 + ": column num: byte 6 of the row, 0xff, is not UTF-8",
		"\"x,y\xc3(\",1,1,":           invalidUTF8 + ": column text: byte 5 of the row, 0xc3, is not UTF-8",
		"a,1,1,,\xfe":                 invalidUTF8 + ": after the last column: byte 8 of the row, 0xfe, is not UTF-8",
		strings.Repeat("é", 30) + `"`: badQuote + ": column text: a quote within an unquoted field: \"" + strings.Repeat("é", 20) + "\"…",
	} {
		got := run(t, row)
		if got.Code+": "+got.Reason != want || got.Outs != nil {
			t.Errorf("%q:\n got %s: %s\nwant %s", row, got.Code, got.Reason, want)
		}
	}
}

// TestEveryDateIsReadAsPackageTimeReadsIt goes through days, and others that look like days.
func TestEveryDateIsReadAsPackageTimeReadsIt(t *testing.T) {
	var b [10]byte
	for _, year := range []int{0, 4, 1600, 1900, 1999, 2000, 2024, 2026, 2100, 9999} {
		for month := range 15 {
			for day := range 40 {
				text := fmt.Appendf(b[:0], "%04d-%02d-%02d", year, month, day)
				if _, err := time.Parse(time.DateOnly, string(text)); isDate(text) != (err == nil) {
					t.Fatalf("%s: %v, and package time says %v", text, isDate(text), err)
				}
			}
		}
	}
	for i := range 10 {
		for c := range 256 {
			text := []byte("2024-02-11")
			text[i] = byte(c)
			if _, err := time.Parse(time.DateOnly, string(text)); isDate(text) != (err == nil) {
				t.Fatalf("%q: %v, and package time says %v", text, isDate(text), err)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for conf, want := range map[string]string{
		`{}`:               "name at least one",
		`{"columns":[{}]}`: "columns[0]: it has no name",
		`{"columns":[{"name":"a","type":"float"}]}`: `columns[0] (a): the type is "float"`,
		`{"columns":[{"name":"a"},{"name":"a"}]}`:   `the name "a" is taken`,
		`{"columns":[{"name":"a","title":"A"}]}`:    `unknown field "title"`,
	} {
		cfg = config{}
		if _, err := leat.Test(json.RawMessage(conf)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", conf, err, want)
		}
	}
}

// TestTheRealFileIsReadAsEncodingCSVReadsIt compares every row with what the standard library makes of it.
func TestTheRealFileIsReadAsEncodingCSVReadsIt(t *testing.T) {
	raw, err := os.ReadFile("../birdstrikes.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header := rows[0]
	columns := make([]map[string]string, len(header))
	for i, h := range header {
		columns[i] = map[string]string{"name": h, "type": "string"}
		if i >= len(header)-4 {
			columns[i]["type"] = "integer"
		}
	}
	lines := bytes.Split(raw, []byte("\n"))
	recs := make([]leat.Record, len(rows))
	for i := range recs {
		recs[i].Data = lines[i]
	}
	cfg = config{}
	got, err := leat.Test(map[string]any{"columns": columns}, recs[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	noSpeed := 0
	for i, g := range got {
		row := map[string]any{}
		if g.Code != "" || json.Unmarshal(g.Outs[0].Data, &row) != nil {
			t.Fatalf("row %d: %+v", i, g)
		}
		for j, h := range header {
			text, _ := json.Marshal(row[h])
			want, _ := json.Marshal(rows[i+1][j])
			if j >= len(header)-4 {
				if want = []byte(rows[i+1][j]); len(want) == 0 {
					want = []byte("null")
					noSpeed++
				}
			}
			if !bytes.Equal(text, want) {
				t.Fatalf("row %d, column %s: got %s, want %s", i, h, text, want)
			}
		}
	}
	if len(got) != 10_000 || noSpeed != 2_836 {
		t.Errorf("%d rows, %d without a speed", len(got), noSpeed)
	}
}

// FuzzRowAgreesWithEncodingCSV compares single rows with encoding/csv, and the JSON with encoding/json.
func FuzzRowAgreesWithEncodingCSV(f *testing.F) {
	f.Add("a,b", "x")
	f.Add(`"a ""q""",b`, "\x00\u2028")
	f.Add("\"line\nbreak\",", `\`)
	f.Fuzz(func(t *testing.T, row, extra string) {
		row += extra
		cfg = config{Columns: []column{{Name: "first \"name\""}, {Name: "second"}}}
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		got, err := leat.Test(map[string]any{"columns": cfg.Columns}, leat.Record{Data: []byte(row)})
		if err != nil {
			t.Fatal(err)
		}
		// encoding/csv reads lines, so rows with line ends outside quotes, or carriage returns that it folds, have no equal there.
		r := csv.NewReader(strings.NewReader(row))
		r.FieldsPerRecord = -1
		want, err := r.Read()
		if len(got[0].Outs) == 0 {
			if err == nil && len(want) == 2 && utf8.ValidString(row) && !strings.ContainsAny(row, "\r\n") {
				t.Fatalf("encoding/csv reads %q, and this says %s: %s", want, got[0].Code, got[0].Reason)
			}
			return
		}
		var object map[string]string
		if err := json.Unmarshal(got[0].Outs[0].Data, &object); err != nil {
			t.Fatalf("%s: %v", got[0].Outs[0].Data, err)
		}
		if strings.ContainsAny(row, "\r\n") {
			return
		}
		if err != nil || len(want) != 2 || object["first \"name\""] != want[0] || object["second"] != want[1] {
			t.Fatalf("%q: got %q, want %q, %v", row, object, want, err)
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	run(b, "a,1,2,")
	row := []byte(`BARKSDALE AIR FORCE BASE ARPT,300,12.5,1990-01-08`)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		convert(row)
	}
}
