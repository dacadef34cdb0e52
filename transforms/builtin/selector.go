package builtin

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// selectorText is the part of reference pages that says what a selector is.
const selectorText = "`.user.id` is a field of the record's JSON, `_key` the partition key, `_attrs.name` an attribute, `_data` the data as a whole, `_shard` the shard. " +
	"Numbers count by their value (1 is 1.0), arrays and objects as they are written."

// selector makes the key of a record of some of its parts. It does not change.
type selector struct {
	parts []selectorPart
	set   *jsonpath.Set
}

type selectorPart struct {
	text string // as the setting has it
	path int    // number in the set; -1 if it is none
	attr string
}

// selectorAt compiles what stands in the setting key: JSON paths, _key, _attrs.NAME, _data or _shard.
func selectorAt(n *setting.Node, key, code string, texts []string) (*selector, *fault.Error) {
	s := &selector{}
	var paths []jsonpath.Path
	for _, text := range texts {
		part := selectorPart{text: text, path: -1}
		name, attribute := strings.CutPrefix(text, "_attrs.")
		switch {
		case text == "_key" || text == "_data" || text == "_shard":
		case attribute && name != "":
			part.attr = name
		case strings.HasPrefix(text, "."):
			path, err := pathAt(n, key, code, text)
			if err != nil {
				return nil, err
			}
			part.path, paths = len(paths), append(paths, path)
		default:
			example := ".user.id"
			if _, err := jsonpath.Parse("." + text); err == nil && text != "" && text[0] != '_' {
				example = "." + text
			}
			return nil, invalid(n, key, code, "%s: %q names no part of a record", key, text).
				WithHint("write a path such as %s, or _key, _attrs.name, _data or _shard", example)
		}
		s.parts = append(s.parts, part)
	}
	s.set = jsonpath.NewSet(paths...)
	return s, nil
}

// selected is the memory of one goroutine that makes keys.
type selected struct {
	scan jsonpath.Scan
	key  []byte
}

// of makes the key of a record, in memory that the next call uses again. Different parts make different keys. missing is the part that is
// not there or null; fail is the end of the code and the reason if the record is not JSON and should be.
func (sel *selected) of(s *selector, r *record.Record) (key []byte, missing string, fail failure) {
	if missing, fail = sel.look(s, r); fail.code != "" {
		return nil, "", fail
	}
	if missing != "" {
		return nil, missing, failure{}
	}
	key = sel.key[:0]
	for i := range s.parts {
		kind, text, _ := sel.part(s, i, r)
		key = append(key, byte(kind))
		key = binary.AppendUvarint(key, uint64(len(text)))
		key = append(key, text...)
	}
	if sel.key = key; cap(key) > keepScratch {
		sel.key = nil
	}
	return key, "", failure{}
}

// look finds the parts of a record.
func (sel *selected) look(s *selector, r *record.Record) (missing string, fail failure) {
	for i := range s.parts {
		if s.parts[i].path >= 0 {
			if at, ok := sel.scan.Run(s.set, r.Data); !ok {
				return "", failure{".not_json", fmt.Sprintf("the record is not one JSON value: byte %d does not belong there", at)}
			}
			break
		}
	}
	for i := range s.parts {
		if _, _, ok := sel.part(s, i, r); !ok {
			return s.parts[i].text, failure{}
		}
	}
	return "", failure{}
}

// part returns the text of a part, after look.
func (sel *selected) part(s *selector, i int, r *record.Record) (kind jsonpath.Kind, text string, ok bool) {
	p := &s.parts[i]
	switch {
	case p.path >= 0:
		v := sel.scan.Values[p.path]
		if v.Kind == jsonpath.Composite {
			return v.Kind, record.StringOf(v.Raw), true
		}
		text, ok := v.Scalar()
		return v.Kind, record.StringOf(text), ok
	case p.attr != "":
		value, ok := r.Attrs.Get(p.attr)
		return jsonpath.Text, value, ok
	case p.text == "_key":
		return jsonpath.Text, r.Key, true
	case p.text == "_shard":
		return jsonpath.Text, r.Shard.String(), true
	}
	return jsonpath.Text, record.StringOf(r.Data), true
}
