package spec

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
)

// decoder fills the types of types.go from nodes, by their tags.
type decoder struct {
	dir  string
	file []byte // its content
	env  func(string) (string, bool)
	errs *Errors
}

// fromNode is implemented by types that are not what their Go kind says.
type fromNode interface {
	decode(d *decoder, n *node, f *field)
}

// shorthander is implemented by structs that can be written as one scalar: that of the named key.
type shorthander interface{ shorthand() string }

func (d *decoder) fail(n *node, code, format string, args ...any) *fault.Error {
	e := fault.New(fault.Permanent, code, format, args...).At(n.place)
	d.errs.add(e)
	return e
}

func (d *decoder) wrongType(n *node, f *field, want string) *fault.Error {
	e := d.fail(n, "spec.bad_type", "%s wants %s, not %s", f.key, want, n.describe())
	if n.kind == nullKind {
		e.Message = fmt.Sprintf("%s has no value; it wants %s", f.key, want)
	}
	return e
}

// value decodes n into v, which is settable.
func (d *decoder) value(n *node, v reflect.Value, f *field) {
	if n.broken {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch to := v.Addr().Interface().(type) {
	case fromNode:
		to.decode(d, n, f)
		return
	case *Secret:
		*to = d.secret(n, f)
		return
	case *Value:
		*to = n.appendJSON(make([]byte, 0, 64))
		return
	case *Pairs:
		*to = d.pairs(n, f)
		return
	case *SecretPairs:
		*to = d.secretPairs(n, f)
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		d.list(n, v, f)
		return
	case reflect.Struct:
		if v.Type() != timeType {
			d.object(n, v, f)
			return
		}
	}
	if n.kind != scalarKind {
		d.wrongType(n, f, f.wants(v.Type()))
		return
	}
	parsed, err := f.parse(n, v.Type())
	if err != nil {
		d.errs.add(err.At(n.place))
		return
	}
	if f.path != "" {
		parsed = reflect.ValueOf(d.resolve(parsed.String(), f.path))
	}
	v.Set(parsed.Convert(v.Type()))
}

// resolve makes a path relative to the pipeline file's folder one that can be opened. A pattern's folder part is escaped: only
// what the file says is a pattern.
func (d *decoder) resolve(path, how string) string {
	if filepath.IsAbs(path) || d.dir == "" {
		return filepath.Clean(path)
	}
	dir := d.dir
	if how == "glob" {
		dir = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
	}
	return filepath.Join(dir, path)
}

func (d *decoder) list(n *node, v reflect.Value, f *field) {
	if n.kind == scalarKind && v.Type().Elem().Kind() == reflect.String { // one text needs no brackets
		n = &node{kind: sequenceKind, place: n.place, items: []*node{n}}
	}
	if n.kind != sequenceKind {
		d.wrongType(n, f, "a list")
		return
	}
	if err := f.checkItems(len(n.items)); err != nil {
		d.errs.add(err.At(n.place))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i := range n.items {
		d.value(n.items[i], v.Index(i), &field{key: fmt.Sprintf("%s[%d]", f.key, i)})
	}
}

func (d *decoder) object(n *node, v reflect.Value, f *field) {
	fields := fieldsOf(v.Type())
	short := false
	if n.kind == scalarKind {
		if s, ok := v.Interface().(shorthander); ok {
			short = true
			n = &node{kind: mappingKind, place: n.place, entries: []entry{{s.shorthand(), n.place, n}}}
		}
	}
	if n.kind != mappingKind {
		e := d.wrongType(n, f, f.wants(v.Type()))
		if key := fields.onlyRequired(); key != "" && n.kind == scalarKind {
			e.Hint = fmt.Sprintf("write { %s: … }", key)
		}
		return
	}
	if err := f.checkItems(len(n.entries)); err != nil {
		d.errs.add(err.At(n.place))
	}
	var misspelt []string // keys that are there, but for a mistake in writing
	places := make(map[string]string, len(n.entries))
	for _, e := range n.entries {
		sub := fields.byKey[e.key]
		if sub == nil {
			d.errs.add(fault.New(fault.Permanent, "spec.unknown_key", "unknown key %s in %s", quoteShort(e.key), f.key).
				At(e.place).WithHint("%s", suggest(e.key, fields.keys)))
			if looksSecret(e.key) {
				d.errs.hide(e.value)
			}
			misspelt = append(misspelt, meant(e.key, fields.keys))
			continue
		}
		if short { // the reader sees only the outer key
			copied := *sub
			copied.key = f.key
			sub = &copied
		}
		places[e.key] = e.value.place
		d.value(e.value, v.Field(sub.index), sub)
	}
	v.Field(fields.node).Set(reflect.ValueOf(setting.At(n.place, places).In(d.file)))
	d.absent(n, v, fields, f, misspelt)
}

// absent sees to the keys that are not there: defaults, required keys, and groups of which one must be there. Those that are misspelt are not
// missing besides.
func (d *decoder) absent(n *node, v reflect.Value, fields *fieldSet, f *field, misspelt []string) {
	for _, sub := range fields.list {
		if n.get(sub.key) != nil {
			continue
		}
		switch {
		case sub.required && slices.Contains(misspelt, sub.key):
		case sub.required:
			d.fail(n, "spec.missing_key", "%s needs the key %q", f.key, sub.key)
		case sub.deflt != "":
			d.value(&node{kind: scalarKind, text: sub.deflt, free: true, place: n.place}, v.Field(sub.index), sub)
		case sub.group == "" && v.Field(sub.index).Kind() == reflect.Struct && v.Field(sub.index).Type() != timeType && !sub.special:
			d.value(&node{kind: mappingKind, place: n.place}, v.Field(sub.index), sub)
		}
	}
	for _, g := range fields.groups {
		var given []string
		for _, key := range g.keys {
			if n.get(key) != nil {
				given = append(given, key)
			}
		}
		switch {
		case len(given) > 1:
			d.fail(n, "spec.exclusive_keys", "%s has %s; only one of them can be there", f.key, strings.Join(given, " and "))
		case len(given) == 0 && !g.optional && !slices.ContainsFunc(g.keys, func(key string) bool { return slices.Contains(misspelt, key) }):
			d.fail(n, "spec.missing_key", "%s needs one of the keys %s", f.key, strings.Join(g.keys, ", "))
		}
	}
}

// parse reads a scalar as type t and checks it against the field's tags.
func (f *field) parse(n *node, t reflect.Type) (reflect.Value, *fault.Error) {
	badType := func() (reflect.Value, *fault.Error) {
		e := fault.New(fault.Permanent, "spec.bad_type", "%s wants %s, not %s", f.key, f.wants(t), n.describe())
		if !n.plain && !n.free && isJSONScalar(n.text) {
			e.Hint = "remove the quotes"
		}
		return reflect.Value{}, e
	}
	badValue := func(err error) (reflect.Value, *fault.Error) {
		return reflect.Value{}, fault.New(fault.Permanent, "spec.bad_value", "%s: %w", f.key, err)
	}
	var out any
	switch {
	case t == bytesType:
		v, err := ParseBytes(n.text)
		if err != nil {
			return badValue(err)
		}
		out = v
	case t == durationType:
		v, err := ParseDuration(n.text)
		if err != nil {
			return badValue(err)
		}
		out = v
	case t == shareType:
		v, err := setting.ParseShare(n.text)
		if err != nil {
			return badValue(err)
		}
		out = v
	case t == timeType:
		v, err := time.Parse(time.RFC3339Nano, n.text)
		if err != nil {
			return badValue(fmt.Errorf("%s is not a time such as 2026-11-01T00:00:00Z", quoteShort(n.text)))
		}
		out = v.UTC()
	case t.Kind() == reflect.Int:
		v, err := strconv.Atoi(n.text)
		if err != nil || !(n.plain || n.free) {
			return badType()
		}
		out = v
	case t.Kind() == reflect.Bool:
		if (n.text != "true" && n.text != "false") || !(n.plain || n.free) {
			return badType()
		}
		out = n.text == "true"
	case t.Kind() == reflect.String:
		if n.plain && !n.free && isJSONScalar(n.text) {
			if err := f.checkText(n.text); err != nil { // quotes would not help
				return reflect.Value{}, err
			}
			_, e := badType()
			return reflect.Value{}, e.WithHint("put it in quotes: %s", quoteShort(n.text))
		}
		if err := f.checkText(n.text); err != nil {
			return reflect.Value{}, err
		}
		out = n.text
	default:
		panic(fmt.Sprintf("spec: no way to decode a %v", t))
	}
	if err := f.checkRange(out); err != nil {
		return badValue(err)
	}
	return reflect.ValueOf(out), nil
}

// looksSecret reports whether a key that is not known, perhaps misspelt, may hold a secret.
func looksSecret(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"secret", "token", "password", "passwd", "access", "credential"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

func (d *decoder) secret(n *node, f *field) Secret {
	if n.kind == scalarKind && f.plain && n.text != "" {
		return setting.PlainSecret(n.text, n.place)
	}
	if n.kind == scalarKind {
		// The value is not shown: it may be a secret that was written here by mistake.
		d.errs.hide(n)
		d.fail(n, "spec.bad_type", "%s wants a secret, not a plain value", f.key).Hint = "write {secret: env:NAME} or {secret: file:PATH}"
		return Secret{}
	}
	if n.kind != mappingKind || len(n.entries) != 1 || n.entries[0].key != "secret" || n.entries[0].value.kind != scalarKind {
		d.fail(n, "spec.bad_type", "%s wants a secret", f.key).Hint = "write {secret: env:NAME} or {secret: file:PATH}"
		return Secret{}
	}
	ref := n.entries[0].value
	source, name, _ := strings.Cut(ref.text, ":")
	switch {
	case source == "env" && isVariable(name):
		return setting.EnvSecret(name, ref.place, d.env)
	case source == "file" && name != "":
		return setting.FileSecret(d.resolve(name, "file"), ref.place)
	}
	d.fail(ref, "spec.bad_value", "%s: a secret is env:NAME or file:PATH", f.key)
	return Secret{}
}

func (d *decoder) pairs(n *node, f *field) Pairs {
	if n.kind != mappingKind {
		d.wrongType(n, f, "a mapping of names to text")
		return nil
	}
	if err := f.checkItems(len(n.entries)); err != nil {
		d.errs.add(err.At(n.place))
	}
	pairs := make(Pairs, len(n.entries))
	for i, e := range n.entries {
		pairs[i] = setting.Pair{Name: e.key, Place: e.value.place}
		d.value(e.value, reflect.ValueOf(&pairs[i].Value).Elem(), &field{key: f.key + "." + e.key})
	}
	return pairs
}

func (d *decoder) secretPairs(n *node, f *field) SecretPairs {
	if n.kind != mappingKind {
		d.wrongType(n, f, "a mapping of names to text or secrets")
		return nil
	}
	if err := f.checkItems(len(n.entries)); err != nil {
		d.errs.add(err.At(n.place))
	}
	pairs := make(SecretPairs, len(n.entries))
	for i, e := range n.entries {
		pairs[i] = setting.SecretPair{Name: e.key, Place: e.value.place}
		sub := &field{key: f.key + "." + e.key}
		if e.value.kind == mappingKind {
			pairs[i].Value = d.secret(e.value, sub)
			continue
		}
		var text string
		d.value(e.value, reflect.ValueOf(&text).Elem(), sub)
		pairs[i].Value = setting.PlainSecret(text, e.value.place)
	}
	return pairs
}

func (b *Base64) decode(d *decoder, n *node, f *field) {
	v, err := base64.StdEncoding.DecodeString(n.text)
	if n.kind != scalarKind || err != nil {
		d.fail(n, "spec.bad_value", "%s wants text in base64 with padding", f.key)
		return
	}
	*b = v
	if v == nil {
		*b = Base64{}
	}
}

func (p *Partition) decode(d *decoder, n *node, f *field) {
	if n.kind != mappingKind {
		d.wrongType(n, f, "a mapping of key names to jq queries")
		return
	}
	if err := f.checkItems(len(n.entries)); err != nil {
		d.errs.add(err.At(n.place))
		return
	}
	for _, e := range n.entries {
		name := &field{key: "a partition key's name", match: "partition"}
		if err := name.checkText(e.key); err != nil {
			d.errs.add(err.At(e.place))
			continue
		}
		key := PartitionKey{Node: setting.At(e.value.place, nil), Name: e.key}
		d.value(e.value, reflect.ValueOf(&key.Query).Elem(), &field{key: "partition key " + e.key})
		*p = append(*p, key)
	}
}

func (o *TestOutputs) decode(d *decoder, n *node, f *field) {
	if n.kind != mappingKind {
		d.wrongType(n, f, "a mapping of sink names to records")
		return
	}
	if err := f.checkItems(len(n.entries)); err != nil {
		d.errs.add(err.At(n.place))
		return
	}
	for _, e := range n.entries {
		out := TestOutput{Node: setting.At(e.place, nil), Sink: e.key}
		d.value(e.value, reflect.ValueOf(&out.Records).Elem(), &field{key: "output of " + e.key, items: maxTestRecords})
		*o = append(*o, out)
	}
}
