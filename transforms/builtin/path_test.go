package builtin

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPathsAreReadAsJqWritesThem(t *testing.T) {
	for text, want := range map[string][]string{
		".":               {},
		".a":              {"a"},
		".a.b_2":          {"a", "b_2"},
		`.["odd key"]`:    {"odd key"},
		`."odd key".b`:    {"odd key", "b"},
		`.a["@x"].c`:      {"a", "@x", "c"},
		`.["a"]["b"]`:     {"a", "b"},
		`.["\"\u00fc\n"]`: {"\"ü\n"},
		`.[""]`:           {""},
	} {
		got, err := parsePath(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v", text, []string(got), err)
		}
	}
	for _, text := range []string{
		"", "a", "..", ".a.", ".a..b", ".a-b", ".1", ".a[0]", ".a[]", `.["a`, `.["a"`, `."a`, `.["a"]b`, `.a."`, ".a b", ".a.[\"b\"]", `."\x"`,
		"." + strings.Repeat("a", maxPath),
	} {
		if got, err := parsePath(text); err == nil {
			t.Errorf("%s is %q", text, []string(got))
		}
	}
}

func TestAPathIsReadFromItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := path(rapid.SliceOfN(rapid.StringN(0, 8, 30), 0, 5).Draw(t, "keys"))
		got, err := parsePath(want.String())
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q is written %s and read as %q, %v", []string(want), want, []string(got), err)
		}
	})
}
