package builtin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// csvRow converts one row of CSV to an object; its memory is used again for the next.
type csvRow struct {
	*csvFormat
	// columns are those of the format, or of the record's header.
	columns []csvColumn
	// line is the row, and after end a margin of delimiters, which ends the last field and lets eight bytes be read at once from
	// anywhere in the row.
	line []byte
	end  int
	// seen gathers the bytes of fields, for their highest bits: without any the row is ASCII.
	seen uint64
	// found is the field that was cut last, and bad what is wrong with it.
	found csvField
	bad   failure
	buf   []byte
	text  []byte // of a field whose doubled quotes were made single
}

const csvMargin = 8

// csvField is the text of a field, without its quotes.
type csvField struct {
	text []byte
	// special means that text may hold a byte that JSON escapes.
	special bool
	quoted  bool
	// doubled means that quotes in text are doubled.
	doubled bool
}

func (c *csvRow) fill(row []byte) {
	c.line = append(reuse(c.line), row...)
	for range csvMargin {
		c.line = append(c.line, c.delimiter)
	}
	c.end, c.seen, c.bad = len(row), 0, failure{}
}

// object puts the object of a row into c.buf.
func (c *csvRow) object(row []byte) failure {
	c.fill(row)
	c.buf = reuse(c.buf)
	bad := c.fields()
	// Text in another encoding is the cause of other faults, so it is reported first.
	if (c.seen&highs != 0 || bad.code != "") && !utf8.Valid(row) {
		return c.badUTF8(row)
	}
	return bad
}

func (c *csvRow) fields() failure {
	at := 0
	for i := range c.columns {
		col := &c.columns[i]
		if at > c.end {
			return failure{"csv_to_json.too_few_fields", "the row has " + plural(i, "field") + " and the first missing column is " + col.name}
		}
		at = c.field(at)
		if c.bad.code != "" {
			return failure{c.bad.code, "column " + col.name + ": " + c.bad.reason}
		}
		if col.kind == csvIgnore {
			continue
		}
		f := &c.found
		c.buf = append(c.buf, col.prefix...)
		switch {
		case len(c.null) > 0 && !f.quoted && c.isNull(f.text):
			c.buf = append(c.buf, "null"...)
		case col.kind == csvString && !f.special:
			c.buf = append(c.buf, '"')
			c.buf = append(c.buf, f.text...)
			c.buf = append(c.buf, '"')
		case len(f.text) == 0 && col.kind != csvString:
			c.buf = append(c.buf, "null"...)
		default:
			if bad := c.value(col, f); bad.code != "" {
				return bad
			}
		}
	}
	if at <= c.end {
		return failure{"csv_to_json.too_many_fields", "the row has more than " + plural(len(c.columns), "field") + ": after column " +
			c.columns[len(c.columns)-1].name + " comes " + excerpt(c.line[at:c.end])}
	}
	if len(c.buf) == 0 {
		c.buf = append(c.buf, '{') // a header with ignored columns only
	}
	c.buf = append(c.buf, '}')
	return failure{}
}

func (c *csvRow) isNull(text []byte) bool {
	for _, null := range c.null {
		if bytes.Equal(text, null) {
			return true
		}
	}
	return false
}

// field cuts the field at a place of the row into c.found. next is where the one after it begins, past the row if there is none.
func (c *csvRow) field(at int) (next int) {
	if c.quote != 0 && at < c.end && c.line[at] == c.quote {
		c.seen = highs // quoted fields are not looked at eight bytes at a time
		return c.quotedField(at)
	}
	return c.plainField(at)
}

// plainField cuts an unquoted field, eight bytes in a step.
func (c *csvRow) plainField(at int) (next int) {
	line, delimiters, quotes, quoting := c.line, c.delimiters, c.quotes, c.quoting
	seen, special := c.seen, uint64(0)
	for i := at; ; i += 8 {
		x := binary.LittleEndian.Uint64(line[i:])
		quote := zeroBytes(x^quotes) & quoting
		odd := zeroBytes(x^ones*'\\') | zeroBytes(x^ones*'"') | (x-ones*' ')&^x&highs
		ends := zeroBytes(x^delimiters) | quote
		if ends == 0 {
			seen |= x
			special |= odd
			continue
		}
		// What counts lies below the lowest mark.
		below := ends&-ends - 1
		c.seen = seen | x&below
		i += bits.TrailingZeros64(ends) / 8
		if quote&(below+1) != 0 {
			c.bad = failure{"csv_to_json.bad_quote", "a quote within an unquoted field: " + excerpt(line[at:c.end])}
			return 0
		}
		c.found = csvField{text: line[at:i], special: special|odd&below != 0}
		return i + 1
	}
}

// quotedField cuts a field in quotes.
func (c *csvRow) quotedField(at int) (next int) {
	f := &c.found
	*f = csvField{special: true, quoted: true}
	for i := at + 1; ; i++ {
		n := bytes.IndexByte(c.line[i:c.end], c.quote)
		if n < 0 {
			c.bad = failure{"csv_to_json.bad_quote", "no closing quote: " + excerpt(c.line[at:c.end])}
			return 0
		}
		i += n
		f.text = c.line[at+1 : i]
		switch {
		case i+1 == c.end || c.line[i+1] == c.delimiter:
			return i + 2
		case c.line[i+1] != c.quote:
			c.bad = failure{"csv_to_json.bad_quote", "text after the closing quote: " + excerpt(c.line[at:c.end])}
			return 0
		}
		f.doubled = true
		i++
	}
}

// unquoted returns the text of a field, its doubled quotes made single. It is valid until the next call.
func (c *csvRow) unquoted(f *csvField) []byte {
	if !f.doubled {
		return f.text
	}
	c.text = reuse(c.text)
	for i := 0; i < len(f.text); i++ {
		c.text = append(c.text, f.text[i])
		if f.text[i] == c.quote {
			i++
		}
	}
	return c.text
}

// value writes the field's value, which is not empty unless it is a string.
func (c *csvRow) value(col *csvColumn, f *csvField) failure {
	wrong := func(code, want string) failure {
		return failure{code, "column " + col.name + ": " + excerpt(f.text) + " is not " + want}
	}
	var ok bool
	switch col.kind {
	case csvString:
		c.buf = leatjson.AppendText(c.buf, c.unquoted(f))
	case csvDate:
		if !isDate(f.text) {
			return wrong("csv_to_json.not_a_date", "a date such as 2026-11-30")
		}
		c.buf = append(append(append(c.buf, '"'), f.text...), '"')
	case csvInteger:
		if c.buf, ok = leatjson.AppendNumber(c.buf, f.text, true); !ok {
			return wrong("csv_to_json.not_an_integer", "an integer of 64 bits")
		}
	case csvNumber:
		if c.buf, ok = leatjson.AppendNumber(c.buf, f.text, false); !ok {
			return wrong("csv_to_json.not_a_number", "a number")
		}
	default:
		if c.buf, ok = appendBoolean(c.buf, f.text); !ok {
			return wrong("csv_to_json.not_a_boolean", "true or false")
		}
	}
	return failure{}
}

// badUTF8 finds the first byte that is not UTF-8.
func (c *csvRow) badUTF8(row []byte) failure {
	at, col, quoted := 0, 0, false
	for at < len(row) {
		r, n := utf8.DecodeRune(row[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		if c.quote != 0 && row[at] == c.quote {
			quoted = !quoted
		}
		if row[at] == c.delimiter && !quoted {
			col++
		}
		at += n
	}
	where := "after the last column"
	if col < len(c.columns) {
		where = "column " + c.columns[col].name
	}
	return failure{"csv_to_json.invalid_utf8", fmt.Sprintf("%s: byte %d of the row, 0x%02x, is not UTF-8", where, at+1, row[at])}
}
