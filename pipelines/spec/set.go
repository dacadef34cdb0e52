package spec

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// override is one --set: a path into the document and the value to put there.
type override struct {
	text  string // as given, for messages
	path  []step
	value string
}

// step is one part of a path: a key, or a list item by index or by name.
type step struct {
	name    string
	indexed bool // written in brackets
}

func (s override) fail(format string, args ...any) *fault.Error {
	return fault.New(fault.Permanent, "spec.bad_set", "--set %s: "+format, append([]any{quoteShort(s.text)}, args...)...)
}

// parseSettings reads path=value: keys with dots between them, list items as .name, [name] or [index].
func parseSettings(texts []string, errs *Errors) []override {
	var out []override
	for _, text := range texts {
		s := override{text: text}
		path, value, ok := strings.Cut(text, "=")
		if !ok || path == "" {
			errs.add(s.fail("want path=value").WithHint("for example --set sinks.archive.buffer.size=1MiB"))
			continue
		}
		s.text, s.value = path, value // the value may be private
		if s.path, ok = parsePath(path); !ok || len(s.path) > maxDepth {
			errs.add(s.fail("this is not a path").WithHint("write keys with dots between them and list items as [0] or [name]"))
			continue
		}
		out = append(out, s)
	}
	return out
}

func parsePath(path string) (steps []step, ok bool) {
	for len(path) > 0 {
		if path[0] == '[' {
			name, rest, found := strings.Cut(path[1:], "]")
			if !found || name == "" {
				return nil, false
			}
			steps, path = append(steps, step{name, true}), rest
			continue
		}
		if len(steps) > 0 {
			if path[0] != '.' {
				return nil, false
			}
			path = path[1:]
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		if end == 0 {
			return nil, false
		}
		steps, path = append(steps, step{path[:end], false}), path[end:]
	}
	return steps, len(steps) > 0
}

// apply puts the settings into the documents. A setting goes into every document that has the list items it names, and
// must fit at least one.
func apply(settings []override, docs []*node, errs *Errors) {
	for _, s := range settings {
		var first *fault.Error
		fits := 0
		for _, doc := range docs {
			if err := s.into(doc); err == nil {
				fits++
			} else if first == nil {
				first = err
			}
		}
		if fits == 0 && first != nil {
			errs.add(first)
		}
	}
}

// into walks the document along the path together with the types, which tell what a missing or a short value stands for.
func (s override) into(doc *node) *fault.Error {
	at, t := doc, reflect.TypeFor[Pipeline]()
	place := "--set " + s.text
	for i, st := range s.path {
		last := i == len(s.path)-1
		for t != nil && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t != nil && t.Kind() == reflect.Struct && at.kind == scalarKind {
			if short, ok := reflect.Zero(t).Interface().(shorthander); ok {
				copied := *at
				*at = node{kind: mappingKind, place: at.place, entries: []entry{{short.shorthand(), at.place, &copied}}}
			}
		}
		var next *node
		switch {
		case at.kind == sequenceKind:
			index, err := s.item(at, st)
			if err != nil {
				return err
			}
			if last {
				at.items[index] = s.scalar(place)
				return nil
			}
			next = at.items[index]
			if t != nil && t.Kind() == reflect.Slice {
				t = t.Elem()
			} else {
				t = nil
			}
		case st.indexed:
			return s.fail("[%s] is an item of a list, but there is %s", st.name, at.describe())
		case at.kind == mappingKind || at.kind == nullKind:
			sub, err := s.field(t, st)
			if err != nil {
				return err
			}
			at.kind = mappingKind
			if last {
				at.set(st.name, place, s.scalar(place))
				return nil
			}
			next = at.get(st.name)
			if next == nil {
				if sub != nil && sub.Kind() == reflect.Slice && !decodesItself(sub) {
					return s.fail("there is no %s in the file", st.name)
				}
				next = &node{kind: mappingKind, place: place}
				at.set(st.name, place, next)
			}
			t = sub
		default:
			return s.fail("%s is a key of a mapping, but there is %s", st.name, at.describe())
		}
		at = next
	}
	return nil
}

// scalar is the new value; its type is that of the field it lands in.
func (s override) scalar(place string) *node {
	return &node{kind: scalarKind, place: place, text: s.value, plain: true, free: true}
}

// field returns the type of a key of t; nil if t is free-form.
func (s override) field(t reflect.Type, st step) (reflect.Type, *fault.Error) {
	if t == nil || t.Kind() != reflect.Struct || t == timeType || decodesItself(t) {
		return nil, nil
	}
	fields := fieldsOf(t)
	f := fields.byKey[st.name]
	if f == nil {
		return nil, s.fail("unknown key %s", quoteShort(st.name)).WithHint("%s", suggest(st.name, fields.keys))
	}
	return f.typ, nil
}

// item finds a list item by index or by the value of its key "name".
func (s override) item(list *node, st step) (int, *fault.Error) {
	var names []string
	for i, item := range list.items {
		if name := item.get("name"); name != nil && name.kind == scalarKind {
			if name.text == st.name {
				return i, nil
			}
			names = append(names, name.text)
		}
	}
	if i, err := strconv.Atoi(st.name); err == nil {
		if i >= 0 && i < len(list.items) {
			return i, nil
		}
		return 0, s.fail("the list has %d items; the first is 0", len(list.items))
	}
	return 0, s.fail("no item is named %s", quoteShort(st.name)).WithHint("%s", suggest(st.name, names))
}
