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
	"unicode/utf8"

	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
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
	// Memory that is used again for every row: the row, with sixteen separators behind it, the object, and a field whose quotes were
	// doubled. The separators end the last field, and let eight bytes be read at once just behind the row.
	line, buf, single []byte
	// seen has the bits of all bytes of the row that were looked at.
	seen uint64
)

// rowError says why a row fails; the zero value is no error.
type rowError struct{ code, reason string }

// convert turns a row into an object.
func convert(row []byte) leat.Result {
	row = bytes.TrimSuffix(row, []byte("\r"))
	if len(row) == 0 {
		return leat.Drop()
	}
	if need := len(row) + 2*8; cap(line) < need {
		line = make([]byte, 2*need)
	}
	line = line[:len(row)+2*8]
	copy(line, row)
	binary.LittleEndian.PutUint64(line[len(row):], commas)
	binary.LittleEndian.PutUint64(line[len(row)+8:], commas)
	// Room for the worst case, so that fields are written without asking again: six bytes for one (\u0001), and the names.
	if need := 6*len(row) + cfg.room; cap(buf) < need {
		buf = make([]byte, 0, 2*need)
	}
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

// convertFields makes buf the object of the row line[:end]. ascii is false if there may be other characters.
//
// It is written for what it compiles to in a module, where calls, branches that are taken and variables that live across them are dear: it copies
// eight bytes at a time while it looks for the end of a field, more than there are, and takes the surplus back. What is rare is elsewhere.
func convertFields(end int) (ascii bool, bad rowError) {
	at, n := 0, 0
	seen = 0
	out := buf[:cap(buf)]
	for c := &cfg.Columns[0]; c != nil; c = c.next {
		if at > end {
			return false, missing(c)
		}
		binary.LittleEndian.PutUint64(out[n:], c.words[0])
		binary.LittleEndian.PutUint64(out[n+8:], c.words[1])
		binary.LittleEndian.PutUint64(out[n+16:], c.words[2])
		binary.LittleEndian.PutUint64(out[n+24:], c.words[3])
		if c.long {
			copy(out[n:], c.head)
		}
		n += len(c.head)
		c.from, c.begin = at, n
		var x, marks uint64
		for {
			x = binary.LittleEndian.Uint64(line[at:])
			binary.LittleEndian.PutUint64(out[n:], x)
			marks = specials(x)
			if marks != 0 {
				break
			}
			seen |= x
			at += 8
			n += 8
		}
		seen |= x & (marks&-marks - 1) // what lies below the lowest mark
		at += bits.TrailingZeros64(marks) / 8
		n += bits.TrailingZeros64(marks) / 8
		if line[at] == ',' {
			if c.kind == kindString {
				out[n] = '"'
				n++
				at++
				continue
			}
			if n == c.begin {
				binary.LittleEndian.PutUint32(out[n:], null)
				n += 4
				at++
				continue
			}
			if c.kind == kindInteger {
				// Up to eight digits in the form that JSON has; what is behind them counts as one.
				length := uint(n - c.begin)
				x = binary.LittleEndian.Uint64(line[c.from:])&(1<<(8*length)-1) | digits<<(8*length)
				if length <= 8 && ((x+ones*(0x7f-'9'))|(x-digits)|x)&highs == 0 && (length == 1 || byte(x) != '0') {
					at++
					continue
				}
			}
		}
		if at, n, bad = c.convert(at, end); bad.code != "" {
			return false, bad
		}
		out = buf[:cap(buf)]
	}
	if at <= end {
		return false, surplus(at, end)
	}
	out[n] = '}'
	buf = out[:n+1]
	return seen&highs == 0, rowError{}
}

func missing(c *column) rowError {
	i := 0
	for &cfg.Columns[i] != c {
		i++
	}
	return rowError{tooFew, "the row has " + plural(i, "field") + " and the first missing column is " + c.Name}
}

func surplus(at, end int) rowError {
	return rowError{tooMany, "the row has more than " + plural(len(cfg.Columns), "field") + ": after column " +
		cfg.Columns[len(cfg.Columns)-1].Name + " comes " + excerpt(line[at:end])}
}

// convert writes the field at c.from to buf[c.begin:]. at is the first byte that is special there. It returns where the next field begins and
// the length of buf.
func (c *column) convert(at, end int) (next, n int, bad rowError) {
	var f field
	var fault string
	if f, at, fault = cut(c.from, at, end); fault != "" {
		return 0, 0, rowError{badQuote, "column " + c.Name + ": " + fault}
	}
	buf = buf[:c.begin]
	bad = c.append(f)
	return at, len(buf), bad
}

// field is the text of a field, without its quotes.
type field struct {
	text []byte
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

	null = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
)

// specials marks the bytes of a field that end it or are not as they are in JSON. A byte above a marked one may be marked too, which does
// not change the lowest mark nor whether there is one.
func specials(x uint64) uint64 {
	return (((x ^ commas) - ones) | ((x ^ quotes) - ones) | ((x ^ slopes) - ones) | (x - spaces)) &^ x & highs
}

// cut returns the field at from and where the next one begins, past the row if there is none. at is its first special byte. fault
// says what is wrong with its quotes.
func cut(from, at, end int) (f field, next int, fault string) {
	if line[from] == '"' {
		seen = highs
		return quotedField(from, end)
	}
	for ; line[at] != ','; at++ {
		if line[at] == '"' {
			return field{}, 0, "a quote within an unquoted field: " + excerpt(line[from:end])
		}
		seen |= uint64(line[at])
	}
	return field{text: line[from:at]}, at + 1, ""
}

// quotedField cuts the quoted field at a place of line, as cut does.
func quotedField(at, end int) (f field, next int, fault string) {
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

// isDate reports whether text is a day of the calendar such as 2026-11-30.
func isDate(text []byte) bool {
	if len(text) != len("2026-11-30") {
		return false
	}
	const pattern, dashes = '0'*(ones&^(0xff0000ff<<32)) + '-'<<32 + '-'<<56, 0xff0000ff << 32
	t := binary.LittleEndian.Uint64(text) ^ pattern
	d1, d0 := text[8]-'0', text[9]-'0'
	if ((t+ones*(0x80-10))|t)&highs != 0 || t&dashes != 0 || d1 > 3 || d0 > 9 {
		return false
	}
	year := int(t&15)*1000 + int(t>>8&15)*100 + int(t>>16&15)*10 + int(t>>24&15)
	month, day := int(t>>40&15)*10+int(t>>48&15), int(d1)*10+int(d0)
	last := 31
	switch month {
	case 4, 6, 9, 11:
		last = 30
	case 2:
		last = 28
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			last = 29
		}
	}
	return 1 <= month && month <= 12 && 1 <= day && day <= last
}

// append writes the field's value to buf.
func (c *column) append(f field) rowError {
	switch {
	case c.kind == kindString:
		if f.doubled {
			single = single[:0]
			for i := 0; i < len(f.text); i++ {
				single = append(single, f.text[i])
				if f.text[i] == '"' {
					i++
				}
			}
			f.text = single
		}
		buf = leatjson.AppendText(buf[:len(buf)-1], f.text) // the quote is written already
	case len(f.text) == 0:
		buf = append(buf, "null"...)
	case c.kind == kindDate:
		if !isDate(f.text) {
			return c.bad(notDate, f, "a date such as 2026-11-30")
		}
		buf = append(append(append(buf, '"'), f.text...), '"')
	default:
		var ok bool
		if buf, ok = leatjson.AppendNumber(buf, f.text, c.kind == kindInteger); ok {
			break
		}
		if c.kind == kindInteger {
			return c.bad(notInteger, f, "an integer of 64 bits")
		}
		return c.bad(notNumber, f, "a number")
	}
	return rowError{}
}

func (c *column) bad(code string, f field, want string) rowError {
	return rowError{code, "column " + c.Name + ": " + excerpt(f.text) + " is not " + want}
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
		strconv.FormatUint(uint64(row[at]), 16) + ", is not UTF-8"}
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
