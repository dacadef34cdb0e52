package feeder

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/pipelines/spec/jq"
)

// Keyless is the partition key of a line in which no key is found: the column or field is missing or empty, or the line
// is not JSON, or not CSV as far as the column.
const Keyless = "-"

// A keyer returns the partition key of a line, and false if the line has none and got Keyless. The key may share the
// line's memory.
type keyer func(line []byte) (key string, found bool)

// newKeyer returns a keyer for one goroutine. k has been checked.
func newKeyer(k Key) keyer {
	switch {
	case k.Constant != "":
		return func([]byte) (string, bool) { return k.Constant, true }
	case k.CSVColumn > 0:
		return func(line []byte) (string, bool) {
			field, _, ok := csvField(line, k.CSVColumn)
			return partitionKey(field, ok)
		}
	case k.JSON != "":
		path, _ := jq.ParsePath(k.JSON)
		return func(line []byte) (string, bool) {
			field, ok := path.Find(line)
			return partitionKey(field, ok)
		}
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	key, left := "", 0
	return func([]byte) (string, bool) {
		if left == 0 {
			key, left = randomKeys[random.Uint32()%uint32(len(randomKeys))], linesPerKey
		}
		left--
		return key, true
	}
}

// linesPerKey is how many lines in a row get the same random key. They still spread evenly, and a stream that sees the
// same key again need not hash it again: hashing each line's key was 6 % of a whole pipeline.
const linesPerKey = 32

// randomKeys are what random keys are drawn from: enough to spread evenly over some hundred shards, and made once,
// because a key a line would cost more than to find the line.
var randomKeys = func() (keys [8192]string) {
	for i := range keys {
		keys[i] = fmt.Sprintf("%08x", rand.Uint32())
	}
	return keys
}()

// partitionKey makes a field a partition key: invalid UTF-8 becomes U+FFFD, and what exceeds 256 characters is cut off.
func partitionKey(field []byte, ok bool) (string, bool) {
	if !ok || len(field) == 0 {
		return Keyless, false
	}
	key := record.StringOf(field)
	if !utf8.Valid(field) {
		key = strings.ToValidUTF8(key, "\uFFFD")
	}
	if len(key) <= maxKeyRunes {
		return key, true
	}
	n := 0
	for i := range key {
		if n == maxKeyRunes {
			return key[:i], true
		}
		n++
	}
	return key, true
}

// csvField returns column n (the first is 1) of a line of comma-separated values as RFC 4180 has it, and where in the line
// the column ends. ok is false if there are fewer columns, or if quotes up to and in the column are not as the RFC wants
// them: a quote within a field that does not begin with one, text after a closing quote, or no closing quote in the line.
func csvField(line []byte, n int) (field []byte, end int, ok bool) {
	at := 0
	for {
		field, end, ok = csvNext(line, at)
		if !ok {
			return nil, 0, false
		}
		if n--; n == 0 {
			return field, end, true
		}
		if end == len(line) {
			return nil, 0, false
		}
		at = end + 1
	}
}

// csvNext returns the field that starts at a place in the line, and where it ends: at a comma or at the line's end.
func csvNext(line []byte, at int) (field []byte, end int, ok bool) {
	if at == len(line) || line[at] != '"' {
		end = len(line)
		if i := bytes.IndexByte(line[at:], ','); i >= 0 {
			end = at + i
		}
		field = line[at:end]
		return field, end, bytes.IndexByte(field, '"') < 0
	}
	at++
	var unescaped []byte
	for {
		i := bytes.IndexByte(line[at:], '"')
		if i < 0 {
			return nil, 0, false
		}
		end = at + i + 1
		switch {
		case end == len(line) || line[end] == ',':
			if unescaped == nil {
				return line[at : end-1], end, true
			}
			return append(unescaped, line[at:end-1]...), end, true
		case line[end] == '"':
			unescaped = append(unescaped, line[at:end]...)
			at = end + 1
		default:
			return nil, 0, false
		}
	}
}
