package codec

import "testing"

func TestJSONIsComparedByValue(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ], "a": 1.0 } `, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`9007199254740993`, `9007199254740992`, false}, // as float64 they are the same
		{`9007199254740993`, `9007199254740993`, true},
		{`1e2`, `100`, true},
		{`1 2`, `1 2`, false},
		{`x`, `x`, false}, // no JSON
	} {
		if got := JSONEqual([]byte(test.a), []byte(test.b)); got != test.want {
			t.Errorf("%s, %s: %v", test.a, test.b, got)
		}
	}
}
