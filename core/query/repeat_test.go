package query

import (
	"strings"
	"testing"
	"time"
)

func TestMultiplicationsGiveWhatTheyGaveBefore(t *testing.T) {
	g := NewGuard(time.Hour, MemoryLimit)
	for _, text := range []string{
		"(1,2) * (3,4)", ".a * .b", ".a * .b * .c", ".a * (.b + .a) * 2 - .a * 3", `"ab" * 3`, `3 * "ab"`, `"ab" * 0`, `"ab" * -1`, `"ab" * .a`, `{a:{b:1}} * {a:{c:2}}`,
		".a *= 3", ".a *= .b", ".s *= 2", "(.a, .b) *= .c", "[.l[] * 2]", ".l[] *= 2", ".l |= map(. * .)", "reduce .l[] as $x (1; . * $x)", "foreach .l[] as $x (0; . + $x * 2; . * 2)",
		"def f(g): g * g; f(.a) * f(.b)", "if .a * 2 == 4 then .b * 2 else .c * 2 end", "try (.s * {}) catch .", `"\(.a * 2) and \(.b * .b)"`, "{(.s * 2): (.a * 2)}", ". as {a: $x} | $x * 2",
		".a * null", "null * .a", "[.l[] as $x | .l[] as $y | $x * $y]", "label $f | .l[] * 2, break $f", "[limit(2; .l[] * 2)]", "path(.a) * 2", "1 as $leat_r | 2 * 3 * $leat_r", ". * {a: (2 * 3)}", ".big * 1", ".big * .big",
		"empty * 1", "1 * empty", "error(\"x\") * 2", "(.a | tojson) * (.b)", "[(1,2) * (3,4) * (5,6)]", ".a *= (1,2)", "del(.l[.a * 0])",
	} {
		const data = `{"a":2,"b":3.50,"c":-4,"s":"xy","l":[1,2,3],"big":123456789012345678901234567890}`
		input, err := Decode([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		same(t, g, text, input)
	}
}

func TestTextIsNotRepeatedWithoutEnd(t *testing.T) {
	g := NewGuard(time.Hour, MemoryLimit)
	for _, text := range []string{`"x" * .n`, `.n * "x"`, `"x" * 1e300`, `.s *= .n`, `.t = ("x" * 1000 | . * 1000 | . * 1000)`, `[.s] | map(. * 123456789012345678901234567890)`, `.s * .f`} {
		_, err := run(t, g, t.Context(), text, `{"n":100000000,"s":"xy","f":1e15}`)
		if err == nil || !strings.Contains(err.Error(), "more than 16 MiB") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, err := run(t, g, t.Context(), `"x" * 16777216 | length`, `1`); err != nil || got[0] != 16<<20 {
		t.Errorf("%v, %v", got, err)
	}
}
