package builtin

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// parseCursor goes through a text from left to right. After the first thing that is missing it finds nothing more, so that only
// the end of a parse asks whether all was there.
type parseCursor struct {
	text []byte
	at   int
	// missing is the first thing that is not there, and where it should be.
	missing string
	where   int
}

func (c *parseCursor) rest() []byte { return c.text[c.at:] }

func (c *parseCursor) miss(what string) []byte {
	if c.missing == "" {
		c.missing, c.where = what, c.at
	}
	return nil
}

// failure is that of a text without what is missing.
func (c *parseCursor) failure() failure {
	if c.missing == "" {
		return failure{}
	}
	found := "the text ends there"
	if c.where < len(c.text) {
		found = "there is " + excerpt(c.text[c.where:])
	}
	return failure{"parse.no_match", c.missing + " is missing at byte " + strconv.Itoa(c.where) + ": " + found}
}

// skip takes s, which must come next.
func (c *parseCursor) skip(s, what string) {
	if c.missing != "" {
		return
	}
	if !bytes.HasPrefix(c.rest(), []byte(s)) {
		c.miss(what)
		return
	}
	c.at += len(s)
}

// word takes what stands before the next space, or before the end, and the space. It is not empty.
func (c *parseCursor) word(what string) []byte {
	if c.missing != "" {
		return nil
	}
	word, _, found := bytes.Cut(c.rest(), []byte{' '})
	if len(word) == 0 {
		return c.miss(what)
	}
	c.at += len(word)
	if found {
		c.at++
	}
	return word
}

// until takes what stands before end, and end itself.
func (c *parseCursor) until(end, what string) []byte {
	if c.missing != "" {
		return nil
	}
	n := bytes.Index(c.rest(), []byte(end))
	if n < 0 {
		return c.miss(what)
	}
	text := c.rest()[:n]
	c.at += n + len(end)
	return text
}

// quoted takes a text in double quotes, in which a backslash takes the meaning of the character behind it away, and the space behind it.
func (c *parseCursor) quoted(what string) []byte {
	if c.missing != "" {
		return nil
	}
	inner, n := cutQuoted(c.rest(), '"')
	if n == 0 {
		return c.miss(what)
	}
	c.at += n
	if c.at < len(c.text) && c.text[c.at] == ' ' {
		c.at++
	}
	return inner
}

// cutQuoted returns the inside of the text in quotes with which text begins, with its escapes, and how long it is with the quotes; 0 if
// there is none.
func cutQuoted(text []byte, quote byte) (inner []byte, n int) {
	if len(text) == 0 || text[0] != quote {
		return nil, 0
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return text[1:i], i + 1
		}
	}
	return nil, 0
}

// unescaped returns a text without its escapes: \" \\ \n \r \t and \xhh; of others only the backslash goes. It is valid until the next
// call.
func (p *parser) unescaped(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	p.text = reuse(p.text)
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			switch c = text[i]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'x':
				if i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
					c = unhex(text[i+1])<<4 | unhex(text[i+2])
					i += 2
				}
			}
		}
		p.text = append(p.text, c)
	}
	return p.text
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// put writes a text under a name that has nothing to escape; a lone dash and nothing are null.
func (p *parser) put(name string, text []byte) {
	p.names.add(name)
	p.object.key(name)
	if len(text) == 0 || len(text) == 1 && text[0] == '-' {
		p.object.raw("null")
		return
	}
	p.object.text(text)
}

// putInteger writes a whole number under a name; a dash is null. ok is false if text is neither.
func (p *parser) putInteger(name string, text []byte) (ok bool) {
	p.names.add(name)
	p.object.key(name)
	if len(text) == 1 && text[0] == '-' {
		p.object.raw("null")
		return true
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	if p.number, ok = leatjson.AppendNumber(p.number[:0], text, true); ok {
		p.object.raw(record.StringOf(p.number))
	}
	return ok
}

// nameSet has the names of an object's members. Few are compared one by one; many are hashed. Names may be memory of the record: they are
// not looked at after reset.
type nameSet struct {
	few  []string
	many map[string]struct{}
}

const fewNames = 16

func (s *nameSet) reset() {
	s.few = s.few[:0]
	clear(s.many)
}

func (s *nameSet) add(name string) {
	if s.few = append(s.few, name); len(s.few) <= fewNames {
		return
	}
	if s.many == nil {
		s.many = map[string]struct{}{}
	}
	if len(s.many) == 0 {
		for _, n := range s.few {
			s.many[strings.Clone(n)] = struct{}{}
		}
	}
	s.many[strings.Clone(name)] = struct{}{}
}

func (s *nameSet) len() int { return len(s.few) }

func (s *nameSet) has(name []byte) bool {
	if len(s.few) > fewNames {
		_, ok := s.many[string(name)]
		return ok
	}
	for _, n := range s.few {
		if n == string(name) {
			return true
		}
	}
	return false
}
