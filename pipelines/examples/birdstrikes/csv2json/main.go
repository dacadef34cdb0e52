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
	"encoding/binary"
	"math/bits"
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
	// Memory that is used again for every row: the row with a margin of separators behind it, and the object.
	line, buf []byte
)

const margin = ",,,,,,,," // ends the last field, and lets eight bytes be read at once from anywhere in the row

// rowError says why a row fails; the zero value is no error.
type rowError struct{ code, reason string }

// convert turns a row into an object.
func convert(row []byte) leat.Result {
	row = bytes.TrimSuffix(row, []byte("\r"))
	if len(row) == 0 {
		return leat.Drop()
	}
	line = append(append(line[:0], row...), margin...)
	// Room for the worst case, so that fields are written without asking again: six bytes for one (\u0001), and the names.
	if need := 6*len(row) + cfg.room; cap(buf) < need {
		buf = make([]byte, 0, 2*need)
	}
	buf = buf[:0]
	ascii, bad := convertFields(len(row))
	// Text in another encoding is the cause of other faults, so it is reported first.
	if (!ascii || bad.code != "") && !utf8.Valid(row) {
		bad = badUTF8(row)
	}
	if bad.code != "" {
		return leat.Fail(bad.code, bad.reason)
	}
	return leat.Data(buf)
}

// convertFields appends the object of the row line[:end] to buf. ascii is false if there may be other characters.
func convertFields(end int) (ascii bool, bad rowError) {
	at, seen := 0, uint64(0)
	for i := range cfg.Columns {
		c := &cfg.Columns[i]
		if at > end {
			return false, rowError{tooFew, "the row has " + plural(i, "field") + " and the first missing column is " + c.Name}
		}
		var f field
		if line[at] == '"' {
			var fault string
			if f, at, fault = quotedField(at, end); fault != "" {
				return false, rowError{badQuote, "column " + c.Name + ": " + fault}
			}
			seen = highs
		} else {
			var stop byte
			if f, at, stop = plainField(at, &seen); stop == '"' {
				return false, rowError{badQuote, "column " + c.Name + ": a quote within an unquoted field: " + excerpt(line[at:end])}
			}
		}
		buf = append(buf, c.prefix...)
		switch {
		case c.kind == kindString && !f.special:
			n := len(buf)
			buf = buf[:n+len(f.text)+2]
			buf[n] = '"'
			copy(buf[n+1:], f.text)
			buf[len(buf)-1] = '"'
		case len(f.text) == 0 && c.kind != kindString:
			buf = append(buf, "null"...)
		case c.kind == kindInteger && shortInteger(f.text):
			buf = append(buf, f.text...)
		default:
			if bad := c.append(f); bad.code != "" {
				return false, bad
			}
		}
	}
	if at <= end {
		return false, rowError{tooMany, "the row has more than " + plural(len(cfg.Columns), "field") + ": after column " +
			cfg.Columns[len(cfg.Columns)-1].Name + " comes " + excerpt(line[at:end])}
	}
	buf = append(buf, '}')
	return seen&highs == 0, rowError{}
}

// field is the text of a field, without its quotes.
type field struct {
	text []byte
	// special means that text may hold a byte that JSON escapes.
	special bool
	// doubled means that quotes in text are doubled.
	doubled bool
}

// Eight bytes at a time: each of these words has the byte in every place.
const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	commas = ones * ','
	quotes = ones * '"'
	slopes = ones * '\\'
	spaces = ones * ' '
	digits = ones * '0'
)

// zeros marks the bytes of x that are zero. A byte above a zero may be marked too, which does not change the lowest mark nor
// whether there is one.
func zeros(x uint64) uint64 { return (x - ones) &^ x & highs }

// plainField cuts the unquoted field at a place of line. next is where the field after it begins, past the row if there is none; stop
// is the byte that ended it, a separator or a quote, at which next then points. seen gathers the bytes that were
// looked at.
//
// It takes eight bytes in a step, because every step of a loop is dear in a module whose time is limited.
func plainField(at int, seen *uint64) (f field, next int, stop byte) {
	for i := at; ; i += 8 {
		x := binary.LittleEndian.Uint64(line[i:])
		quote := zeros(x ^ quotes)
		odd := zeros(x^slopes) | (x-spaces)&^x&highs
		ends := zeros(x^commas) | quote
		if ends == 0 {
			*seen |= x
			f.special = f.special || odd != 0
			continue
		}
		// What counts lies below the lowest mark.
		below := ends&-ends - 1
		*seen |= x & below
		i += bits.TrailingZeros64(ends) / 8
		if quote&(below+1) != 0 {
			return field{}, at, '"'
		}
		f.special = f.special || odd&below != 0
		f.text = line[at:i]
		return f, i + 1, ','
	}
}

// quotedField cuts the quoted field at a place of line, as plainField does. fault says what is wrong with its quotes.
func quotedField(at, end int) (f field, next int, fault string) {
	f.special = true
	for i := at + 1; i < end; i++ {
		if line[i] != '"' {
			continue
		}
		f.text = line[at+1 : i]
		switch {
		case i+1 == end || line[i+1] == ',':
			return f, i + 2, ""
		case line[i+1] != '"':
			return field{}, 0, "text after the closing quote: " + excerpt(line[at:end])
		}
		f.doubled = true
		i++
	}
	return field{}, 0, "no closing quote: " + excerpt(line[at:end])
}

// shortInteger reports whether text, a part of line, is an integer of up to eight digits in the form that JSON has.
func shortInteger(text []byte) bool {
	if len(text) > 8 || text[0] == '0' && len(text) > 1 {
		return false
	}
	x := binary.LittleEndian.Uint64(text[:8])
	if len(text) < 8 {
		x = x&(1<<(8*len(text))-1) | digits<<(8*len(text))
	}
	return (x+ones*(0x7f-'9')|(x-digits)|x)&highs == 0
}

// append writes the field's value, which is not empty unless it is a string, to buf.
func (c *column) append(f field) rowError {
	switch {
	case c.kind == kindString:
		appendString(f)
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
	count := func() int {
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
	n := count()
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
		if i++; count() == 0 {
			return false
		}
	}
	exponent := false
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		if i++; i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		if count() == 0 {
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
