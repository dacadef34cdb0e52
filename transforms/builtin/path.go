package builtin

import (
	"slices"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/setting"
)

// pathAt parses the path that stands in the setting key of a configuration. Items of arrays may be on it, and it may be empty: the
// record itself.
func pathAt(n *setting.Node, key, code, text string) (jsonpath.Path, *fault.Error) {
	p, err := jsonpath.Parse(text)
	if err != nil {
		bad := invalid(n, key, code, "%s: %w", key, err)
		if _, err := jsonpath.Parse("." + text); err == nil && text != "" {
			bad = bad.WithHint("write .%s", text)
		}
		return nil, bad
	}
	return p, nil
}

// keysAt parses the path of a field that records are to be changed at: keys of objects, at least one.
func keysAt(n *setting.Node, key, code, text string) ([]string, *fault.Error) {
	p, err := pathAt(n, key, code, text)
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, invalid(n, key, code, "%s: a lone dot is the whole record, not a field of it", key)
	}
	keys := make([]string, len(p))
	for i, step := range p {
		if step.Item {
			return nil, invalid(n, key, code, "%s: %s goes through an array, which cannot be changed item by item", key, text).
				WithHint("name the array itself, or use jq")
		}
		keys[i] = step.Key
	}
	return keys, nil
}

// fieldsAt parses the paths of fields in the list that stands in the setting key.
func fieldsAt(n *setting.Node, key, code string, texts []string) (paths [][]string, err *fault.Error) {
	for _, text := range texts {
		keys, err := keysAt(n, key, code, text)
		if err != nil {
			return nil, err
		}
		paths = append(paths, keys)
	}
	return paths, nil
}

// apart checks that of the paths in the setting key none is another one, or leads through it.
func apart(n *setting.Node, key, code string, paths ...[]string) *fault.Error {
	for i, p := range paths {
		for _, q := range paths[i+1:] {
			switch shared := min(len(p), len(q)); {
			case !slices.Equal(p[:shared], q[:shared]):
			case len(p) == len(q):
				return invalid(n, key, code, "%s is there twice", keyPath(p))
			default:
				return invalid(n, key, code, "%s and %s cannot both be there: one holds the other", keyPath(p), keyPath(q))
			}
		}
	}
	return nil
}

// keyPath writes keys as a path.
func keyPath(keys []string) string {
	var p jsonpath.Path
	for _, k := range keys {
		p = append(p, jsonpath.Key(k))
	}
	return p.String()
}
