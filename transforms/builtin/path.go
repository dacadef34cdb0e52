package builtin

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
)

// path is where a field stands in a JSON record: the keys that lead to it. The empty path is the record itself.
type path []string

// maxPath bounds the text of a path, in bytes.
const maxPath = 1 << 10

// parsePath reads a path as jq writes it: .user.id, .["odd key"], ."odd key"; a lone dot is the record itself. Items of arrays
// have no path.
func parsePath(text string) (path, error) {
	if len(text) > maxPath {
		return nil, fmt.Errorf("the path has %d bytes; at most %d are allowed", len(text), maxPath)
	}
	if text == "." {
		return path{}, nil
	}
	var p path
	for rest := text; rest != ""; {
		key, after, err := nextKey(rest, len(p) == 0)
		if err != nil {
			return nil, fmt.Errorf("%q is not a path: %w", text, err)
		}
		p, rest = append(p, key), after
	}
	if len(p) == 0 {
		return nil, fmt.Errorf("the path is empty")
	}
	return p, nil
}

func nextKey(text string, first bool) (key, rest string, err error) {
	dotted := text[0] == '.'
	if dotted {
		text = text[1:]
	}
	switch {
	case !dotted && (first || text[0] != '['):
		return "", "", fmt.Errorf("a dot is missing before %q", text)
	case strings.HasPrefix(text, `["`) && (first || !dotted):
		if key, text, err = quotedKey(text[1:]); err == nil && !strings.HasPrefix(text, "]") {
			err = fmt.Errorf(`a ] is missing after the key %q`, key)
		}
		return key, strings.TrimPrefix(text, "]"), err
	case strings.HasPrefix(text, `"`):
		return quotedKey(text)
	case strings.HasPrefix(text, "["):
		return "", "", fmt.Errorf(`only keys in quotes stand in brackets; for items of arrays use jq`)
	}
	n := 0
	for n < len(text) && (text[n] == '_' || 'a' <= text[n]|0x20 && text[n]|0x20 <= 'z' || n > 0 && '0' <= text[n] && text[n] <= '9') {
		n++
	}
	if n == 0 || n < len(text) && text[n] != '.' && text[n] != '[' {
		return "", "", fmt.Errorf(`keys that are not letters, digits and _ are written as .["odd key"]`)
	}
	return text[:n], text[n:], nil
}

// quotedKey reads a key in quotes, with JSON's escapes.
func quotedKey(text string) (key, rest string, err error) {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal([]byte(text[:i+1]), &key) != nil {
				return "", "", fmt.Errorf("%s is not text in quotes as JSON has it", text[:i+1])
			}
			return key, text[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("a key has no closing quote")
}

// String writes the path so that parsePath reads it.
func (p path) String() string {
	if len(p) == 0 {
		return "."
	}
	var b strings.Builder
	for i, key := range p {
		if k, rest, err := nextKey("."+key, true); err == nil && k == key && rest == "" && !strings.HasPrefix(key, `"`) {
			b.WriteString("." + key)
			continue
		}
		quoted, err := json.Marshal(key)
		if err != nil {
			panic("builtin: a key that is not text: " + err.Error()) // strings always marshal
		}
		if i == 0 {
			b.WriteByte('.')
		}
		b.WriteString("[" + string(quoted) + "]")
	}
	return b.String()
}

// pathAt parses the path that stands in the setting key of a configuration.
func pathAt(n *setting.Node, key, code, text string) (path, *fault.Error) {
	p, err := parsePath(text)
	if err != nil {
		return nil, invalid(n, key, code, "%s: %w", key, err).WithHint(`write keys such as .user.id or .["odd key"]`)
	}
	return p, nil
}

// fieldAt is pathAt for a path that cannot be the record itself.
func fieldAt(n *setting.Node, key, code, text string) (path, *fault.Error) {
	p, err := pathAt(n, key, code, text)
	if err == nil && len(p) == 0 {
		return nil, invalid(n, key, code, "%s: a lone dot is the whole record, not a field of it", key)
	}
	return p, err
}
