package prefix

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/core/record"
)

// EmptyValue stands in keys for an empty partition value.
const EmptyValue = "__HIVE_DEFAULT_PARTITION__"

const randomLength = 11

// Group appends the identity of a record's partition values to dst: records with the same identity share an object. query
// and lambda are the values by name. Lengths stand before the values, so that different lists of values never give the
// same identity. A template without partition keys appends nothing and does not allocate.
//
// Errors are permanent and about the record: prefix.missing_key, prefix.too_long.
func (t *Template) Group(dst []byte, query, lambda record.Attrs) ([]byte, error) {
	if len(t.values) == 0 {
		return dst, nil
	}
	start := len(dst)
	for i := range t.values {
		from := lambda
		if t.values[i].kind == queryPart {
			from = query
		}
		v, ok := from.Get(t.values[i].name)
		if !ok {
			return dst[:start], fail("prefix.missing_key", "the record has no partition key %q", t.values[i].name)
		}
		if len(v) > MaxLength {
			return dst[:start], fail("prefix.too_long", "the partition key %q has %d bytes; a prefix has at most %d", t.values[i].name, len(v), MaxLength)
		}
		dst = binary.AppendUvarint(dst, uint64(len(v)))
		dst = append(dst, v...)
	}
	if n := t.length(dst[start:]); n > MaxLength {
		return dst[:start], fail("prefix.too_long", "the evaluated prefix has up to %d bytes; at most %d are allowed", n, MaxLength)
	}
	return dst, nil
}

// length is the most bytes that the prefix of a group can have.
func (t *Template) length(group []byte) int {
	var sizes [MaxKeys]int
	for i := range t.values {
		n, skip := binary.Uvarint(group)
		sizes[i] = escapedLen(group[skip : skip+int(n)])
		group = group[skip+int(n):]
	}
	total := t.fixed
	for i := range t.parts {
		if k := t.parts[i].kind; k == queryPart || k == lambdaPart {
			total += sizes[t.parts[i].value]
		}
	}
	return total
}

// Key evaluates the prefix for a group that Group gave. at is the arrival of the oldest record of the object; errorType is
// the error-output-type, for dead letters. All timestamps of a prefix use the same instant; every random string is new.
func (t *Template) Key(group []byte, at time.Time, errorType string) (string, error) {
	var values [MaxKeys][]byte
	for i := range t.values {
		n, skip := binary.Uvarint(group)
		if skip <= 0 || n > uint64(len(group)-skip) {
			return "", fail("prefix.bad_group", "the group is not one of this prefix")
		}
		values[i], group = group[skip:skip+int(n)], group[skip+int(n):]
	}
	if len(group) != 0 {
		return "", fail("prefix.bad_group", "the group is not one of this prefix")
	}
	at = at.In(t.zone)
	if y := at.Year(); y < 1 || y > 9999 {
		return "", fail("prefix.bad_time", "the arrival time %v is not in the years 1 to 9999", at)
	}
	dst := make([]byte, 0, 128)
	for i := range t.parts {
		switch p := &t.parts[i]; p.kind {
		case literalPart:
			dst = append(dst, p.text...)
		case timestampPart:
			dst = p.time.append(dst, at)
		case queryPart, lambdaPart:
			dst = appendEscaped(dst, values[p.value])
		case randomPart:
			dst = append(dst, t.random()...)
		case errorTypePart:
			dst = appendEscaped(dst, []byte(errorType))
		}
	}
	key := string(dst)
	if len(key) > MaxLength {
		return "", fail("prefix.too_long", "the evaluated prefix has %d bytes; at most %d are allowed", len(key), MaxLength)
	}
	return key, checkSegments(key)
}

// checkSegments refuses what no store should see. Partition values are escaped, so only the text of the prefix itself
// can fail, and it does when it is compiled.
func checkSegments(key string) error {
	if strings.HasPrefix(key, "/") {
		return fail("prefix.bad_text", "the prefix %q begins with a slash", key).WithHint("remove it: keys have no root")
	}
	rest := key
	for more := rest != ""; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch {
		case segment == "." && more, segment == ".." && more:
			return fail("prefix.bad_text", "the prefix %q has a level %q", key, segment)
		case segment == "" && (more || rest != ""):
			return fail("prefix.bad_text", "the prefix %q has an empty level (//)", key)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r <= 0x9f }

func mustEscape(r rune, n int) bool {
	return r == '/' || r == '\\' || r == '%' || isControl(r) || r == utf8.RuneError && n <= 1
}

func isDots(v []byte) bool { return string(v) == "." || string(v) == ".." }

func escapedLen(v []byte) int {
	switch {
	case len(v) == 0:
		return len(EmptyValue)
	case isDots(v):
		return 3 * len(v)
	}
	total := 0
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		if mustEscape(r, n) {
			total += 2 * n
		}
		total += n
		v = v[n:]
	}
	return total
}

// appendEscaped appends a partition value as the package comment says.
func appendEscaped(dst, v []byte) []byte {
	if len(v) == 0 {
		return append(dst, EmptyValue...)
	}
	const hex = "0123456789ABCDEF"
	dots := isDots(v)
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		if dots || mustEscape(r, n) {
			for _, b := range v[:n] {
				dst = append(dst, '%', hex[b>>4], hex[b&15])
			}
		} else {
			dst = append(dst, v[:n]...)
		}
		v = v[n:]
	}
	return dst
}

func randomString() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	// 256 is no multiple of 62: bytes from 248 up are drawn again, so that all characters are equally likely.
	var out [randomLength]byte
	var buf [2 * randomLength]byte
	for n := 0; n < len(out); {
		rand.Read(buf[:])
		for _, b := range buf {
			if b < 248 && n < len(out) {
				out[n] = alphabet[b%62]
				n++
			}
		}
	}
	return string(out[:])
}
