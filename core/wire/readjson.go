package wire

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads JSON as RFC 8259 has it, and no more. Keys that repeat are left to whoever reads.
type jsonReader struct {
	body []byte
	at   int
	// open lists and maps, the innermost last.
	open  [maxDepth]jsonOpen
	depth int
	// text holds a string that has escapes.
	text []byte
}

type jsonOpen struct {
	close byte // ']' or '}'
	some  bool // an element has been read
	key   bool // of a map: the next value is a key
}

func (r *jsonReader) milliseconds() float64 { return 1000 }

// space skips white space and returns what follows; 0 at the end.
func (r *jsonReader) space() byte {
	for ; r.at < len(r.body); r.at++ {
		switch c := r.body[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) end() error {
	r.space()
	if r.at < len(r.body) {
		return errToken
	}
	return nil
}

func (r *jsonReader) more() (bool, error) {
	o := &r.open[r.depth-1]
	c := r.space()
	if c == o.close {
		r.at++
		r.depth--
		return false, nil
	}
	if o.some {
		if c != ',' {
			return false, r.unexpected()
		}
		r.at++
	}
	o.some, o.key = true, o.close == '}'
	return true, nil
}

func (r *jsonReader) next() (value, error) {
	key := false
	if r.depth > 0 {
		o := &r.open[r.depth-1]
		key, o.key = o.key, false
	}
	c := r.space()
	if key {
		if c != '"' {
			return value{}, r.unexpected()
		}
		v, err := r.string()
		if err != nil {
			return value{}, err
		}
		if r.space() != ':' {
			return value{}, r.unexpected()
		}
		r.at++
		return v, nil
	}
	switch {
	case c == '"':
		return r.string()
	case c == '-' || c >= '0' && c <= '9':
		return r.numeral()
	case c == '{':
		return value{kind: kindMap}, r.enter('}')
	case c == '[':
		return value{kind: kindList}, r.enter(']')
	case c == 't':
		return value{kind: kindTrue}, r.word("true")
	case c == 'f':
		return value{kind: kindFalse}, r.word("false")
	case c == 'n':
		return value{kind: kindNull}, r.word("null")
	}
	return value{}, r.unexpected()
}

func (r *jsonReader) unexpected() error {
	if r.at >= len(r.body) {
		return errEnd
	}
	return errToken
}

func (r *jsonReader) enter(close byte) error {
	if r.depth == maxDepth {
		return errDepth
	}
	r.at++
	r.open[r.depth] = jsonOpen{close: close}
	r.depth++
	return nil
}

func (r *jsonReader) word(w string) error {
	if len(r.body)-r.at < len(w) || string(r.body[r.at:r.at+len(w)]) != w {
		return errToken
	}
	r.at += len(w)
	return nil
}

// string reads a string whose quote is next.
func (r *jsonReader) string() (value, error) {
	r.at++
	start := r.at
	for plain := true; r.at < len(r.body); r.at++ {
		switch c := r.body[r.at]; {
		case c == '"':
			p := r.body[start:r.at]
			r.at++
			if !plain && !utf8.Valid(p) {
				return value{}, errText
			}
			return value{kind: kindText, bytes: p}, nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return value{}, errToken
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return value{}, errEnd
}

// escaped reads a string that starts at start; the first escape is next.
func (r *jsonReader) escaped(start int) (value, error) {
	text := append(r.text[:0], r.body[start:r.at]...)
	for r.at < len(r.body) {
		c := r.body[r.at]
		r.at++
		switch {
		case c == '"':
			r.text = text
			if !utf8.Valid(text) {
				return value{}, errText
			}
			return value{kind: kindText, bytes: text}, nil
		case c < ' ':
			return value{}, errToken
		case c != '\\':
			text = append(text, c)
			continue
		}
		if r.at == len(r.body) {
			break
		}
		c = r.body[r.at]
		r.at++
		switch c {
		case '"', '\\', '/':
			text = append(text, c)
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			u, ok := r.unit()
			if !ok {
				return value{}, r.unexpected()
			}
			if utf16.IsSurrogate(u) {
				u = r.pair(u)
			}
			text = utf8.AppendRune(text, u)
		default:
			return value{}, errToken
		}
	}
	return value{}, errEnd
}

// unit reads the four hexadecimal digits of an escape.
func (r *jsonReader) unit() (rune, bool) {
	if len(r.body)-r.at < 4 {
		return 0, false
	}
	var u rune
	for _, c := range r.body[r.at : r.at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	r.at += 4
	return u, true
}

// pair returns the character of a surrogate and the one that follows; one without its other half is U+FFFD.
func (r *jsonReader) pair(first rune) rune {
	at := r.at
	if len(r.body)-at >= 6 && r.body[at] == '\\' && r.body[at+1] == 'u' {
		r.at += 2
		if second, ok := r.unit(); ok {
			if c := utf16.DecodeRune(first, second); c != utf8.RuneError {
				return c
			}
		}
	}
	r.at = at
	return utf8.RuneError
}

// numeral reads a number whose first byte is next.
func (r *jsonReader) numeral() (value, error) {
	start := r.at
	digits := func() bool {
		from := r.at
		for r.at < len(r.body) && r.body[r.at] >= '0' && r.body[r.at] <= '9' {
			r.at++
		}
		return r.at > from
	}
	if r.body[r.at] == '-' {
		r.at++
	}
	first := r.at
	if !digits() || r.body[first] == '0' && r.at > first+1 {
		return value{}, r.unexpected()
	}
	integral := true
	if r.at < len(r.body) && r.body[r.at] == '.' {
		integral = false
		r.at++
		if !digits() {
			return value{}, r.unexpected()
		}
	}
	if r.at < len(r.body) && r.body[r.at]|0x20 == 'e' {
		integral = false
		r.at++
		if r.at < len(r.body) && (r.body[r.at] == '+' || r.body[r.at] == '-') {
			r.at++
		}
		if !digits() {
			return value{}, r.unexpected()
		}
	}
	text := string(r.body[start:r.at])
	v := value{kind: kindNumber}
	if integral {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			v.whole, v.number, v.integral = n, float64(n), true
			return v, nil
		}
	}
	v.number, _ = strconv.ParseFloat(text, 64) // beyond a float64 it is an infinity
	return v, nil
}
