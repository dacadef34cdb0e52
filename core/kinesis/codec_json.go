package kinesis

import (
	"bytes"
	standard "encoding/base64"
	"unicode/utf8"
	"unsafe"

	"github.com/segmentio/asm/base64"

	"github.com/leatstream/leat/core/wire"
)

// What the service takes: padded, and without bits that say nothing. The fast one has nothing to gain on short texts, and
// what is handed to it moves to the heap.
var (
	strictBase64   = base64.StdEncoding.Strict()
	strictStandard = standard.StdEncoding.Strict()
)

// shortBlob is how many characters of base64 are few.
const shortBlob = 64

// jsonBody is a [hotBody] in JSON.
type jsonBody struct {
	body []byte
	at   int
	odd  bool // met what is for the generic decoder

	open  [hotDepth]jsonNest
	depth int
	// escape is where the next backslash is, len(body) if there is none. Bodies seldom have any: then one search tells so
	// for all strings.
	escape int
	// slashes: some blob has escaped slashes, as PHP writes them.
	slashes bool
}

// jsonNest is an open list or structure.
type jsonNest struct {
	close byte
	some  bool // an element has been read
}

func newJSONBody(body []byte) *jsonBody {
	b := &jsonBody{body: body}
	b.escapeAfter(0)
	return b
}

func (b *jsonBody) escapeAfter(at int) {
	b.escape = len(b.body)
	if at < len(b.body) {
		if i := bytes.IndexByte(b.body[at:], '\\'); i >= 0 {
			b.escape = at + i
		}
	}
}

func (b *jsonBody) fail() { b.odd = true }

// peek skips white space and returns what follows; 0 at the end.
func (b *jsonBody) peek() byte {
	for ; b.at < len(b.body); b.at++ {
		switch c := b.body[b.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take skips white space and c, if it is next.
func (b *jsonBody) take(c byte) bool {
	if b.peek() != c {
		return false
	}
	b.at++
	return true
}

func (b *jsonBody) enter(list bool) {
	open, close := byte('{'), byte('}')
	if list {
		open, close = '[', ']'
	}
	if b.depth == hotDepth || !b.take(open) {
		b.fail()
		return
	}
	b.open[b.depth] = jsonNest{close: close}
	b.depth++
}

func (b *jsonBody) more() bool {
	if b.odd {
		return false
	}
	n := &b.open[b.depth-1]
	if b.take(n.close) {
		b.depth--
		return false
	}
	if n.some && !b.take(',') {
		b.fail()
		return false
	}
	n.some = true
	return true
}

func (b *jsonBody) name() []byte {
	p, escaped := b.quoted()
	if escaped || !b.take(':') {
		b.fail()
	}
	return p
}

func (b *jsonBody) null() bool { return b.peek() == 'n' && b.word("null") }

func (b *jsonBody) flag() bool {
	if b.peek() == 't' {
		return b.word("true")
	}
	if !b.word("false") {
		b.fail()
	}
	return false
}

func (b *jsonBody) word(w string) bool {
	if len(b.body)-b.at < len(w) || string(b.body[b.at:b.at+len(w)]) != w {
		b.fail()
		return false
	}
	b.at += len(w)
	return true
}

// quoted reads a string and returns what is between its quotes, and whether there are escapes in it.
func (b *jsonBody) quoted() (p []byte, escaped bool) {
	if !b.take('"') {
		b.fail()
		return nil, false
	}
	start := b.at
	if b.escape < start {
		b.escapeAfter(start)
	}
	end := b.quote(start)
	for b.escape < end { // each byte is looked at once for quotes and once for backslashes
		escaped = true
		after := b.escape + 2
		if after > end {
			end = b.quote(after)
		}
		b.escapeAfter(after)
	}
	if end >= len(b.body) {
		b.fail()
		return nil, false
	}
	b.at = end + 1
	return b.body[start:end], escaped
}

// quote returns where the first quote at or after a place is; len(body) if there is none.
func (b *jsonBody) quote(at int) int {
	if at < len(b.body) {
		if i := bytes.IndexByte(b.body[at:], '"'); i >= 0 {
			return at + i
		}
	}
	return len(b.body)
}

func (b *jsonBody) text() string {
	b.peek()
	from := b.at
	p, escaped := b.quoted()
	if b.odd {
		return ""
	}
	if escaped {
		var one struct{ V string }
		body := append(append([]byte(`{"V":`), b.body[from:b.at]...), '}')
		if wire.Unmarshal(wire.JSON, body, &one) != nil {
			b.fail()
		}
		return one.V
	}
	ascii := true
	for _, c := range p {
		if c < ' ' {
			b.fail()
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(p) {
		b.fail()
	}
	return unsafe.String(unsafe.SliceData(p), len(p))
}

// blob returns the base64 of a blob; decodeBlob then decodes it.
func (b *jsonBody) blob() []byte {
	p, escaped := b.quoted()
	length := len(p)
	if escaped {
		b.slashes = true
		for rest := p; ; length-- {
			i := bytes.IndexByte(rest, '\\')
			if i < 0 {
				break
			}
			if rest[i+1] != '/' {
				b.fail()
				return nil
			}
			rest = rest[i+2:]
		}
	}
	if length%4 != 0 {
		b.fail()
	}
	return p[:len(p):len(p)]
}

func (b *jsonBody) end() bool {
	b.peek()
	return !b.odd && b.at == len(b.body)
}

// decodeBlob decodes the base64 of a blob in its own place, so that a request needs no second memory for its data. The
// error is the generic decoder's, but that a line break, which no string may have, can hide another error or be hidden.
func (b *jsonBody) decodeBlob(text []byte) ([]byte, error) {
	if b.slashes {
		text = unescapeSlashes(text)
	}
	want := len(text) / 4 * 3
	for i := len(text) - 1; i >= max(0, len(text)-2) && text[i] == '='; i-- {
		want--
	}
	if len(text) <= shortBlob {
		var short [shortBlob]byte // decoding in place could write over what it still has to say about the text
		source := short[:copy(short[:], text)]
		n, err := strictStandard.Decode(text, source)
		if err != nil || n != want {
			return nil, blobError(bytes.Clone(source))
		}
		return text[:n:n], nil
	}
	head := [16]byte(text)
	n, err := strictBase64.Decode(text, text)
	if err == nil && n == want { // fewer: the decoder has passed line breaks over
		return text[:n:n], nil
	}
	// What is decoded is a quarter shorter than what has been read: from the 16th character on, the rest is there still.
	source := append(standard.StdEncoding.AppendEncode(nil, text[:n/3*3]), text[n/3*4:]...)
	copy(source, head[:])
	return nil, blobError(source)
}

// blobError is the generic decoder's error for the base64 of a blob.
func blobError(source []byte) error {
	switch {
	case bytes.ContainsFunc(source, func(c rune) bool { return c < ' ' }):
	case !utf8.Valid(source):
		return wire.SerializationError("Text that is not UTF-8")
	default:
		if _, err := wire.DecodeBlob(source); err != nil {
			return err
		}
	}
	return wire.SerializationError("Unexpected token in the body") // a control character; line breaks were lost
}

// unescapeSlashes replaces \/ in place; there are no other escapes.
func unescapeSlashes(text []byte) []byte {
	to := bytes.IndexByte(text, '\\')
	if to < 0 {
		return text
	}
	for rest := text[to:]; len(rest) > 0; {
		i := bytes.IndexByte(rest[1:], '\\') + 1 // rest begins with a backslash
		if i == 0 {
			i = len(rest)
		}
		to += copy(text[to:], rest[1:i])
		rest = rest[i:]
	}
	return text[:to:to]
}
