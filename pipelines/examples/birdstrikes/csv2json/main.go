// Command csv2json is a leat transform that turns rows of CSV into JSON objects.
//
// A record is one row. Fields are quoted as RFC 4180 says; a carriage return at the end is ignored, and so is an empty row. The
// config names the columns, in order:
//
//	columns:
//	  - { name: operator, type: string }
//	  - { name: speed, type: integer }
//
// Types are string (the default), integer, number and date (2026-11-30). An empty field is null, but "" as a string. A
// row that does not fit fails with one of the codes below and a reason that names the column.
package main

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

// Codes of rows that fail.
const (
	tooFew      = "csv.too_few_fields"
	tooMany     = "csv.too_many_fields"
	badQuote    = "csv.bad_quote"
	notInteger  = "csv.not_an_integer"
	notNumber   = "csv.not_a_number"
	notDate     = "csv.not_a_date"
	invalidUTF8 = "csv.invalid_utf8"
)

func init() {
	leat.Config(&cfg)
	leat.Each(func(r leat.Record) leat.Result { return convert(r.Data) })
}

func main() {}

var (
	cfg config
	buf []byte // the object, used again for the next row
)

// rowError says why a row fails; the zero value is no error.
type rowError struct{ code, reason string }

// convert turns a row into an object.
func convert(row []byte) leat.Result {
	row = bytes.TrimSuffix(row, []byte("\r"))
	if len(row) == 0 {
		return leat.Drop()
	}
	if !utf8.Valid(row) {
		return failRow(badUTF8(row))
	}
	buf = buf[:0]
	rest, more := row, true
	for i := range cfg.Columns {
		c := &cfg.Columns[i]
		if !more {
			return failRow(rowError{tooFew, "the row has " + plural(i, "field") + " and the first missing column is " + c.Name})
		}
		f, err := field{}, ""
		if f, rest, more, err = nextField(rest); err != "" {
			return failRow(rowError{badQuote, "column " + c.Name + ": " + err})
		}
		buf = append(buf, c.prefix...)
		if bad := c.append(f); bad.code != "" {
			return failRow(bad)
		}
	}
	if more {
		return failRow(rowError{tooMany, "the row has more than " + plural(len(cfg.Columns), "field") + ": after column " +
			cfg.Columns[len(cfg.Columns)-1].Name + " comes " + excerpt(rest)})
	}
	buf = append(buf, '}')
	return leat.Data(buf)
}

func failRow(e rowError) leat.Result { return leat.Fail(e.code, e.reason) }

// field is the text of a field, without its quotes.
type field struct {
	text []byte
	// doubled means that quotes in text are doubled.
	doubled bool
}

// nextField cuts the first field off row. more says that a separator follows it, and so another field. bad says what is
// wrong with its quotes.
func nextField(row []byte) (f field, rest []byte, more bool, bad string) {
	if len(row) == 0 || row[0] != '"' {
		for i, c := range row {
			if c == ',' {
				return field{text: row[:i]}, row[i+1:], true, ""
			}
			if c == '"' {
				return field{}, nil, false, "a quote within an unquoted field: " + excerpt(row)
			}
		}
		return field{text: row}, nil, false, ""
	}
	for i := 1; i < len(row); i++ {
		if row[i] != '"' {
			continue
		}
		f.text = row[1:i]
		switch {
		case i+1 == len(row):
			return f, nil, false, ""
		case row[i+1] == ',':
			return f, row[i+2:], true, ""
		case row[i+1] != '"':
			return field{}, nil, false, "text after the closing quote: " + excerpt(row)
		}
		f.doubled = true
		i++
	}
	return field{}, nil, false, "no closing quote: " + excerpt(row)
}

// append writes the field's value to buf.
func (c *column) append(f field) rowError {
	switch {
	case c.kind == kindString:
		appendString(f)
	case len(f.text) == 0:
		buf = append(buf, "null"...)
	case c.kind == kindDate:
		// Checked before the calendar: time.Parse alone takes a day of one digit.
		if len(f.text) != len(time.DateOnly) {
			return c.bad(notDate, f, "a date such as 2026-11-30")
		}
		if _, err := time.Parse(time.DateOnly, string(f.text)); err != nil {
			return c.bad(notDate, f, "a date such as 2026-11-30")
		}
		appendString(f)
	case c.kind == kindInteger:
		if !appendNumber(f.text, true) {
			return c.bad(notInteger, f, "an integer of 64 bits")
		}
	default:
		if !appendNumber(f.text, false) {
			return c.bad(notNumber, f, "a number")
		}
	}
	return rowError{}
}

func (c *column) bad(code string, f field, want string) rowError {
	return rowError{code, "column " + c.Name + ": " + excerpt(f.text) + " is not " + want}
}

const hex = "0123456789abcdef"

// appendString writes f as a JSON string.
func appendString(f field) {
	buf = append(buf, '"')
	plain := 0
	for i := 0; i < len(f.text); i++ {
		c := f.text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		buf = append(buf, f.text[plain:i]...)
		switch {
		case c == '"':
			buf = append(buf, '\\', '"')
			if f.doubled {
				i++
			}
		case c == '\\':
			buf = append(buf, '\\', '\\')
		case c == '\n':
			buf = append(buf, '\\', 'n')
		case c == '\r':
			buf = append(buf, '\\', 'r')
		case c == '\t':
			buf = append(buf, '\\', 't')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		plain = i + 1
	}
	buf = append(buf, f.text[plain:]...)
	buf = append(buf, '"')
}

// appendNumber writes text as a JSON number, digit by digit, so that no precision is lost: without a plus sign and leading
// zeros, which JSON does not have. It returns false if text is not a number, or not one that fits 64 bits.
func appendNumber(text []byte, integer bool) bool {
	from := len(buf)
	i := 0
	digits := func() int {
		start := i
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i - start
	}
	if text[0] == '-' || text[0] == '+' {
		if text[0] == '-' {
			buf = append(buf, '-')
		}
		i++
	}
	whole := i
	n := digits()
	if n == 0 {
		return false
	}
	for whole < i-1 && text[whole] == '0' {
		whole++
	}
	if integer {
		buf = append(buf, text[whole:i]...)
		if i != len(text) || n > 18 && !fits(buf[from:], true) {
			return false
		}
		return true
	}
	if i < len(text) && text[i] == '.' {
		if i++; digits() == 0 {
			return false
		}
	}
	exponent := false
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		if i++; i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		if digits() == 0 {
			return false
		}
		exponent = true
	}
	buf = append(buf, text[whole:i]...)
	return i == len(text) && (!exponent && n < 300 || fits(buf[from:], false))
}

// fits reports whether 64 bits can hold the number.
func fits(text []byte, integer bool) bool {
	var err error
	if integer {
		_, err = strconv.ParseInt(string(text), 10, 64)
	} else {
		_, err = strconv.ParseFloat(string(text), 64)
	}
	return err == nil
}

// badUTF8 finds the first byte that is not UTF-8.
func badUTF8(row []byte) rowError {
	at, col, quoted := 0, 0, false
	for at < len(row) {
		r, n := utf8.DecodeRune(row[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '"' {
			quoted = !quoted
		}
		if r == ',' && !quoted {
			col++
		}
		at += n
	}
	where := "after the last column"
	if col < len(cfg.Columns) {
		where = "column " + cfg.Columns[col].Name
	}
	return rowError{invalidUTF8, where + ": byte " + strconv.Itoa(at+1) + " of the row, 0x" +
		string([]byte{hex[row[at]>>4], hex[row[at]&15]}) + ", is not UTF-8"}
}

// excerpt quotes the beginning of text.
func excerpt(text []byte) string {
	const most = 40
	if len(text) <= most {
		return strconv.Quote(string(text))
	}
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(string(text[:cut])) + "…"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
