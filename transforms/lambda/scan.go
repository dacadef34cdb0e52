package lambda

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
)

// maxDepth is how deep lists and objects of a response may nest.
const maxDepth = 200

// scanner reads JSON as RFC 8259 has it, in one pass and without copying. After a false result the text is not JSON, and at
// is where that shows.
type scanner struct {
	b     []byte
	at    int
	depth int
}

// space skips white space and returns what follows; 0 at the end.
func (s *scanner) space() byte {
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// text reads a string whose quote is next and returns what it means: a part of the input, unless it has escapes.
func (s *scanner) text() (p []byte, ok bool) {
	start := s.at
	end := bytes.IndexByte(s.b[start+1:], '"')
	if end < 0 {
		s.at = len(s.b)
		return nil, false
	}
	end += start + 1
	if p = s.b[start+1 : end]; bytes.IndexByte(p, '\\') < 0 {
		if s.at = end + 1; hasControl(p) {
			s.at = start
			return nil, false
		}
		return p, true
	}
	for end = start + 1; s.b[end] != '"'; end++ {
		if s.b[end] == '\\' {
			end++ // what follows is no end; Unmarshal sees whether it is an escape
		}
		if end+1 >= len(s.b) {
			s.at = len(s.b)
			return nil, false
		}
	}
	var t string
	if json.Unmarshal(s.b[start:end+1], &t) != nil {
		return nil, false
	}
	s.at = end + 1
	return []byte(t), true
}

// hasControl reports whether there is a byte below 0x20, which strings must not have as such. It looks at eight at a time.
func hasControl(p []byte) bool {
	const low, high = 0x2020202020202020, 0x8080808080808080
	for ; len(p) >= 8; p = p[8:] {
		if w := binary.LittleEndian.Uint64(p); (w-low)&^w&high != 0 {
			return true
		}
	}
	for _, c := range p {
		if c < ' ' {
			return true
		}
	}
	return false
}

// object reads an object whose brace is next and calls member for each of its keys, with the value next. member reads the value.
func (s *scanner) object(member func(key []byte) bool) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	defer func() { s.depth-- }()
	s.at++
	if s.space() == '}' {
		s.at++
		return true
	}
	for {
		if s.space() != '"' {
			return false
		}
		key, ok := s.text()
		if !ok || s.space() != ':' {
			return false
		}
		s.at++
		if s.space(); !member(key) {
			return false
		}
		switch s.space() {
		case ',':
			s.at++
		case '}':
			s.at++
			return true
		default:
			return false
		}
	}
}

// list reads a list whose bracket is next and calls item for each of its values, which is next then. item reads it.
func (s *scanner) list(item func() bool) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	defer func() { s.depth-- }()
	s.at++
	if s.space() == ']' {
		s.at++
		return true
	}
	for {
		if s.space(); !item() {
			return false
		}
		switch s.space() {
		case ',':
			s.at++
		case ']':
			s.at++
			return true
		default:
			return false
		}
	}
}

// skip reads whatever value is next.
func (s *scanner) skip() bool {
	switch c := s.space(); {
	case c == '"':
		_, ok := s.text()
		return ok
	case c == '{':
		return s.object(func([]byte) bool { return s.skip() })
	case c == '[':
		return s.list(s.skip)
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	return false
}

// null reads null if it is next.
func (s *scanner) null() bool { return s.space() == 'n' && s.word("null") }

func (s *scanner) word(w string) bool {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.b) && s.b[s.at] >= '0' && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}

func (s *scanner) number() bool {
	if s.b[s.at] == '-' {
		s.at++
	}
	first := s.at
	if !s.digits() || s.b[first] == '0' && s.at > first+1 {
		return false
	}
	if s.at < len(s.b) && s.b[s.at] == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if s.at < len(s.b) && s.b[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.b) && (s.b[s.at] == '+' || s.b[s.at] == '-') {
			s.at++
		}
		return s.digits()
	}
	return true
}

// excerpt quotes the beginning of what a handler wrote, for a message.
func excerpt(p []byte) string {
	const most = 120
	more := ""
	if len(p) > most {
		p, more = p[:most], "…"
	}
	return strconv.Quote(strings.ToValidUTF8(string(p), "")) + more
}

// maxWords bounds what a message repeats of a handler's own words, in bytes.
const maxWords = 700

func shorten(s string) string {
	if len(s) > maxWords {
		s = s[:maxWords] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
