package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// CSVToJSON makes JSON objects of rows of CSV.
type CSVToJSON struct {
	setting.Node
	Columns   []CSVColumn `yaml:"columns" items:"0..2000" doc:"The columns, in order. With header: true they may be left out, or give columns types by their names."`
	Header    bool        `yaml:"header" default:"false" doc:"The first row of each record names its columns. Implies rows: many. Not for the lines of a file, which are a record each: list the columns, and pass over the header by the source's skip_lines."`
	Rows      string      `yaml:"rows" default:"one" enum:"one|many" doc:"How many rows a record has. With many, each row becomes a record of its own."`
	Delimiter string      `yaml:"delimiter" default:"," doc:"What separates fields: one ASCII character."`
	Quote     string      `yaml:"quote" default:"\"" doc:"What encloses fields that hold delimiters, quotes or newlines: one ASCII character; empty for none."`
	Null      []string    `yaml:"null_values" items:"0..100" doc:"Texts that mean null when they stand without quotes, such as NULL or \\N. An empty field is null anyway, unless its type is string."`
}

// CSVColumn is one column of CSV.
type CSVColumn struct {
	setting.Node
	Name string `yaml:"name,required" doc:"The key in the object."`
	Type string `yaml:"type" default:"string" enum:"string|integer|number|boolean|date|ignore" doc:"What the field holds: text; an integer of 64 bits; a number; true or false; a date such as 2026-11-30; or something to leave out."`
}

// csvKind is the type of a column.
type csvKind uint8

const (
	csvString csvKind = iota
	csvInteger
	csvNumber
	csvBoolean
	csvDate
	csvIgnore
)

var csvKinds = map[string]csvKind{
	"string": csvString, "integer": csvInteger, "number": csvNumber, "boolean": csvBoolean, "date": csvDate, "ignore": csvIgnore,
}

// csvColumn is a column as rows need it.
type csvColumn struct {
	name string
	kind csvKind
	// prefix is what stands before the value in the object: {"name": or ,"name":
	prefix []byte
}

const (
	// maxCSVColumns bounds the columns of a header row.
	maxCSVColumns = 2000
	// maxCSVRows bounds the rows of one record.
	maxCSVRows = 100_000
)

// csvFormat is a configuration, ready for rows.
type csvFormat struct {
	columns   []csvColumn
	types     map[string]csvKind // of columns that a header names
	header    bool
	many      bool
	delimiter byte
	quote     byte // 0 for none
	null      [][]byte
	// The delimiter and the quote in all of eight bytes, and the highest bits of these, or none without a quote.
	delimiters, quotes, quoting uint64
}

// Open implements Config.
func (c *CSVToJSON) Open(context.Context, Env) (stage.Transform, error) {
	f := &csvFormat{header: c.Header, many: c.Header || c.Rows == "many"}
	if len(c.Columns) == 0 && !c.Header {
		return nil, invalid(&c.Node, "columns", "csv_to_json.no_columns", "csv_to_json needs columns").
			WithHint("name the columns in order, or set header: true if every record begins with a row of names")
	}
	delimiter, bad := csvDelimiter(&c.Node, "csv_to_json.bad_delimiter", c.Delimiter)
	if bad != nil {
		return nil, bad
	}
	f.delimiter = delimiter
	var ok bool
	if f.quote, ok = csvCharacter(c.Quote); !ok || f.quote == f.delimiter {
		return nil, invalid(&c.Node, "quote", "csv_to_json.bad_quote_setting", "the quote %q is not one ASCII character other than the delimiter and a line break", c.Quote)
	}
	f.delimiters, f.quotes = ones*uint64(f.delimiter), ones*uint64(f.quote)
	if f.quote != 0 {
		f.quoting = highs
	}
	for _, text := range c.Null {
		f.null = append(f.null, []byte(text))
	}
	names := make([]string, len(c.Columns))
	f.types = map[string]csvKind{}
	for i := range c.Columns {
		col := &c.Columns[i]
		if _, taken := f.types[col.Name]; taken {
			return nil, invalid(&col.Node, "name", "csv_to_json.duplicate_column", "two columns are named %q", col.Name)
		}
		names[i], f.types[col.Name] = col.Name, csvKinds[col.Type]
	}
	f.columns = f.named(names, nil)
	if !slices.ContainsFunc(f.columns, func(col csvColumn) bool { return col.kind != csvIgnore }) && !c.Header {
		return nil, invalid(&c.Node, "columns", "csv_to_json.no_columns", "all columns are ignored")
	}
	return eachWith(func() *csvRows { return &csvRows{csvRow: csvRow{csvFormat: f, columns: f.columns}} }, (*csvRows).convert), nil
}

// csvCharacter returns a setting's one character; 0 if the setting is empty.
func csvCharacter(s string) (c byte, ok bool) {
	if s == "" {
		return 0, true
	}
	return s[0], len(s) == 1 && s[0] < utf8.RuneSelf && s[0] != '\n' && s[0] != '\r' && s[0] != 0
}

// csvDelimiter reads the setting delimiter.
func csvDelimiter(n *setting.Node, code, text string) (byte, *fault.Error) {
	c, ok := csvCharacter(text)
	if ok && c != 0 {
		return c, nil
	}
	bad := invalid(n, "delimiter", code, "the delimiter %q is not one ASCII character other than a line break", text)
	if text == `\t` || text == "tab" {
		bad = bad.WithHint(`write "\t", in double quotes, for a tab`)
	}
	return 0, bad
}

// named returns columns with names, of the types that are known for them. It uses dst's memory.
func (f *csvFormat) named(names []string, dst []csvColumn) []csvColumn {
	dst = dst[:0]
	open := byte('{')
	for _, name := range names {
		col := csvColumn{name: name, kind: f.types[name]}
		if col.kind != csvIgnore {
			text, err := json.Marshal(name)
			if err != nil {
				panic("builtin: marshalling a name: " + err.Error()) // strings always marshal
			}
			col.prefix = append(append([]byte{open}, text...), ':')
			open = ','
		}
		dst = append(dst, col)
	}
	return dst
}

// csvRows converts records, one after the other.
type csvRows struct {
	csvRow
	// headerRow is the row that columns were made of last: records of one source have the same.
	headerRow []byte
	named     []csvColumn
}

func (c *csvRows) convert(r *record.Record, w *writer) {
	if !c.many {
		row := trimLineEnd(r.Data)
		if len(row) == 0 {
			w.drop()
			return
		}
		if bad := c.object(row); bad.code != "" {
			w.fail(bad.code, "%s", bad.reason)
			return
		}
		w.data(r, c.buf)
		return
	}
	data, number := r.Data, 0
	header := c.header
	for len(data) > 0 {
		var row []byte
		row, data = c.cutRow(data)
		if number++; number > maxCSVRows {
			w.fail("csv_to_json.too_many_rows", "the record has more than %d rows", maxCSVRows)
			return
		}
		if row = trimLineEnd(row); len(row) == 0 {
			continue
		}
		var bad failure
		if header {
			header, bad = false, c.readHeader(row)
		} else if bad = c.object(row); bad.code == "" {
			w.data(r, c.buf)
		}
		if bad.code != "" {
			w.fail(bad.code, "row %d: %s", number, bad.reason)
			return
		}
	}
}

func trimLineEnd(row []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(row, []byte("\n")), []byte("\r"))
}

// cutRow cuts the first row off, up to a newline outside of quotes.
func (c *csvRows) cutRow(data []byte) (row, rest []byte) {
	quoted := false
	for at := 0; ; {
		n := bytes.IndexByte(data[at:], '\n')
		if n < 0 {
			return data, nil
		}
		if c.quote != 0 && bytes.Count(data[at:at+n], []byte{c.quote})%2 == 1 {
			quoted = !quoted
		}
		if at += n + 1; !quoted {
			return data[:at], data[at:]
		}
	}
}

// readHeader makes the names of a row the columns.
func (c *csvRows) readHeader(row []byte) failure {
	if c.headerRow != nil && bytes.Equal(row, c.headerRow) {
		return failure{}
	}
	c.headerRow = nil
	if !utf8.Valid(row) {
		return failure{"csv_to_json.invalid_utf8", "the header is not UTF-8"}
	}
	c.fill(row)
	var names []string
	seen := map[string]bool{}
	for at := 0; at <= len(row); {
		if len(names) == maxCSVColumns {
			return failure{"csv_to_json.bad_header", "the header has more than " + plural(maxCSVColumns, "column")}
		}
		next := c.field(at)
		if c.bad.code != "" {
			return failure{c.bad.code, "header: " + c.bad.reason}
		}
		name := string(c.unquoted(&c.found))
		if name == "" || seen[name] {
			return failure{"csv_to_json.bad_header", "column " + strconv.Itoa(len(names)+1) + " of the header has no name, or that of another: " + excerpt(c.found.text)}
		}
		seen[name] = true
		names, at = append(names, name), next
	}
	c.named = c.csvFormat.named(names, c.named)
	c.columns, c.headerRow = c.named, bytes.Clone(row)
	return failure{}
}

// Doc implements Config.
func (c *CSVToJSON) Doc() Doc {
	return Doc{
		Summary: "Makes JSON objects of rows of CSV, with types.",
		Text: "Fields are quoted as RFC 4180 says: a quote within quotes is doubled. A line break at the end of the record is ignored, and so is an empty row. " +
			"Numbers keep their digits, however many; a plus sign and leading zeros, which JSON does not have, are left out.\n\n" +
			"An empty field is null, and an empty text if its column is a string; `null_values` lists further texts. " +
			"A record whose row does not fit fails as a whole, also if it has many rows: its dead letter, sent in again, makes each object once.",
		Codes: []Code{
			{"csv_to_json.too_few_fields", "The row ends before the last column."},
			{"csv_to_json.too_many_fields", "The row goes on after the last column."},
			{"csv_to_json.bad_quote", "A quote stands within a field without quotes, text follows a closing quote, or the closing quote is missing."},
			{"csv_to_json.not_an_integer", "A field is not an integer of 64 bits."},
			{"csv_to_json.not_a_number", "A field is not a number."},
			{"csv_to_json.not_a_boolean", "A field is none of true, false, t, f, yes, no, y, n, 1 and 0, in small or capital letters."},
			{"csv_to_json.not_a_date", "A field is not a date such as 2026-11-30."},
			{"csv_to_json.too_many_rows", "A record has more than 100,000 rows."},
			{"csv_to_json.bad_header", "The header has too many columns, or one without a name or with that of another."},
			{"csv_to_json.invalid_utf8", "The row is not UTF-8."},
		},
		Examples: []Example{
			{
				Title: "Columns with types", Config: "columns:\n  - { name: airport }\n  - { name: speed, type: integer }\n  - { name: day, type: date }\n",
				Input:  []string{"VIENNA,140,2026-11-30", `"LONDON, GATWICK",,2026-12-01`, "OSLO,fast,2026-12-01", "OSLO"},
				Output: []string{`{"airport":"VIENNA","speed":140,"day":"2026-11-30"}`, `{"airport":"LONDON, GATWICK","speed":null,"day":"2026-12-01"}`},
				Failed: []string{"csv_to_json.not_an_integer", "csv_to_json.too_few_fields"},
			},
			{
				Title: "Records with a header and many rows", Config: "header: true\ndelimiter: \";\"\ncolumns: [ { name: n, type: integer } ]\n",
				Input:  []string{"id;n\r\na;1\r\nb;2\r\n"},
				Output: []string{`{"id":"a","n":1}`, `{"id":"b","n":2}`},
			},
			{
				Title: "Texts that mean null, no quotes, and a column left out", Config: "columns: [ { name: a }, { name: b, type: ignore }, { name: c, type: boolean } ]\ndelimiter: \"|\"\nquote: \"\"\nnull_values: [ '\\N', '-' ]\n",
				Input:  []string{`say "hi"|x|yes`, `\N|x|-`, `one|two|three`},
				Output: []string{`{"a":"say \"hi\"","c":true}`, `{"a":null,"c":null}`},
				Failed: []string{"csv_to_json.not_a_boolean"},
			},
		},
	}
}
