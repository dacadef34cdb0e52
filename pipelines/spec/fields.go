package spec

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
)

var (
	secretType   = reflect.TypeFor[Secret]()
	valueType    = reflect.TypeFor[Value]()
	pairsType    = reflect.TypeFor[Pairs]()
	bytesType    = reflect.TypeFor[Bytes]()
	durationType = reflect.TypeFor[Duration]()
	shareType    = reflect.TypeFor[Share]()
	timeType     = reflect.TypeFor[time.Time]()
	specialType  = reflect.TypeFor[fromNode]()

	secretPairsType = reflect.TypeFor[SecretPairs]()
)

// field is one field of a struct, as its tags describe it.
type field struct {
	index    int
	key      string
	typ      reflect.Type
	required bool
	plain    bool // a secret that may also be plain text
	special  bool // decodes itself
	deflt    string
	rng      string
	enum     []string
	match    string
	group    string
	optional bool // of the group
	path     string
	items    string
	doc      string
}

type group struct {
	name     string
	keys     []string
	optional bool
}

type fieldSet struct {
	node   int // index of the embedded Node
	list   []*field
	keys   []string
	byKey  map[string]*field
	groups []group
}

// onlyRequired is the key that must be there, if there is one alone.
func (s *fieldSet) onlyRequired() (key string) {
	for _, f := range s.list {
		if f.required && key != "" {
			return ""
		} else if f.required {
			key = f.key
		}
	}
	return key
}

var fieldCache sync.Map // reflect.Type to *fieldSet

func fieldsOf(t reflect.Type) *fieldSet {
	if s, ok := fieldCache.Load(t); ok {
		return s.(*fieldSet)
	}
	s := &fieldSet{byKey: map[string]*field{}, node: -1}
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Type == reflect.TypeFor[Node]() {
			s.node = i
		}
		tag := sf.Tag.Get("yaml")
		if tag == "" {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		f := &field{
			index: i, key: key, typ: sf.Type,
			required: options == "required", plain: options == "plain",
			special: decodesItself(sf.Type),
			deflt:   sf.Tag.Get("default"), rng: sf.Tag.Get("range"), match: sf.Tag.Get("match"),
			path: sf.Tag.Get("path"), items: sf.Tag.Get("items"), doc: sf.Tag.Get("doc"),
		}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, "|")
		}
		f.group, f.optional = strings.CutSuffix(sf.Tag.Get("oneof"), "?")
		s.addGroup(f)
		s.list = append(s.list, f)
		s.keys = append(s.keys, key)
		s.byKey[key] = f
	}
	if s.node < 0 {
		panic(fmt.Sprintf("spec: %v embeds no Node", t))
	}
	fieldCache.Store(t, s)
	return s
}

// decodesItself reports whether a type is more than its Go kind says.
func decodesItself(t reflect.Type) bool {
	return t == secretType || t == valueType || t == pairsType || t == secretPairsType || reflect.PointerTo(t).Implements(specialType)
}

func (s *fieldSet) addGroup(f *field) {
	if f.group == "" {
		return
	}
	for i := range s.groups {
		if s.groups[i].name == f.group {
			s.groups[i].keys = append(s.groups[i].keys, f.key)
			return
		}
	}
	s.groups = append(s.groups, group{f.group, []string{f.key}, f.optional})
}

// wants says what a field takes, for messages.
func (f *field) wants(t reflect.Type) string {
	switch {
	case t == bytesType:
		return "a size such as 5MiB"
	case t == durationType:
		return "a duration such as 60s"
	case t == shareType:
		return "a share such as 50% or 0.5"
	case t == timeType:
		return "a time such as 2026-11-01T00:00:00Z"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String && len(f.enum) > 0:
		return "one of " + strings.Join(f.enum, ", ")
	case t.Kind() == reflect.Struct:
		if _, ok := reflect.Zero(t).Interface().(shorthander); ok {
			return "text or a mapping"
		}
		return "a mapping"
	default:
		return "text"
	}
}

// checkText checks a text against enum and match.
func (f *field) checkText(s string) *fault.Error {
	if len(f.enum) > 0 {
		for _, e := range f.enum {
			if s == e {
				return nil
			}
		}
		return fault.New(fault.Permanent, "spec.bad_value", "%s cannot be %s", f.key, quoteShort(s)).WithHint("%s", suggest(s, f.enum))
	}
	if f.match != "" {
		if p := patterns[f.match]; !p.re.MatchString(s) {
			return fault.New(fault.Permanent, "spec.bad_value", "%s cannot be %s: want %s", f.key, quoteShort(s), p.want)
		}
	} else if s == "" && f.required {
		return fault.New(fault.Permanent, "spec.bad_value", "%s cannot be empty", f.key)
	} else if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return fault.New(fault.Permanent, "spec.bad_value", "%s holds characters that are not text", f.key)
	}
	return nil
}

// bounds returns the numbers of the range tag; hasLow and hasHigh tell which are there.
func (f *field) bounds(t reflect.Type) (low, high int64, hasLow, hasHigh bool) {
	from, to, _ := strings.Cut(f.rng, "..")
	read := func(s string) (int64, bool) {
		if s == "" {
			return 0, false
		}
		var v int64
		var err error
		switch t {
		case bytesType:
			var b Bytes
			b, err = ParseBytes(s)
			v = int64(b)
		case durationType:
			var d Duration
			d, err = ParseDuration(s)
			v = int64(d)
		default:
			v, err = strconv.ParseInt(s, 10, 64)
		}
		if err != nil {
			panic(fmt.Sprintf("spec: range tag of %s: %v", f.key, err))
		}
		return v, true
	}
	low, hasLow = read(from)
	high, hasHigh = read(to)
	return low, high, hasLow, hasHigh
}

func (f *field) checkRange(v any) error {
	if f.rng == "" {
		return nil
	}
	rv := reflect.ValueOf(v)
	if !rv.CanInt() {
		panic(fmt.Sprintf("spec: range tag of %s, which is no number", f.key))
	}
	low, high, hasLow, hasHigh := f.bounds(rv.Type())
	from, to, _ := strings.Cut(f.rng, "..")
	n := rv.Int()
	switch {
	case (hasLow && n < low || hasHigh && n > high) && from == to:
		return fmt.Errorf("%v is not supported; only %s is", v, from)
	case hasLow && n < low && !hasHigh:
		return fmt.Errorf("%v is too small; the smallest is %s", v, from)
	case hasLow && n < low || hasHigh && n > high:
		return fmt.Errorf("%v is out of range: %s to %s", v, from, to)
	}
	return nil
}

// itemBounds returns the bounds of the items tag.
func (f *field) itemBounds() (low, high int) {
	from, to, ok := strings.Cut(f.items, "..")
	low, err1 := strconv.Atoi(from)
	high, err2 := strconv.Atoi(to)
	if err := errors.Join(err1, err2); !ok || err != nil {
		panic(fmt.Sprintf("spec: items tag of %s: %q", f.key, f.items))
	}
	return low, high
}

func (f *field) checkItems(n int) *fault.Error {
	if f.items == "" {
		return nil
	}
	if low, high := f.itemBounds(); n < low || n > high {
		return fault.New(fault.Permanent, "spec.bad_value", "%s has %d items; it takes %d to %d", f.key, n, low, high)
	}
	return nil
}
