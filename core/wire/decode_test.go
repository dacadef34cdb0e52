package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

// shape has a member of each type.
type shape struct {
	Text      *string           `json:"Text,omitempty"`
	Plain     string            `json:"Plain"`
	Bool      *bool             `json:"Bool,omitempty"`
	Int       *int32            `json:"Int,omitempty"`
	Long      *int64            `json:"Long,omitempty"`
	Double    *float64          `json:"Double,omitempty"`
	Blob      []byte            `json:"Blob,omitempty"`
	Timestamp *Timestamp        `json:"Timestamp,omitempty"`
	At        Timestamp         `json:"At"`
	List      []string          `json:"List"`
	Map       map[string]string `json:"Map"`
	Structs   []shape           `json:"Structs,omitempty"`
	Struct    *shape            `json:"Struct,omitempty"`
}

func example() *shape {
	return &shape{
		Text: new("ünï\x00\"\\\n😀"), Plain: "p", Bool: new(true), Int: new(int32(-7)), Long: new(int64(1) << 60),
		Double: new(1.5), Blob: []byte{0, 1, 254}, Timestamp: new(At(time.UnixMilli(1700000000123).UTC())),
		At: At(time.UnixMilli(-1500).UTC()), List: []string{"a", ""}, Map: map[string]string{"k": "v", "": "x"},
		Structs: []shape{{Plain: "q", At: At(time.UnixMilli(0).UTC()), List: []string{}, Map: map[string]string{}}},
		Struct:  &shape{Bool: new(false), At: At(time.UnixMilli(0).UTC()), List: []string{}, Map: map[string]string{}},
	}
}

func TestWhatIsAppendedIsReadBack(t *testing.T) {
	for _, f := range []Format{JSON, CBOR} {
		body := Append(f, nil, example())
		var got shape
		if err := Unmarshal(f, body, &got); err != nil {
			t.Fatalf("%v: %v in %q", f, err, body)
		}
		if d := cmp.Diff(example(), &got); d != "" {
			t.Errorf("%v: %s", f, d)
		}
	}
}

func TestOtherLibrariesReadWhatIsAppended(t *testing.T) {
	var got shape
	if err := json.Unmarshal(Append(JSON, nil, example()), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(example(), &got); d != "" {
		t.Error(d)
	}
	var tree map[string]any
	if err := cbor.Unmarshal(Append(CBOR, nil, example()), &tree); err != nil {
		t.Fatal(err)
	}
	if tree["Text"] != *example().Text || !bytes.Equal(tree["Blob"].([]byte), example().Blob) || tree["Int"] != int64(-7) {
		t.Errorf("read %v", tree)
	}
	var raw struct{ Timestamp cbor.RawTag }
	if err := cbor.Unmarshal(Append(CBOR, nil, example()), &raw); err != nil {
		t.Fatal(err)
	}
	var ms int64
	if err := cbor.Unmarshal(raw.Timestamp.Content, &ms); err != nil || raw.Timestamp.Number != 1 || ms != 1700000000123 {
		t.Errorf("timestamp has tag %d, value %d, %v", raw.Timestamp.Number, ms, err)
	}
}

func TestRequiredListsAndMapsAreNeverNull(t *testing.T) {
	got := string(Append(JSON, nil, &shape{At: At(time.UnixMilli(0))}))
	if want := `{"Plain":"","At":0,"List":[],"Map":{}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Append(JSON, nil, (*struct{})(nil)); len(got) > 0 {
		t.Errorf("an absent output has the body %q", got)
	}
}

func TestMembersAreReadLeniently(t *testing.T) {
	for _, c := range []struct {
		json string
		cbor []byte
		want shape
	}{
		{json: ` { "Text" : "\u00fc\ud83d\ude00\ud800" } `, want: shape{Text: new("ü😀\ufffd")}},
		{json: `{"text":"names are case sensitive","TEXT":[{"a":[1,2,{}]}],"Text":null}`},
		{json: `{"Text":"first","Text":"last","Struct":{"Int":1},"Struct":{}}`, want: shape{Text: new("last"), Struct: &shape{}}},
		{json: `{"Int":24.9,"Long":1e30,"Double":3}`, want: shape{Int: new(int32(24)), Long: new(int64(1<<63 - 1)), Double: new(3.0)}},
		{json: `{"Int":3000000000,"Long":-1e30}`, want: shape{Int: new(int32(1<<31 - 1)), Long: new(int64(-1 << 63))}},
		{json: `{"Bool":"True","Blob":""}`, want: shape{Bool: new(true), Blob: []byte{}}},
		{json: `{"Timestamp":1.7e9}`, want: shape{Timestamp: new(At(time.Unix(1700000000, 0).UTC()))}},
		{json: `{"List":["a",null],"Map":{"a":null}}`, want: shape{List: []string{"a", ""}, Map: map[string]string{"a": ""}}},
		{
			cbor: []byte("\xbf\x7f\x62Te\x62xt\xff\x7f\x61a\x61b\xff\x64List\x9f\x61c\xff\x64Blob\x5f\x41d\x41e\xff\xff"),
			want: shape{Text: new("ab"), List: []string{"c"}, Blob: []byte("de")},
		},
		{cbor: cborOf(t, map[string]any{"Timestamp": cbor.Tag{Number: 1, Content: 1700000000123.0}, "Other": cbor.Tag{Number: 9, Content: []int{1}}}),
			want: shape{Timestamp: new(At(time.UnixMilli(1700000000123).UTC()))}},
		{cbor: cborOf(t, map[string]any{"Timestamp": 1700000000123, "Double": float32(0.5), "Int": 2.0}),
			want: shape{Timestamp: new(At(time.UnixMilli(1700000000123).UTC())), Double: new(0.5), Int: new(int32(2))}},
		{cbor: []byte("\xa1\x66Double\xf9\x3e\x00"), want: shape{Double: new(1.5)}}, // a half
		{cbor: []byte("\xa1\x64Text\xf7")},                                          // undefined
	} {
		f, body := JSON, []byte(c.json)
		if c.cbor != nil {
			f, body = CBOR, c.cbor
		}
		var got shape
		if err := Unmarshal(f, body, &got); err != nil {
			t.Errorf("%q: %v", body, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", body, d)
		}
	}
}

func cborOf(t testing.TB, v any) []byte {
	p, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTypeErrorsAreWordedAsTheServiceDoes(t *testing.T) {
	for body, want := range map[string]string{
		`{"Int":"1"}`:                     "STRING_VALUE can not be converted to an Integer",
		`{"Long":true}`:                   "TRUE_VALUE can not be converted to a Long",
		`{"Text":1}`:                      "NUMBER_VALUE can not be converted to a String",
		`{"Text":[]}`:                     "Start of list found where not expected",
		`{"Text":{}}`:                     "Start of structure or map found where not expected.",
		`{"Bool":0}`:                      "NUMBER_VALUE can not be converted to a Boolean",
		`{"Bool":"maybe"}`:                "'MAYBE' can not be converted to an Boolean",
		`{"Double":false}`:                "FALSE_VALUE can not be converted to a Double",
		`{"Blob":4}`:                      "NUMBER_VALUE can not be converted to a Blob",
		`{"Blob":"abc"}`:                  "'abc' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 3",
		`{"Blob":"YW-j"}`:                 "'YW-j' can not be converted to a Blob: Invalid Base64 character: '-'",
		`{"Blob":"YQ=a"}`:                 "'YQ=a' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
		`{"Blob":"YX=="}`:                 "'YX==' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
		`{"Timestamp":"2026"}`:            "STRING_VALUE can not be converted to milliseconds since epoch",
		`{"Timestamp":1e300}`:             "1e+303 milliseconds since epoch is out of range",
		`{"List":"a"}`:                    "Expected list or null",
		`{"List":{}}`:                     "Start of structure or map found where not expected.",
		`{"Map":1}`:                       "Expected map or null",
		`{"Map":[]}`:                      "Start of list found where not expected",
		`{"Struct":1}`:                    "Expected null",
		`{"Structs":[{"Int":[]}]`:         "Start of list found where not expected",
		``:                                "Unexpected end of the body",
		`null`:                            "Unexpected token in the body",
		`[]`:                              "Unexpected token in the body",
		`{"Text":"a"`:                     "Unexpected end of the body",
		`{"Text":"a",}`:                   "Unexpected token in the body",
		`{"Text":"a"}}`:                   "Unexpected token in the body",
		`{"Int":01}`:                      "Unexpected token in the body",
		`{"Text":"\x"}`:                   "Unexpected token in the body",
		"{\"Text\":\"\xff\"}":             "Text that is not UTF-8",
		`{"X":` + strings.Repeat("[", 40): "Nested too deep",
		`{"Structs":[` + strings.Repeat("{},", maxElements) + `{}]}`: "Too many elements",
	} {
		err := Unmarshal(JSON, []byte(body), &shape{})
		var e *Error
		if !errors.As(err, &e) || e.Code != codeSerialization || e.Message != want {
			t.Errorf("%.60s: got %v, want %s", body, err, want)
		}
	}
}

func TestMalformedCBORIsRefused(t *testing.T) {
	for _, body := range []string{
		"", "\xf6", "\x80", "\xa1", "\xa1\x61", "\xa1\x61a", "\xbf", "\xbf\x61a\xff", "\xa0\x00", "\xa1\x01\x01", "\xa1\x61\xff\x01",
		"\xa1\x61a\x1c", "\xa1\x61a\xff", "\xa1\x61a\x1f", "\xa1\x61a\xdf\x01", "\xa1\x61a\x7f\x41a\xff", "\xa1\x61a\x7f\x7f\xff\xff",
		"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1\x61a\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "\xa1\x64Text\x41a",
		"\xa1\x61a" + strings.Repeat("\xc1", 40) + "\x01", "\xa1\x61a" + strings.Repeat("\x81", 40) + "\x01",
	} {
		var e *Error
		if err := Unmarshal(CBOR, []byte(body), &shape{}); !errors.As(err, &e) || e.Code != codeSerialization {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestDecodedMembersDoNotShareTheBody(t *testing.T) {
	for _, f := range []Format{JSON, CBOR} {
		body := Append(f, nil, example())
		var got shape
		if err := Unmarshal(f, body, &got); err != nil {
			t.Fatal(err)
		}
		for i := range body {
			body[i] = 'x'
		}
		if !reflect.DeepEqual(example(), &got) {
			t.Errorf("%v: changed with the body: %s", f, cmp.Diff(example(), &got))
		}
	}
}

func FuzzJSONBodies(f *testing.F) {
	f.Add([]byte(`{"Text":"a","Int":1,"Blob":"AAH+","At":1.5,"List":["\u00fc"],"Map":{"a":"b"},"Structs":[{"Plain":"x"}]}`))
	f.Add([]byte(`{"Struct":{"Struct":{"Double":-1.5e-3,"Bool":false}},"unknown":[[],{},null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		err := Unmarshal(JSON, body, &struct{}{}) // all members are read over
		isObject := json.Valid(body) && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
		if bounded := err != nil && (strings.Contains(err.Error(), errDepth.Error()) || strings.Contains(err.Error(), errText.Error())); !bounded && isObject != (err == nil) {
			t.Fatalf("%q: %v, but encoding/json says %t", body, err, isObject)
		}
		var got shape
		if err := Unmarshal(JSON, body, &got); err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is no JSON but was read", body)
		}
		checkAgain(t, JSON, got)
	})
}

func FuzzCBORBodies(f *testing.F) {
	f.Add(Append(CBOR, nil, example()))
	f.Add([]byte("\xbf\x7f\x62Te\x62xt\xff\x7f\x61a\x61b\xff\x64List\x9f\x61c\xff\xff"))
	f.Add([]byte("\xa2\x69Timestamp\xc1\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x00\x66Double\xf9\x3e\x00"))
	strict, err := cbor.DecOptions{MaxNestedLevels: 2 * maxDepth, MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 20}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got shape
		if err := Unmarshal(CBOR, body, &got); err != nil {
			return
		}
		if err := strict.Wellformed(body); err != nil {
			t.Fatalf("%q is no CBOR but was read: %v", body, err)
		}
		checkAgain(t, CBOR, got)
	})
}

// checkAgain is that a decoded shape is the same after it went over the wire once more.
func checkAgain(t *testing.T, f Format, first shape) {
	body := Append(f, nil, &first)
	var second shape
	if err := Unmarshal(f, body, &second); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	if again := Append(f, nil, &second); !bytes.Equal(body, again) {
		t.Fatalf("%q became %q", body, again)
	}
}
