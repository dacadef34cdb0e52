package jsonpath

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep values may nest, as in encoding/json.
const maxDepth = 10000

// Scan finds the values of a set's paths in one document after the other. Its zero value is ready; it is for one goroutine.
type Scan struct {
	// Values has one value for each path, in the order in which NewSet got them. They point into the data.
	Values []Value

	data []byte
	pos  int
}

// Run checks that data is exactly one JSON value and finds the values of the paths. If it is not, ok is false, and at is the offset
// of the byte that does not belong there.
func (s *Scan) Run(set *Set, data []byte) (at int, ok bool) {
	s.data, s.pos = data, 0
	if cap(s.Values) < set.n {
		s.Values = make([]Value, set.n)
	}
	s.Values = s.Values[:set.n]
	clear(s.Values)
	s.space()
	if !s.value(set.root, 0) {
		return s.pos, false
	}
	s.space()
	return s.pos, s.pos == len(data)
}

// Forget lets go of the data.
func (s *Scan) Forget() {
	clear(s.Values)
	s.data = nil
}

func (s *Scan) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// value reads a value. n is the step that it belongs to, nil if no path leads here.
func (s *Scan) value(n *step, depth int) bool {
	if s.pos >= len(s.data) {
		return false
	}
	found, start := Value{}, s.pos
	ok := false
	switch c := s.data[s.pos]; {
	case c == '{':
		found.Kind, ok = Composite, s.object(n, depth+1)
	case c == '[':
		found.Kind, ok = Composite, s.array(n, depth+1)
	case c == '"':
		s.begin(n, Elsewhere, Elsewhere)
		found.Kind = Text
		found.plain, ok = s.str()
	case c == '-' || c >= '0' && c <= '9':
		s.begin(n, Elsewhere, Elsewhere)
		found.Kind, ok = Number, s.number()
	case c == 't':
		s.begin(n, Elsewhere, Elsewhere)
		found.Kind, ok = Boolean, s.word("true")
	case c == 'f':
		s.begin(n, Elsewhere, Elsewhere)
		found.Kind, ok = Boolean, s.word("false")
	case c == 'n':
		s.begin(n, Missing, Missing)
		found.Kind, ok = Missing, s.word("null")
	}
	if ok && n != nil && len(n.ends) > 0 {
		found.Raw = s.data[start:s.pos:s.pos]
		for _, id := range n.ends {
			s.Values[id] = found
		}
	}
	return ok
}

// begin forgets what an earlier value of the same key gave, because the last one wins, and sets what the paths below n
// find unless the value holds them.
func (s *Scan) begin(n *step, keys, items Kind) {
	if n == nil {
		return
	}
	for i := range n.keys {
		for _, id := range n.keys[i].next.all {
			s.Values[id] = Value{Kind: keys}
		}
	}
	for i := range n.items {
		for _, id := range n.items[i].next.all {
			s.Values[id] = Value{Kind: items}
		}
	}
}

func (s *Scan) object(n *step, depth int) bool {
	if depth > maxDepth {
		return false
	}
	s.begin(n, Missing, Elsewhere)
	s.pos++
	s.space()
	if s.pos < len(s.data) && s.data[s.pos] == '}' {
		s.pos++
		return true
	}
	for {
		start := s.pos
		if s.pos >= len(s.data) || s.data[s.pos] != '"' {
			return false
		}
		plain, ok := s.str()
		if !ok {
			return false
		}
		var next *step
		if n != nil && len(n.keys) > 0 {
			next = n.key(unquote(s.data[start:s.pos], plain))
		}
		s.space()
		if s.pos >= len(s.data) || s.data[s.pos] != ':' {
			return false
		}
		s.pos++
		s.space()
		if !s.value(next, depth) {
			return false
		}
		if more, ok := s.next('}'); !more {
			return ok
		}
	}
}

func (s *Scan) array(n *step, depth int) bool {
	if depth > maxDepth {
		return false
	}
	s.begin(n, Elsewhere, Missing)
	s.pos++
	s.space()
	if s.pos < len(s.data) && s.data[s.pos] == ']' {
		s.pos++
		return true
	}
	for i := 0; ; i++ {
		var next *step
		if n != nil && len(n.items) > 0 {
			next = n.item(i)
		}
		if !s.value(next, depth) {
			return false
		}
		if more, ok := s.next(']'); !more {
			return ok
		}
	}
}

// next reads a comma, and there is more, or the end of the object or array.
func (s *Scan) next(end byte) (more, ok bool) {
	s.space()
	if s.pos >= len(s.data) {
		return false, false
	}
	switch s.data[s.pos] {
	case ',':
		s.pos++
		s.space()
		return true, true
	case end:
		s.pos++
		return false, true
	}
	return false, false
}

// Eight bytes at a time: each of these words has the byte in every place.
const (
	ones   = 0x0101010101010101
	tops   = 0x8080808080808080
	quotes = ones * '"'
	slopes = ones * '\\'
	spaces = ones * ' '
)

// specials marks the bytes of a string that end a plain run: quotes, backslashes, control characters. A byte above a marked one may be
// marked too; the lowest mark is right.
func specials(w uint64) uint64 {
	return (((w ^ quotes) - ones) | ((w ^ slopes) - ones) | (w - spaces)) &^ w & tops
}

// str reads a string. plain says that it is ASCII without escapes.
func (s *Scan) str() (plain, ok bool) {
	data, i := s.data, s.pos+1
	escaped, seen := false, uint64(0) // all bytes of the string, one over the other
	for i+8 <= len(data) {
		w := binary.LittleEndian.Uint64(data[i:])
		found := specials(w)
		if found == 0 {
			seen |= w
			i += 8
			continue
		}
		n := bits.TrailingZeros64(found) >> 3
		seen |= w & (1<<(8*n) - 1)
		i += n
		if data[i] == '"' {
			s.pos = i + 1
			return !escaped && seen&tops == 0, true
		}
		escaped = true
		if i, ok = escape(data, i); !ok {
			s.pos = i
			return false, false
		}
	}
	for i < len(data) {
		switch c := data[i]; {
		case c == '"':
			s.pos = i + 1
			return !escaped && seen&tops == 0, true
		case c < ' ' || c == '\\':
			escaped = true
			if i, ok = escape(data, i); !ok {
				s.pos = i
				return false, false
			}
		default:
			seen |= uint64(c)
			i++
		}
	}
	s.pos = len(data)
	return false, false
}

// escape returns the place behind the escape sequence at i, or that of the byte at fault.
func escape(data []byte, i int) (int, bool) {
	if data[i] != '\\' {
		return i, false
	}
	if i++; i >= len(data) {
		return i, false
	}
	switch data[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, true
	case 'u':
		for range 4 {
			if i++; i >= len(data) || !isHex(data[i]) {
				return min(i, len(data)), false
			}
		}
		return i + 1, true
	}
	return i, false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *Scan) word(w string) bool {
	if len(s.data)-s.pos < len(w) || string(s.data[s.pos:s.pos+len(w)]) != w {
		return false
	}
	s.pos += len(w)
	return true
}

func (s *Scan) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

func (s *Scan) number() bool {
	peek := func() byte {
		if s.pos < len(s.data) {
			return s.data[s.pos]
		}
		return 0
	}
	if peek() == '-' {
		s.pos++
	}
	if peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return false
	}
	if peek() == '.' {
		s.pos++
		if !s.digits() {
			return false
		}
	}
	if c := peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := peek(); c == '+' || c == '-' {
			s.pos++
		}
		return s.digits()
	}
	return true
}
