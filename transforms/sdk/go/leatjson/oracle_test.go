package leatjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
)

// paths are the fields of the documents under test.
var paths = [][]string{
	{"a"}, {"b"}, {"c"}, {"a", "b"}, {"a", "c"}, {"b", "a", "c"}, {"b", "a", "b"}, {""}, {"é"}, {"\uFFFD"}, {"d", "d", "d"}, {"long key of some length"}, {"a/b"},
}

func decode(b []byte) (any, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err
}

// look finds a path in a decoded document.
func look(v any, path []string) (any, bool) {
	for _, name := range path {
		m, _ := v.(map[string]any)
		var ok bool
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// checkRead compares what a Doc and encoding/json make of data.
func checkRead(t *testing.T, data []byte) {
	t.Helper()
	var doc Doc
	fields := make([]Field, len(paths))
	for i, p := range paths {
		fields[i] = doc.Field(p...)
	}
	for range 2 { // the second uses the memory again
		err := doc.Parse(data)
		if (err == nil) != json.Valid(data) {
			t.Fatalf("%q: %v, and encoding/json says %v", data, err, json.Valid(data))
		}
		if err != nil {
			if at := err.(*SyntaxError).Offset; at < 0 || at > len(data) {
				t.Fatalf("%q: %v", data, err)
			}
			if fields[0].Exists() {
				t.Fatalf("%q: a field of a document that is none", data)
			}
			continue
		}
		whole, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range paths {
			want, there := look(whole, p)
			checkValue(t, data, p, fields[i], want, there)
			if one, err := Get(data, p...); err != nil || !bytes.Equal(one.Raw(), fields[i].Raw()) {
				t.Fatalf("%q: Get %q: %s, %v", data, p, one.Raw(), err)
			}
		}
		checkAll(t, Value{data[blank(data, 0):]}, whole)
	}
}

func checkValue(t *testing.T, data []byte, path []string, f Field, want any, there bool) {
	t.Helper()
	if f.Exists() != there {
		t.Fatalf("%q: %q exists: %v, want %v", data, path, f.Exists(), there)
	}
	if !there {
		return
	}
	got, err := decode(f.Raw())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %q is %s, want %v, %v", data, path, f.Raw(), want, err)
	}
	text, isText := f.Text()
	n, isInt := f.Int()
	x, isFloat := f.Float()
	b, isBool := f.Bool()
	switch want := want.(type) {
	case string:
		copied, _ := f.Value().AppendText(nil)
		if !isText || string(text) != want || string(copied) != want || !f.Equal(want) || f.Equal(want+"x") || f.Equal("\\") != (want == "\\") {
			t.Fatalf("%q: %q reads %q, want %q", data, path, text, want)
		}
	case json.Number:
		wantInt, errInt := want.Int64()
		wantFloat, errFloat := want.Float64()
		if isInt != (errInt == nil) || isInt && n != wantInt || isFloat != (errFloat == nil) || isFloat && x != wantFloat {
			t.Fatalf("%q: %q reads %v %v, %v %v", data, path, n, isInt, x, isFloat)
		}
	case bool:
		if !isBool || b != want {
			t.Fatalf("%q: %q reads %v", data, path, b)
		}
	}
	if kinds := fmt.Sprint(isText, isFloat || f.Kind() == Number, isBool); kinds != fmt.Sprint(f.Kind() == String, f.Kind() == Number, f.Kind() == Bool) {
		t.Fatalf("%q: %q is of the kinds %s and %v", data, path, kinds, f.Kind())
	}
}

// checkAll compares all members and elements.
func checkAll(t *testing.T, v Value, want any) {
	t.Helper()
	switch want := want.(type) {
	case []any:
		i := 0
		for e := range v.Elements() {
			checkAll(t, e, want[i])
			i++
		}
		if i != len(want) {
			t.Fatalf("%s: %d elements, want %d", v.Raw(), i, len(want))
		}
	case map[string]any:
		last := map[string]Value{}
		for k, e := range v.Members() {
			name, _ := k.Text()
			last[string(name)] = e
		}
		if len(last) != len(want) {
			t.Fatalf("%s: %d members, want %d", v.Raw(), len(last), len(want))
		}
		for name, e := range last {
			checkAll(t, e, want[name])
		}
	default:
		if got, err := decode(v.Raw()); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s is not %v: %v", v.Raw(), want, err)
		}
	}
}

// wish is an edit of one path, as the oracle keeps it.
type wish struct {
	remove bool
	set    any // the value, if isSet
	isSet  bool
	rename string
}

// plan chooses edits by program, applies them to the doc, and returns them.
func plan(program []byte, fields []Field) map[string]wish {
	wishes := map[string]wish{}
	for n := 0; n+1 < len(program); n += 2 {
		i := int(program[n]) % len(paths)
		id := strings.Join(paths[i], "\x00")
		w, f := wishes[id], fields[i]
		switch what := program[n+1] % 9; what {
		case 0:
			f.Delete()
			if f.Exists() || w.isSet {
				w.remove, w.isSet = true, false
			}
		case 1:
			w.set = "new \"text\" é\n"
			f.SetString(w.set.(string))
		case 2:
			w.set = json.Number("-42")
			f.SetInt(-42)
		case 3:
			w.set = map[string]any{"z": json.Number("1")}
			if f.SetRaw([]byte(` {"z":1} `)) != nil || f.SetRaw([]byte(`{"z":1`)) == nil {
				panic("SetRaw")
			}
		case 4:
			w.set = nil
			f.SetNull()
		case 5:
			w.set = true
			f.SetBool(true)
		default:
			name := []string{"a", "new", "b", "é"}[int(program[n+1])/9%4]
			f.Rename(name)
			if f.Exists() {
				w.rename = name
			}
		}
		if what := program[n+1] % 9; 1 <= what && what <= 5 {
			w.isSet, w.remove = true, false
		}
		wishes[id] = w
	}
	return wishes
}

// below reports whether wishes set something below a path.
func setsBelow(wishes map[string]wish, path []string) bool {
	if w := wishes[strings.Join(path, "\x00")]; len(path) > 0 && (w.isSet || w.remove) {
		return w.isSet
	}
	for _, next := range steps(path) {
		if setsBelow(wishes, append(slices.Clone(path), next)) {
			return true
		}
	}
	return false
}

// steps are the names below a path that lead to fields.
func steps(path []string) []string {
	var names []string
	for _, p := range paths {
		if len(p) > len(path) && slices.Equal(p[:len(path)], path) && !slices.Contains(names, p[len(path)]) {
			names = append(names, p[len(path)])
		}
	}
	return names
}

// apply is what should become of the value at a path, if it is kept.
func apply(wishes map[string]wish, path []string, v any, there bool) (out any, keep bool, err error) {
	w := wishes[strings.Join(path, "\x00")]
	if len(path) > 0 {
		switch {
		case w.remove:
			return nil, false, nil
		case w.isSet:
			return w.set, true, nil
		}
	}
	old, isObject := v.(map[string]any)
	if !isObject {
		if !setsBelow(wishes, path) {
			return v, there, nil
		}
		if there && v != nil {
			return nil, false, fmt.Errorf("%q is no object", path)
		}
	}
	taken := map[string]bool{}
	for _, name := range steps(path) {
		w := wishes[strings.Join(append(slices.Clone(path), name), "\x00")]
		if w.rename == "" || w.remove {
			continue
		}
		if taken[w.rename] && w.rename != name {
			return nil, false, fmt.Errorf("%q is taken", w.rename)
		}
		if w.rename != name {
			taken[w.rename] = true
		}
	}
	for _, name := range steps(path) { // a name that is kept by rename to itself, and wanted by another
		if w := wishes[strings.Join(append(slices.Clone(path), name), "\x00")]; w.rename == name && !w.remove && taken[name] {
			return nil, false, fmt.Errorf("%q is taken", name)
		}
	}
	result := map[string]any{}
	for name, value := range old {
		if !taken[name] && !slices.Contains(steps(path), name) {
			result[name] = value
		}
	}
	for _, name := range steps(path) {
		sub := append(slices.Clone(path), name)
		value, there := old[name]
		w := wishes[strings.Join(sub, "\x00")]
		to := name
		if w.rename != "" && there {
			to = w.rename
		}
		if to == name && taken[name] {
			continue
		}
		changed, keep, err := apply(wishes, sub, value, there)
		if err != nil {
			return nil, false, err
		}
		if keep {
			result[to] = changed
		}
	}
	return result, true, nil
}

// checkPatch compares what edits make of a document with what they make of its map.
func checkPatch(t *testing.T, data, program []byte) {
	t.Helper()
	var doc Doc
	fields := make([]Field, len(paths))
	for i, p := range paths {
		fields[i] = doc.Field(p...)
	}
	if doc.Parse(data) != nil {
		return
	}
	whole, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if program = program[:min(len(program), 8)]; len(program) < 2 {
		return
	}
	wishes := plan(program, fields)
	want, _, wantErr := apply(wishes, nil, whole, true)
	got, err := doc.Patched()
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q with %v: %v, want %v", data, wishes, err, wantErr)
	}
	if err != nil {
		return
	}
	if !doc.Changed() && !bytes.Equal(got, data) {
		t.Fatalf("%q became %q without an edit", data, got)
	}
	v, err := decode(got)
	if err != nil || !json.Valid(got) || !reflect.DeepEqual(v, want) {
		t.Fatalf("%q with %v:\n got %s, %v\nwant %v", data, wishes, got, err, want)
	}
	// What was edited has no namesakes, whom another reader may believe.
	top, _ := want.(map[string]any)
	for i, p := range paths {
		w := wishes[strings.Join(p, "\x00")]
		names := map[string]bool{p[0]: w.isSet || w.remove, w.rename: w.rename != "" && !w.remove && fields[i].Exists()}
		for name, edited := range names {
			n := 0
			for key := range (Value{got}).Members() {
				if key.Equal(name) {
					n++
				}
			}
			if _, there := top[name]; len(p) == 1 && edited && (n > 1 || n == 1 && !there) {
				t.Fatalf("%q with %v: %q is in %q %d times", data, wishes, name, got, n)
			}
		}
	}
}

func TestRandomDocumentsReadAndChangeAsMapsDo(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range testenv.Count(4_000, 60_000) {
		data := []byte(document(r))
		if r.IntN(3) == 0 { // damaged
			switch i := r.IntN(len(data) + 1); r.IntN(3) {
			case 0:
				data = data[:i]
			case 1:
				data = slices.Insert(data, i, `{}[]",:\0e`[r.IntN(10)])
			case 2:
				data = slices.Delete(data, i, min(i+1, len(data)))
			}
		}
		checkRead(t, data)
		program := make([]byte, 2+2*r.IntN(3))
		for i := range program {
			program[i] = byte(r.Uint32())
		}
		checkPatch(t, data, program)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1,"\u0062":"x"},"a":null}`))
	f.Add([]byte(`[1e5,-0.0,"\ud800",true`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) < MaxDepth {
			checkRead(t, data)
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1,"c":[]},"b":null , "a":{"b":2} }`), []byte{0, 0, 3, 1, 5, 2})
	f.Add([]byte(`{ "a" : 1 }`), []byte{0, 6, 10, 1})
	f.Fuzz(func(t *testing.T, data, program []byte) { checkPatch(t, data, program) })
}
