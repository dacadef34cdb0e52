package setting

import (
	"strconv"
	"strings"
	"testing"
)

// The file of each case has ^ before what stands at line and column of the text, but for those that do not say where that is.
func TestPlacesWithinValuesAreThoseInTheFile(t *testing.T) {
	for name, c := range map[string]struct {
		file, text   string
		line, column int
	}{
		"plain":            {"key: §a == ^1", "a == 1", 1, 6},
		"first":            {"key: §^a", "a", 1, 1},
		"end":              {"key: §a ==^", "a ==", 1, 5},
		"not ASCII":        {"ü: §ü == ^1", "ü == 1", 1, 6},
		"flow":             {"{ key: §'a == ^1', b: 1 }", "a == 1", 1, 6},
		"double":           {`key: §"a == \"x\" && ^1"`, `a == "x" && 1`, 1, 13},
		"backslash":        {`key: §"a == \"\\\" && ^1"`, `a == "\" && 1`, 1, 13},
		"single":           {"key: §'a == ''x'' && ^1'", "a == 'x' && 1", 1, 13},
		"backslash single": {`key: §'\ ^1'`, `\ 1`, 1, 3},
		"literal":          {"key: §|\n  a &&\n    ^b\n", "a &&\n  b\n", 2, 3},
		"empty line":       {"key: §|-\n  a\n\n  b^c\n", "a\n\nbc", 3, 2},
		"folded":           {"key: §>-\n  a &&\r\n  ^b\n", "a && b", 1, 6},
		"lines":            {"key: §a &&\n      ^b\n", "a && b", 1, 6},
		"quoted lines":     {"key: §\"a &&  \n b ^c\"\n", "a && b c", 1, 8},
		"other words":      {`key: §"\u0061 1"`, "a 1", 1, 3},
		"a variable":       {`key: §${X} == 1`, "a == 1", 1, 6},
		"no end":           {"key: §|\n  a", "a\nb\n", 3, 1},
		"no value":         {"key: §", "a", 1, 1},
	} {
		at := func(mark string) string {
			before, _, ok := strings.Cut(c.file, mark)
			if !ok {
				return ""
			}
			before = strings.ReplaceAll(before, "§", "")
			line := before[strings.LastIndexByte(before, '\n')+1:]
			return "dir:x/p.yaml:" + strconv.Itoa(strings.Count(before, "\n")+1) + ":" + strconv.Itoa(len([]rune(line))+1)
		}
		n := At("dir:x/p.yaml:1:1", map[string]string{"key": at("§")}).In([]byte(strings.NewReplacer("§", "", "^", "").Replace(c.file)))
		want, exact := at("^"), true
		if want == "" {
			want, exact = at("§"), false
		}
		if got, ok := n.PlaceIn("key", c.text, c.line, c.column); got != want || ok != exact {
			t.Errorf("%s: %s %v, want %s %v", name, got, ok, want, exact)
		}
	}
}

func TestAPlaceThatIsNotInAFileStaysAsItIs(t *testing.T) {
	for _, place := range []string{"", "--set a=b", "p.yaml:9:1", "p.yaml:1:99", "p.yaml:x:1", "p.yaml:0:0"} {
		n := At(place, nil).In([]byte("a: b\n"))
		if got, ok := n.PlaceIn("a", "b", 1, 1); got != place || ok {
			t.Errorf("%q: %q %v", place, got, ok)
		}
	}
}
