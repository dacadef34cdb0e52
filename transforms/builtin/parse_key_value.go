package builtin

import (
	"bytes"
	"unicode/utf8"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// KeyValueText are pairs of keys and values.
type KeyValueText struct {
	setting.Node
	FieldDelimiter    string `yaml:"field_delimiter" default:" " doc:"What separates pairs, at most 16 bytes; with a space any white space does."`
	KeyValueDelimiter string `yaml:"key_value_delimiter" default:"=" doc:"What stands between key and value, at most 16 bytes."`
	Bare              string `yaml:"bare_keys" default:"keep" enum:"keep|ignore|fail" doc:"What becomes of a key without a value: it is kept with the boolean true, left out, or the record fails."`
}

const (
	// maxKeyValueDelimiter bounds the delimiters, in bytes.
	maxKeyValueDelimiter = 16
	// maxPairs bounds the pairs of one text.
	maxPairs = 1000
)

// keyValueFormat are pairs such as level=info msg="it works". Of pairs with the same key the first counts.
type keyValueFormat struct {
	fields, values []byte
	bare           string
	types          map[string]scalarType
}

func (c *KeyValueText) format(types map[string]scalarType) (parseFormat, error) {
	for _, d := range []struct{ key, text string }{{"field_delimiter", c.FieldDelimiter}, {"key_value_delimiter", c.KeyValueDelimiter}} {
		if n := len(d.text); n == 0 || n > maxKeyValueDelimiter || bytes.ContainsAny([]byte(d.text), `"\`) {
			return nil, invalid(&c.Node, d.key, "parse.bad_delimiter", "%s is %q; it has 1 to %d bytes, without quotes and backslashes", d.key, d.text, maxKeyValueDelimiter)
		}
	}
	if c.FieldDelimiter == c.KeyValueDelimiter {
		return nil, invalid(&c.Node, "field_delimiter", "parse.bad_delimiter", "both delimiters are %q", c.FieldDelimiter)
	}
	return &keyValueFormat{fields: []byte(c.FieldDelimiter), values: []byte(c.KeyValueDelimiter), bare: c.Bare, types: types}, nil
}

func (f *keyValueFormat) parse(p *parser, text []byte, _ *record.Record) failure {
	c := parseCursor{text: text}
	for pairs := 0; ; pairs++ {
		if f.skip(&c); c.at == len(text) {
			break
		}
		if pairs == maxPairs {
			return failure{"parse.too_many_fields", "the text has more than " + plural(maxPairs, "pair")}
		}
		key, bare := f.key(p, &c)
		var value []byte
		switch {
		case !bare:
			value = f.value(p, &c)
		case f.bare == "fail":
			c.miss("a value for the key " + excerpt(key))
		}
		if c.missing != "" {
			return c.failure()
		}
		if !utf8.Valid(key) { // so that two keys do not become one
			key = bytes.ToValidUTF8(key, []byte("\ufffd"))
		}
		if p.names.has(key) || bare && f.bare == "ignore" {
			continue
		}
		name := record.StringOf(key)
		p.names.add(name)
		p.object.anyKey(name)
		if bare {
			p.object.boolean(true)
		} else if bad := p.typed(name, f.types[name], value); bad.code != "" {
			return bad
		}
	}
	if p.names.len() == 0 {
		return failure{"parse.no_match", "there is no pair in " + excerpt(text)}
	}
	return failure{}
}

// skip takes white space and delimiters between pairs.
func (f *keyValueFormat) skip(c *parseCursor) {
	for c.at < len(c.text) {
		switch rest := c.rest(); {
		case rest[0] <= ' ' && !bytes.HasPrefix(rest, f.values):
			c.at++
		case bytes.HasPrefix(rest, f.fields):
			c.at += len(f.fields)
		default:
			return
		}
	}
}

// pairEnd returns how long a pair without quotes is.
func (f *keyValueFormat) pairEnd(rest []byte) int {
	if len(f.fields) == 1 && f.fields[0] == ' ' {
		n := 0
		for n < len(rest) && rest[n] > ' ' {
			n++
		}
		return n
	}
	if n := bytes.Index(rest, f.fields); n >= 0 {
		return n
	}
	return len(rest)
}

// key takes a key and the delimiter behind it; bare says that there is none.
func (f *keyValueFormat) key(p *parser, c *parseCursor) (key []byte, bare bool) {
	if inner, n := cutQuoted(c.rest(), '"'); n > 0 {
		key = bytes.Clone(p.unescaped(inner)) // the value may have escapes, too
		c.at += n
		if rest := bytes.TrimLeft(c.rest(), " \t"); bytes.HasPrefix(rest, f.values) {
			c.at = len(c.text) - len(rest) + len(f.values)
			return key, false
		}
		if n := f.pairEnd(c.rest()); n > 0 {
			c.miss("what separates a key in quotes from its value")
		}
		return key, true
	}
	pair := c.rest()[:f.pairEnd(c.rest())]
	n := bytes.Index(pair, f.values)
	if n < 0 {
		c.at += len(pair)
		return bytes.TrimSpace(pair), true
	}
	if key = bytes.TrimSpace(pair[:n]); len(key) == 0 {
		c.miss("a key")
	}
	c.at += n + len(f.values)
	return key, false
}

// value takes a value, in quotes or up to the end of the pair.
func (f *keyValueFormat) value(p *parser, c *parseCursor) []byte {
	if c.missing != "" {
		return nil
	}
	for f.fields[0] > ' ' && c.at < len(c.text) && c.text[c.at] <= ' ' {
		c.at++
	}
	if inner, n := cutQuoted(c.rest(), '"'); n > 0 {
		c.at += n
		if rest := c.rest(); len(rest) > 0 && rest[0] > ' ' && !bytes.HasPrefix(rest, f.fields) {
			return c.miss("what separates pairs")
		}
		return p.unescaped(inner)
	}
	rest := c.rest()
	if len(rest) > 0 && rest[0] == '"' {
		return c.miss("a closing quote")
	}
	n := f.pairEnd(rest)
	c.at += n
	return bytes.TrimSpace(rest[:n])
}
