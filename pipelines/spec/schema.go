package spec

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// SchemaID is the identifier of the JSON schema.
const SchemaID = "https://leatstream.github.io/schema/pipeline-1.json"

// Schema returns the JSON schema (draft 2020-12) of one document of a pipeline file, for editors and for programs that write
// pipelines. It is made of the same tags that the parser reads. What it cannot say (rules about several values, prefix
// expressions, jq, bounds of sizes and durations) only the parser checks.
func Schema() []byte {
	g := &generator{defs: map[string]any{}}
	root := g.object(reflect.TypeFor[Pipeline]())
	out := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     SchemaID,
		"title":   "leat pipeline",
		"$defs":   g.defs,
	}
	for k, v := range root {
		out[k] = v
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		panic("spec: marshalling the schema: " + err.Error()) // maps, slices, text and numbers always marshal
	}
	return append(b, '\n')
}

// generator makes schemas of types. Structs that are used more than once are definitions.
type generator struct{ defs map[string]any }

// environment is how the schema says that ${…} may stand where the value is no text.
var environment = map[string]any{"type": "string", "pattern": `\$\{[^}]*\}`}

func (g *generator) object(t reflect.Type) map[string]any {
	fields := fieldsOf(t)
	properties := map[string]any{}
	var required []string
	for _, f := range fields.list {
		s := g.value(f.typ, f)
		if f.doc != "" {
			s["description"] = f.doc
		}
		if d, ok := f.schemaDefault(); ok {
			s["default"] = d
		}
		properties[f.key] = s
		if f.required {
			required = append(required, f.key)
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		out["required"] = required
	}
	var groups []any
	for _, group := range fields.groups {
		var one []any
		for _, key := range group.keys {
			one = append(one, map[string]any{"required": []string{key}})
		}
		if group.optional {
			one = append(one, map[string]any{"not": map[string]any{"anyOf": slices.Clone(one)}})
		}
		groups = append(groups, map[string]any{"oneOf": one})
	}
	if groups != nil {
		out["allOf"] = groups
	}
	return out
}

// value returns the schema of a field's type, as a new map.
func (g *generator) value(t reflect.Type, f *field) map[string]any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case bytesType:
		return map[string]any{"type": "string", "pattern": `^[0-9]+([kKMGT]?B|[KMGT]iB)$|\$\{`}
	case durationType:
		return map[string]any{"type": "string", "pattern": `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$|\$\{`}
	case shareType:
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "number", "minimum": 0, "maximum": 1},
			map[string]any{"type": "string", "pattern": `^(100(\.0*)?|[0-9]{0,2}(\.[0-9]*)?)%$|^[0-9.]+$|\$\{`},
		}}
	case timeType:
		return map[string]any{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}|\$\{`}
	case secretType:
		return g.secret(f)
	case valueType:
		return map[string]any{}
	case pairsType:
		return f.bounded(map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}, "Properties")
	case secretPairsType:
		return f.bounded(map[string]any{"type": "object", "additionalProperties": map[string]any{
			"anyOf": []any{map[string]any{"type": "string"}, g.secret(&field{})},
		}}, "Properties")
	case reflect.TypeFor[Base64]():
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	case reflect.TypeFor[Shadow]():
		return g.schemaOfShadow()
	case reflect.TypeFor[Partition]():
		return f.bounded(map[string]any{
			"type": "object", "additionalProperties": map[string]any{"type": "string"},
			"propertyNames": map[string]any{"pattern": patterns["partition"].re.String()},
		}, "Properties")
	case reflect.TypeFor[TestOutputs]():
		list := (&field{items: maxTestRecords}).bounded(map[string]any{"type": "array", "items": g.value(reflect.TypeFor[TestRecord](), &field{})}, "Items")
		return f.bounded(map[string]any{"type": "object", "additionalProperties": list}, "Properties")
	}
	switch t.Kind() {
	case reflect.Slice:
		list := f.bounded(map[string]any{"type": "array", "items": g.value(t.Elem(), &field{})}, "Items")
		if t.Elem().Kind() == reflect.String {
			return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, list}}
		}
		return list
	case reflect.Struct:
		return g.structure(t)
	case reflect.Int:
		n := map[string]any{"type": "integer"}
		if f.rng != "" {
			low, high, hasLow, hasHigh := f.bounds(t)
			if hasLow {
				n["minimum"] = low
			}
			if hasHigh {
				n["maximum"] = high
			}
		}
		return map[string]any{"anyOf": []any{n, environment}}
	case reflect.Bool:
		return map[string]any{"anyOf": []any{map[string]any{"type": "boolean"}, environment}}
	default:
		return f.text()
	}
}

func (f *field) text() map[string]any {
	switch {
	case len(f.enum) > 0:
		return map[string]any{"anyOf": []any{map[string]any{"enum": f.enum}, environment}}
	case f.match != "":
		return map[string]any{"type": "string", "pattern": patterns[f.match].re.String() + `|\$\{`}
	case f.required:
		return map[string]any{"type": "string", "minLength": 1}
	default:
		return map[string]any{"type": "string"}
	}
}

func (f *field) bounded(s map[string]any, what string) map[string]any {
	if f.items != "" {
		low, high := f.itemBounds()
		s["max"+what] = high
		if low > 0 {
			s["min"+what] = low
		}
	}
	return s
}

// structure returns a reference to the definition of a struct, which it makes if it is new.
func (g *generator) structure(t reflect.Type) map[string]any {
	name := definitionName(t.Name())
	ref := map[string]any{"$ref": "#/$defs/" + name}
	if _, ok := g.defs[name]; ok {
		return ref
	}
	g.defs[name] = nil // types may not hold themselves, but nothing here depends on it
	definition := g.object(t)
	if short, ok := reflect.Zero(t).Interface().(shorthander); ok {
		f := fieldsOf(t).byKey[short.shorthand()]
		definition = map[string]any{"anyOf": []any{g.value(f.typ, f), definition}}
	}
	g.defs[name] = definition
	return ref
}

// definitionName is the name of a type as JSON writes names: csvToJSON for CSVToJSON.
func definitionName(name string) string {
	upper := 1
	for upper < len(name) && 'A' <= name[upper] && name[upper] <= 'Z' {
		upper++
	}
	if upper > 1 && upper < len(name) {
		upper-- // the last capital begins the next word
	}
	return strings.ToLower(name[:upper]) + name[upper:]
}

func (g *generator) secret(f *field) map[string]any {
	g.defs["secret"] = map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"secret"},
		"properties": map[string]any{"secret": map[string]any{"type": "string", "pattern": `^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$|\$\{`}},
	}
	ref := map[string]any{"$ref": "#/$defs/secret"}
	if f.plain {
		return map[string]any{"anyOf": []any{map[string]any{"type": "string", "minLength": 1}, ref}}
	}
	return ref
}

// schemaDefault returns the default in JSON's types.
func (f *field) schemaDefault() (any, bool) {
	if f.deflt == "" {
		return nil, false
	}
	if k := f.typ.Kind(); k == reflect.Int || k == reflect.Bool {
		return json.RawMessage(f.deflt), true
	}
	return f.deflt, true
}
