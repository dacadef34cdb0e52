package spec

import (
	"reflect"
	"strings"
)

// Setting describes one key of a configuration struct: what its tags say, in words.
type Setting struct {
	Key string
	// Takes says what the value is: "text", "a size, 1MiB to 4GiB", "a list of mappings".
	Takes string
	// Default is what an absent key means, as it would be written; empty if that is nothing.
	Default  string
	Required bool
	// Group has the keys of which one is given, this one among them; AtMostOne says that none may be.
	Group     []string
	AtMostOne bool
	// Text says that the struct may be written as this key's value alone.
	Text bool
	Doc  string
	// Settings are those of a mapping, or of a list's items; List tells which.
	Settings []Setting
	List     bool
}

// Describe returns the settings of a configuration struct, or of what t points to, in the order of its fields.
func Describe(t reflect.Type) []Setting {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	fields := fieldsOf(t)
	short := ""
	if s, ok := reflect.Zero(t).Interface().(shorthander); ok {
		short = s.shorthand()
	}
	var out []Setting
	for _, f := range fields.list {
		s := Setting{Key: f.key, Takes: f.takes(f.typ), Default: f.deflt, Required: f.required, Text: f.key == short, Doc: f.doc}
		for _, g := range fields.groups {
			if g.name == f.group {
				s.Group, s.AtMostOne = g.keys, g.optional
			}
		}
		inner := f.typ
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice && !decodesItself(inner) {
			s.List = s.List || inner.Kind() == reflect.Slice
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != timeType && !decodesItself(inner) {
			s.Settings = Describe(inner)
		}
		out = append(out, s)
	}
	return out
}

// takes says in words what a value of type t is, with its bounds.
func (f *field) takes(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	what := ""
	switch {
	case t == bytesType:
		what = "a size"
	case t == durationType:
		what = "a duration"
	case t == shareType:
		what = "a share, 0% to 100% or 0 to 1"
	case t == timeType:
		what = "a time"
	case t == secretType:
		what = "a secret"
		if f.plain {
			what = "text or a secret"
		}
	case t == valueType:
		what = "any value"
	case t == pairsType:
		what = "a mapping of names to text"
	case t == secretPairsType:
		what = "a mapping of names to text or secrets"
	case t == reflect.TypeFor[Base64]():
		what = "base64"
	case t == reflect.TypeFor[Shadow]():
		what = "the path of a module, or a transform and `sample`"
	case decodesItself(t):
		what = "a mapping"
	case t.Kind() == reflect.Int:
		what = "a whole number"
	case t.Kind() == reflect.Bool:
		what = "true or false"
	case t.Kind() == reflect.Slice:
		what = "a list of " + listed(t.Elem())
	case len(f.enum) > 0:
		what = strings.Join(f.enum, ", ")
		if i := strings.LastIndex(what, ", "); i >= 0 {
			what = what[:i] + " or" + what[i+1:]
		}
	case t.Kind() == reflect.Struct:
		what = f.wants(t)
	case f.path != "":
		what = "a path"
	default:
		what = "text"
	}
	if bounds := f.rng + f.items; bounds != "" {
		low, high, _ := strings.Cut(bounds, "..")
		switch {
		case high == "":
			what += ", at least " + low
		case low == "" || f.items != "" && low == "0":
			what += ", at most " + high
		default:
			what += ", " + low + " to " + high
		}
	}
	return what
}

func listed(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Struct && !decodesItself(t):
		return "mappings"
	case t.Kind() == reflect.Int:
		return "whole numbers"
	default:
		return "texts"
	}
}
