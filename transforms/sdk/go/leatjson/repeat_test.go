package leatjson

import "testing"

func TestKeysThatRepeatOnTheWayToAFieldAreNoticed(t *testing.T) {
	var d Doc
	d.Field("a", "b")
	for text, want := range map[string]bool{
		`{"a":{"b":1}}`: false, `{"a":{"b":1,"b":2}}`: true, `{"a":{"b":1},"a":{}}`: true, `{"a":1,"\u0061":2}`: true,
		`{"x":1,"x":2,"a":{"c":1,"c":2}}`: false, `{}`: false, `[{"a":1,"a":2}]`: false,
	} {
		if err := d.Parse([]byte(text)); err != nil || d.Repeats() != want {
			t.Errorf("%s: %v, %v", text, d.Repeats(), err)
		}
	}
}
