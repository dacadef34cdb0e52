package feeder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// parseJSONPath reads a path in jq's notation, object fields only: .user.id or .user."full name"
func parseJSONPath(s string) ([]string, error) {
	var path []string
	for s != "" {
		if s[0] != '.' {
			return nil, errors.New("want a path of fields, each with a dot before it, such as .user.id")
		}
		s = s[1:]
		name := ""
		if strings.HasPrefix(s, `"`) {
			end, ok := jsonString([]byte(s), 0)
			if !ok || json.Unmarshal([]byte(s[:end]), &name) != nil {
				return nil, errors.New("a quoted field is not a JSON string")
			}
			s = s[end:]
		} else {
			i := strings.IndexFunc(s, func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			})
			if i < 0 {
				i = len(s)
			}
			if i == 0 {
				return nil, errors.New("want the name of a field after each dot; put other characters than letters, digits and _ in quotes")
			}
			name, s = s[:i], s[i:]
		}
		if path = append(path, name); len(path) > maxPathDepth {
			return nil, fmt.Errorf("more than %d fields deep", maxPathDepth)
		}
	}
	return path, nil
}

// jsonField returns the value at a path of a JSON object as a key: a string's characters, a number as it is written, true
// or false. ok is false for null, objects, arrays, a path that leads nowhere, and lines that are not JSON on the way
// there; what comes after the value is not looked at. Of fields with the same name the first counts.
func jsonField(line []byte, path []string) (value []byte, ok bool) {
	at := jsonSpace(line, 0)
	for _, name := range path {
		if at, ok = jsonMember(line, at, name); !ok {
			return nil, false
		}
	}
	end, ok := jsonSkip(line, at)
	if !ok {
		return nil, false
	}
	switch value = line[at:end]; value[0] {
	case '{', '[', 'n':
		return nil, false
	case '"':
		return jsonUnquote(value)
	default:
		return value, json.Valid(value)
	}
}

// jsonMember returns where the value of a field begins in the object at a place.
func jsonMember(line []byte, at int, name string) (int, bool) {
	if at >= len(line) || line[at] != '{' {
		return 0, false
	}
	for sep := byte('{'); at < len(line) && line[at] == sep; sep = ',' {
		at = jsonSpace(line, at+1)
		end, ok := jsonString(line, at)
		if !ok {
			return 0, false
		}
		field, ok := jsonUnquote(line[at:end])
		if !ok {
			return 0, false
		}
		if at = jsonSpace(line, end); at >= len(line) || line[at] != ':' {
			return 0, false
		}
		at = jsonSpace(line, at+1)
		if string(field) == name {
			return at, true
		}
		if at, ok = jsonSkip(line, at); !ok {
			return 0, false
		}
		at = jsonSpace(line, at)
	}
	return 0, false
}

func jsonSpace(line []byte, at int) int {
	for at < len(line) && (line[at] == ' ' || line[at] == '\t' || line[at] == '\r' || line[at] == '\n') {
		at++
	}
	return at
}

// jsonSkip returns where the value that begins at a place ends. It trusts brackets to pair and looks only at strings, so
// that a value in the way costs little.
func jsonSkip(line []byte, at int) (end int, ok bool) {
	if at >= len(line) {
		return 0, false
	}
	switch line[at] {
	case '"':
		return jsonString(line, at)
	case '{', '[':
		depth := 0
		for at < len(line) {
			switch line[at] {
			case '"':
				if at, ok = jsonString(line, at); !ok {
					return 0, false
				}
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1, true
				}
			}
			at++
		}
		return 0, false
	}
	end = at
	for end < len(line) && bytes.IndexByte([]byte(",]} \t\r\n"), line[end]) < 0 {
		end++
	}
	return end, end > at
}

// jsonString returns where the string that begins at a place ends.
func jsonString(line []byte, at int) (end int, ok bool) {
	if at >= len(line) || line[at] != '"' {
		return 0, false
	}
	for at++; at < len(line); at++ {
		switch line[at] {
		case '\\':
			at++
		case '"':
			return at + 1, true
		}
	}
	return 0, false
}

// jsonUnquote returns the characters of a string with its quotes. Only one with escapes, control characters or bytes
// beyond ASCII needs the standard library.
func jsonUnquote(quoted []byte) ([]byte, bool) {
	plain := quoted[1 : len(quoted)-1]
	for _, c := range plain {
		if c == '\\' || c < ' ' || c >= 0x80 {
			var s string
			if json.Unmarshal(quoted, &s) != nil {
				return nil, false
			}
			return []byte(s), true
		}
	}
	return plain, true
}
