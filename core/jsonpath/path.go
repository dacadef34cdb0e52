// Package jsonpath finds the values of some paths in JSON text: all of them in one pass over the bytes, building nothing.
//
// A path is written as in jq: .user.id, .tags[0], ."odd key", .["odd key"], and . alone for the whole value. As in encoding/json and
// gojq, the last of several equal keys of an object wins, and bytes that are not UTF-8 are read as U+FFFD.
package jsonpath

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

const (
	// maxPath is the most bytes of a path's text.
	maxPath = 16 << 10
	// maxIndex is the largest index into an array: no record has as many elements.
	maxIndex = 1 << 30
)

// Step is a key of an object or, if Item is set, an index into an array.
type Step struct {
	Key   string
	Index int
	Item  bool
}

// Path leads to a value.
type Path []Step

// Key is the step to the value of a key.
func Key(name string) Step { return Step{Key: name} }

// Item is the step to the element of an array, of which the first is 0.
func Item(index int) Step { return Step{Index: index, Item: true} }

// Parse reads a path. Errors say where it ends to be one.
func Parse(text string) (Path, error) {
	if len(text) > maxPath {
		return nil, fmt.Errorf("the path has %d bytes; at most %d are allowed", len(text), maxPath)
	}
	if text == "." {
		return Path{}, nil
	}
	if text == "" || text[0] != '.' {
		return nil, badPath(text, 0, "it does not begin with a dot")
	}
	var path Path
	for at := 0; at < len(text); {
		step, n, why := parseStep(text[at:], at == 0)
		if why != "" {
			return nil, badPath(text, at, why)
		}
		path = append(path, step)
		at += n
	}
	return path, nil
}

func badPath(text string, at int, why string) error {
	if len(text) > 100 {
		text = text[:100] + "…"
	}
	return fmt.Errorf("%q is not a path, from character %d on: %s; want keys and indices from 0, such as .user.id, .tags[0] or .[\"odd key\"]", text, at+1, why)
}

// parseStep reads .name, ."name", [0], ["name"] and, as .[0] or .["name"], the same after a dot.
func parseStep(text string, first bool) (step Step, n int, why string) {
	if text[0] == '.' {
		n++
	} else if text[0] != '[' || first {
		return step, 0, "want a dot or a bracket"
	}
	rest := text[n:]
	switch {
	case rest == "":
		return step, 0, "it ends with a dot"
	case rest[0] == '"':
		name, size, ok := quoted(rest)
		if !ok {
			return step, 0, "the quotes do not hold a text of JSON"
		}
		return Key(name), n + size, ""
	case rest[0] == '[':
		step, size, why := bracketed(rest)
		return step, n + size, why
	}
	size := 0
	for size < len(rest) && isName(rest[size], size == 0) {
		size++
	}
	if size == 0 {
		return step, 0, "want a name of letters, digits and _, or one in quotes"
	}
	return Key(rest[:size]), n + size, ""
}

// bracketed reads [0] or ["name"].
func bracketed(text string) (step Step, n int, why string) {
	if name, size, ok := quoted(text[1:]); ok {
		step, n = Key(name), 1+size
	} else {
		n = 1
		for n < len(text) && '0' <= text[n] && text[n] <= '9' {
			n++
		}
		index, err := strconv.Atoi(text[1:n])
		if err != nil || index > maxIndex {
			return step, 0, "the brackets hold neither an index from 0 nor a name in quotes"
		}
		step = Item(index)
	}
	if n >= len(text) || text[n] != ']' {
		return step, 0, "a bracket does not end"
	}
	return step, n + 1, ""
}

// quoted reads the text in quotes with which text begins.
func quoted(text string) (name string, n int, ok bool) {
	if text == "" || text[0] != '"' {
		return "", 0, false
	}
	for n = 1; n < len(text); n++ {
		switch text[n] {
		case '\\':
			n++
		case '"':
			n++
			err := json.Unmarshal([]byte(text[:n]), &name)
			return name, n, err == nil
		}
	}
	return "", 0, false
}

func isName(c byte, first bool) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || !first && '0' <= c && c <= '9'
}

// String writes the path as Parse reads it.
func (p Path) String() string {
	if len(p) == 0 {
		return "."
	}
	var b strings.Builder
	for i, s := range p {
		switch plain := s.Key != "" && strings.IndexFunc(s.Key, func(r rune) bool { return r > 127 || !isName(byte(r), false) }) < 0 && isName(s.Key[0], true); {
		case s.Item:
			if i == 0 {
				b.WriteByte('.')
			}
			fmt.Fprintf(&b, "[%d]", s.Index)
		case plain:
			b.WriteString("." + s.Key)
		default:
			name, _ := json.Marshal(s.Key) // text always marshals
			fmt.Fprintf(&b, ".[%s]", name)
		}
	}
	return b.String()
}
