package spec

import (
	"encoding/json"
	"fmt"
	"strconv"
)

type kind uint8

const (
	nullKind kind = iota
	scalarKind
	mappingKind
	sequenceKind
)

var kindNames = [...]string{"nothing", "a single value", "a mapping", "a list"}

func (k kind) String() string { return kindNames[k] }

// node is one value of a parsed document, with aliases resolved.
type node struct {
	kind  kind
	place string
	// text is a scalar's value. plain says that it was written without quotes, free that it came from the environment or
	// from --set and takes the type of its field.
	text        string
	plain, free bool
	// broken says that the value has an error that is reported: what else it would be is of no interest.
	broken bool

	entries []entry
	items   []*node
}

type entry struct {
	key   string
	place string
	value *node
}

func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

func (n *node) set(key, place string, v *node) {
	for i := range n.entries {
		if n.entries[i].key == key {
			n.entries[i].value = v
			return
		}
	}
	n.entries = append(n.entries, entry{key, place, v})
}

// appendJSON writes a free-form value as JSON. Keys keep the file's order.
func (n *node) appendJSON(dst []byte) []byte {
	switch n.kind {
	case mappingKind:
		dst = append(dst, '{')
		for i, e := range n.entries {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, e.key)
			dst = append(dst, ':')
			dst = e.value.appendJSON(dst)
		}
		return append(dst, '}')
	case sequenceKind:
		dst = append(dst, '[')
		for i, v := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.appendJSON(dst)
		}
		return append(dst, ']')
	case scalarKind:
		if n.plain && isJSONScalar(n.text) {
			return append(dst, n.text...)
		}
		return appendQuoted(dst, n.text)
	default:
		return append(dst, "null"...)
	}
}

func appendQuoted(dst []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // a string always marshals
		panic(fmt.Sprintf("spec: quoting %q: %v", s, err))
	}
	return append(dst, q...)
}

// isJSONScalar reports whether an unquoted scalar is a number or a boolean. The grammar is JSON's: 0x1f, 01234 and yes are
// text, whatever YAML's versions say.
func isJSONScalar(s string) bool {
	if s == "true" || s == "false" {
		return true
	}
	if s == "" || (s[0] != '-' && (s[0] < '0' || s[0] > '9')) || !json.Valid([]byte(s)) {
		return false
	}
	return true
}

// describe says what a node is, for messages about wrong types.
func (n *node) describe() string {
	switch {
	case n.kind != scalarKind:
		return n.kind.String()
	case n.plain && (n.text == "true" || n.text == "false"):
		return "the boolean " + n.text
	case n.plain && isJSONScalar(n.text):
		return "the number " + short(n.text)
	default:
		return "the text " + quoteShort(n.text)
	}
}

// short cuts a long value for a message.
func short(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// quoteShort quotes a value for a message; a long one is cut.
func quoteShort(s string) string { return strconv.Quote(short(s)) }
