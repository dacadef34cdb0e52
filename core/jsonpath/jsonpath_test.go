package jsonpath

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestPathsAreReadAsInJQ(t *testing.T) {
	for _, c := range []struct {
		text string
		want Path
	}{
		{".", Path{}},
		{".a", Path{Key("a")}},
		{"._a1.b", Path{Key("_a1"), Key("b")}},
		{".a[0][12]", Path{Key("a"), Item(0), Item(12)}},
		{".[3].x", Path{Item(3), Key("x")}},
		{`."odd key"`, Path{Key("odd key")}},
		{`.["odd key"].b["\u00e9\"]"]`, Path{Key("odd key"), Key("b"), Key(`é"]`)}},
		{`.a."b"`, Path{Key("a"), Key("b")}},
		{`.a.[1]`, Path{Key("a"), Item(1)}},
	} {
		got, err := Parse(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v", c.text, got, err)
		}
	}
	for _, text := range []string{"", "a", ".a.", "..a", ".a[", ".a[-1]", ".a[x]", ".a[1", "[0]", `."a`, `.["a"`, `.["a]`, `."\x"`, ".a b", ".1a", ".é", ".a[9999999999]", ".[]", ".a[99999999999999999999]", strings.Repeat(".a", maxPath)} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %v", text, got)
		} else if len(err.Error()) > 400 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

func TestValuesAreFoundInOnePass(t *testing.T) {
	set := NewSet(Path{}, Path{Key("a")}, Path{Key("a"), Item(1)}, Path{Key("b"), Key("c")}, Path{Key("no")}, Path{Key("a")})
	var s Scan
	if at, ok := s.Run(set, []byte(` {"a": [1, 2.50], "b": {"c": "\u0041"}} `)); !ok {
		t.Fatalf("byte %d", at)
	}
	want := []string{`{"a": [1, 2.50], "b": {"c": "\u0041"}}`, "[1, 2.50]", "2.50", `"\u0041"`, "", "[1, 2.50]"}
	for i, v := range s.Values {
		if string(v.Raw) != want[i] {
			t.Errorf("%d: %q", i, v.Raw)
		}
	}
	if text, ok := s.Values[3].Scalar(); !ok || string(text) != "A" {
		t.Errorf("%q", text)
	}
	if text, ok := s.Values[2].Scalar(); !ok || string(text) != "2.5" {
		t.Errorf("%q", text)
	}
	if at, ok := s.Run(set, []byte(`{"a": 1,}`)); ok || at != 8 {
		t.Errorf("byte %d, %v", at, ok)
	}
	data := []byte(`{"a": [1, 2], "b": {"c": "x"}}`)
	if n := testing.AllocsPerRun(50, func() { s.Run(set, data) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{".", ".a", `.a[0]."b c"["\u00e9"]`, ".[1]", ".a.", `."\ud800"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(path.String()); err != nil || !reflect.DeepEqual(again, path) {
			t.Fatalf("%q is %v, written %s, which is %v, %v", text, path, path, again, err)
		}
	})
}

func FuzzRun(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\u0041"}],"a":2}`, "[1e5,-0.1]", `"x`, "nul", "\"\xff\"", " {} ", "01"} {
		f.Add([]byte(s))
	}
	set := NewSet(Path{}, Path{Key("a")}, Path{Key("a"), Item(1), Key("b")})
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Scan
		if _, ok := s.Run(set, data); ok != json.Valid(data) {
			t.Fatalf("%q: valid is %v", data, ok)
		}
	})
}

func TestValuesOneAfterTheOther(t *testing.T) {
	for _, c := range []struct {
		data       string
		start, end int
		ok         bool
	}{{` {"a":1} [2]`, 1, 8, true}, {`12 3`, 0, 2, true}, {`"x"y`, 0, 3, true}, {"", 0, 0, false}, {" \n", 2, 2, false}, {`{"a":}`, 5, 5, false}, {" x", 1, 1, false}} {
		if start, end, ok := First([]byte(c.data)); start != c.start || end != c.end || ok != c.ok {
			t.Errorf("%q: %d, %d, %v", c.data, start, end, ok)
		}
	}
	for array, want := range map[string]string{"[]": "", "[ ]": "", "[1]": "1", `[ {"a":[1]} ,"x" , null]`: `{"a":[1]}|"x"|null`} {
		var items []string
		Items([]byte(array), func(item []byte) bool { items = append(items, string(item)); return true })
		if got := strings.Join(items, "|"); got != want {
			t.Errorf("%s: %s", array, got)
		}
	}
	n := 0
	Items([]byte("[1,2,3]"), func([]byte) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("%d items after the second was enough", n)
	}
}

// byJSON is what encoding/json makes of data.
func byJSON(data []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err == io.EOF
}

func asNumber(text []byte) any { return json.Number(text) }

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\u0041"}],"a":2,"":{}}`, "[1e5,-0.1,[],true,false,null]", `"x\ud800"`, "nul", "\"\xff\"", " {} ", "01", `{"a":1,}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, at, ok := Decode(data, asNumber)
		want, valid := byJSON(data)
		if ok != valid || !reflect.DeepEqual(got, want) && valid {
			t.Fatalf("%q: %v, %v, encoding/json: %v, %v", data, got, ok, want, valid)
		}
		var s Scan
		if place, _ := s.Run(NewSet(), data); !ok && place != at {
			t.Fatalf("%q: byte %d, a scan says %d", data, at, place)
		}
	})
}

func TestNestingHasAnEnd(t *testing.T) {
	for depth, want := range map[int]bool{10_000: true, 10_001: false} {
		data := []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if _, _, ok := Decode(data, asNumber); ok != want {
			t.Errorf("%d deep: %v", depth, ok)
		}
	}
}
