package codec

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// maxJSONDepth is how deep arrays and objects may be nested; encoding/json has the same limit.
const maxJSONDepth = 10000

// validJSON reports whether data is one JSON text (RFC 8259) in UTF-8, as json.Valid and utf8.Valid together would, at
// several times their speed: every record of a json_lines object passes here.
func validJSON(data []byte) bool {
	s := jsonScanner{data: data}
	return s.text() && utf8.Valid(data)
}

type jsonScanner struct {
	data []byte
	at   int
	// open has a bit for each array or object that is not closed yet, 1 for objects; the innermost is last.
	open  []uint64
	depth int
}

// text scans one value with white space around it to the end of the data.
func (s *jsonScanner) text() bool {
	for {
		// A value is due.
		switch s.next() {
		case '{':
			if !s.push(1) {
				return false
			}
			if s.next() == '}' {
				s.at++
				s.depth--
				break
			}
			if !s.name() {
				return false
			}
			continue
		case '[':
			if !s.push(0) {
				return false
			}
			if s.next() == ']' {
				s.at++
				s.depth--
				break
			}
			continue
		case '"':
			s.at++
			if !s.str() {
				return false
			}
		case 't':
			if !s.literal("true") {
				return false
			}
		case 'f':
			if !s.literal("false") {
				return false
			}
		case 'n':
			if !s.literal("null") {
				return false
			}
		default:
			if !s.number() {
				return false
			}
		}
		// A value has ended, and with it perhaps what is around it.
		for due := false; !due; {
			c := s.next()
			if s.depth == 0 {
				return s.at == len(s.data)
			}
			inObject := s.open[(s.depth-1)/64]>>((s.depth-1)%64)&1 == 1
			s.at++
			switch {
			case c == ',' && inObject:
				s.next()
				if !s.name() {
					return false
				}
				due = true
			case c == ',':
				due = true
			case c == '}' && inObject, c == ']' && !inObject:
				s.depth--
			default:
				return false
			}
		}
	}
}

// next skips white space and returns the byte there without taking it, or 0 at the end.
func (s *jsonScanner) next() byte {
	for s.at < len(s.data) {
		c := s.data[s.at]
		if c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		s.at++
	}
	return 0
}

// push takes an opening bracket.
func (s *jsonScanner) push(object uint64) bool {
	s.at++
	if s.depth == maxJSONDepth {
		return false
	}
	word, bit := s.depth/64, s.depth%64
	if word == len(s.open) {
		s.open = append(s.open, 0)
	}
	s.open[word] = s.open[word]&^(1<<bit) | object<<bit
	s.depth++
	return true
}

// name scans a member's name and the colon behind it.
func (s *jsonScanner) name() bool {
	if s.at == len(s.data) || s.data[s.at] != '"' {
		return false
	}
	s.at++
	if !s.str() || s.next() != ':' {
		return false
	}
	s.at++
	return true
}

// str scans a string behind its opening quote, eight bytes at a time where nothing ends it.
func (s *jsonScanner) str() bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	data, at := s.data, s.at
	for {
		for at+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[at:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			// The lowest bit that is set belongs to the first byte that is a quote, a backslash or below a space.
			stop := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & highs
			if stop != 0 {
				at += bits.TrailingZeros64(stop) / 8
				break
			}
			at += 8
		}
		if at >= len(data) {
			return false
		}
		switch c := data[at]; {
		case c == '"':
			s.at = at + 1
			return true
		case c < ' ':
			return false
		case c != '\\':
			at++
		default:
			n := escapeLen(data[at:])
			if n == 0 {
				return false
			}
			at += n
		}
	}
}

// escapeLen is the length of the escape sequence at the start of data, 0 if it is wrong.
func escapeLen(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	switch data[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(data) < 6 {
			return 0
		}
		for _, c := range data[2:6] {
			if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func (s *jsonScanner) literal(word string) bool {
	if len(s.data)-s.at < len(word) || string(s.data[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

// number scans a number; anything else is refused.
func (s *jsonScanner) number() bool {
	data, at := s.data, s.at
	if at < len(data) && data[at] == '-' {
		at++
	}
	switch {
	case at == len(data):
		return false
	case data[at] == '0':
		at++
	default:
		n := digits(data[at:])
		if n == 0 {
			return false
		}
		at += n
	}
	if at < len(data) && data[at] == '.' {
		n := digits(data[at+1:])
		if n == 0 {
			return false
		}
		at += 1 + n
	}
	if at < len(data) && data[at]|0x20 == 'e' {
		at++
		if at < len(data) && (data[at] == '+' || data[at] == '-') {
			at++
		}
		n := digits(data[at:])
		if n == 0 {
			return false
		}
		at += n
	}
	s.at = at
	return true
}

// digits counts the digits at the start of data.
func digits(data []byte) int {
	n := 0
	for n < len(data) && '0' <= data[n] && data[n] <= '9' {
		n++
	}
	return n
}
