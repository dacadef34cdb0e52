package query

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/itchyny/gojq"

	"github.com/leatstream/leat/internal/testenv"
)

// plainly runs a query as gojq does by itself.
func plainly(t *testing.T, text string, input any) (all []any, failed string) {
	t.Helper()
	q, err := gojq.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for results := q.Run(input); ; {
		v, ok := results.Next()
		if !ok {
			return all, ""
		}
		if err, bad := v.(error); bad {
			return all, brief(err).Error()
		}
		all = append(all, v)
	}
}

// same checks that a query gives what it gives in gojq by itself, or fails with the same words.
func same(t *testing.T, g *Guard, text string, input any) {
	t.Helper()
	want, wantErr := plainly(t, text, input)
	code, err := Compile(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var got []any
	gotErr := ""
	g.Begin(t.Context())
	err = Run(g, code, input, func(v any) bool { got = append(got, v); return true })
	g.End()
	if err != nil {
		gotErr = err.Error()
	}
	if !reflect.DeepEqual(got, want) && string(written(got)) != string(written(want)) || gotErr != wantErr {
		t.Fatalf("%s of %.300s:\n%.1000s %q, by gojq alone\n%.1000s %q", text, written([]any{input}), written(got), gotErr, written(want), wantErr)
	}
}

func written(v []any) []byte { b, _ := gojq.Marshal(v); return b }

func TestExpressionsGiveWhatTheyGiveInGojq(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	g := NewGuard(time.Hour, MemoryLimit)
	for range testenv.Count(3000, 60_000) {
		var text, expr strings.Builder
		for range r.IntN(12) {
			text.WriteString(pick("a", "b", "A", "é", "日", "\n", " ", "1", "😀", "ab", "\u0301"))
		}
		for range 1 + r.IntN(4) {
			expr.WriteString(pick("a", "b", "(?<x>a|é)", "(?<y>b*)", "a*", "b*?", "(a)?", ".", "^", "$", `\b`, `\B`, "(?m:^)", "(?m:$)", "[^a]", `\s`, `\d+`, "(a|b|ab)(b|)", "|", "é", "日?", "()", `\A`, `\z`, "(?i:A)", "(?:a(b)?)+", "a{1,2}"))
		}
		if _, err := gojq.Parse(fmt.Sprintf("test(%q)", expr.String())); err != nil {
			t.Fatal(err)
		}
		s := strings.Repeat(text.String(), 1+r.IntN(1+r.IntN(60)))
		input := map[string]any{"s": s, "e": expr.String(), "f": pick("", "g", "i", "m", "gi", "gm", "gim", "x", "n")}
		query := pick(`[.f as $f | .e as $e | .s | match($e; $f)]`, `.f as $f | .e as $e | .s | test($e; $f)`, `[.e as $e | .s | scan($e)]`, `.e as $e | .s | [splits($e)]`, `.f as $f | .e as $e | .s | split($e; $f)`,
			`.e as $e | .s | gsub($e; "<\(.x)>")`, `.e as $e | .s | sub($e; "x", "yz")`, `[.e as $e | .s | gsub($e; .x, "é", .y)]`, `.e as $e | .s | gsub($e; empty)`, `.e as $e | [.s | capture($e)]`, `.f as $f | .e as $e | .s | sub($e; "1"; $f)`,
			`.e as $e | .s | gsub($e; if .x then 1 else "" end)`, `[.e as $e | .s | match([$e, "g"])]`, `.e as $e | .s | gsub($e; .x // empty; "i")`, `.e as $e | .s |= gsub($e; "q")`, `.e as $e | .s | gsub($e; null)`)
		same(t, g, query, input)
	}
	for _, query := range []string{`test(1)`, `1 | test("a")`, `match("("; "g")`, `match("a"; 1)`, `{} | gsub("a"; "b")`, `"a" | test("a"; "q")`, `[match("a", "b"; "g", null)]`, `"aXbxc" | ascii_downcase | [match("x"; "g").offset]`,
		`def sub(a; b): "mine"; "a" | sub("a"; "b")`, `def gsub(a; b): "mine"; "a" | gsub("a"; "b")`, `def test(f): f; 1 | test(2)`, `. as [$a] | "substitute" | sub("sub"; $a // "x")`} {
		same(t, g, query, "a")
	}
}

func TestPartsOfTextAreWhatTheyAreInGojq(t *testing.T) {
	g := NewGuard(time.Hour, MemoryLimit)
	for _, s := range []string{strings.Repeat("abc", 300), strings.Repeat("aé日😀", 700), "é" + strings.Repeat("x", 511), strings.Repeat("é", 512), strings.Repeat("é", 1024), strings.Repeat("é", 129), strings.Repeat("\xff", 300) + "é"} {
		for _, from := range []string{"", "0", "1", "-1", "511", "512", "513", "-600", "1.5", "5000", "1e18", "-1e30", `"x"`, "nan"} {
			for _, to := range []string{"", "0", "1", "-1", "512", "700", "-3", "1023", "1024", "2.5", "5000", "null", "-0.5"} {
				if from+to != "" {
					same(t, g, fmt.Sprintf(".[%s:%s]", from, to), s)
				}
				if from != "" && to != "" {
					same(t, g, fmt.Sprintf(".[{start: %s, end: %s}]", from, to), s)
				}
			}
		}
		same(t, g, ".[{start: 1}]", s)
		same(t, g, ".[{start: 1, endd: 2}]", s)
		same(t, g, `[.[1:3], .[5], .[-1:], ("x" * 300 | .[1:4]), .[2:4]]`, s)
	}
}

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

// Ordinary programs over values of all kinds, with all natives that a guard checks or has its own of.
func TestProgramsGiveWhatTheyGiveInGojq(t *testing.T) {
	g := NewGuard(time.Hour, MemoryLimit)
	var inputs []any
	for _, data := range []string{
		`null`, `true`, `5`, `-2.5`, `"a,b, c\t<&'\">\u0001é😀"`, `""`, `[]`, `{}`, `[3,1,2,1,null,"x",[1],{"a":1},2.5,false]`, `[[1,2],[3],[]]`, `["b","a","é",""]`, `[1,2,[3,[4,[5]]]]`, `{"a":{"b":[1,2,{"c":"d"}]},"e":"f","n":10}`,
		`[{"k":"x","v":1},{"k":"y","v":2},{"k":"x","v":3}]`, `123456789012345678901234567890`, `"2026-11-23T10:00:00Z"`, `"aGVsbG8="`, `"[1,{\"a\":null}]"`, `"1.50"`, `[104,101,233,128512]`, `"a%20b+c"`, `[[1,2],[3,4]]`, `["x","é,\"q\"",1,true,null,"it's"]`,
		`"` + strings.Repeat(`ab,é `, 200) + `"`, `[` + strings.Repeat(`{"k":[1,"two"],"v":{"w":null}},`, 50) + `1]`,
	} {
		input, err := Decode([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, input)
	}
	for _, text := range []string{
		".", ".[]?", ".a.b?", "keys", "length", "add", "join(\",\")", "tostring", "tojson", "@text", "@json", "@html", "@uri", "@urid", "@csv", "@tsv", "@sh", "@base64", "@base64d", `"x\(.)y"`, `@html "<\(.)>"`, "explode", "implode", "explode | implode", "reverse", "sort", "unique", "min", "max",
		"sort_by(.k?)", "group_by(.k)", "unique_by(.k)", "min_by(.v)", "max_by(.v)", "group_by(.)", "flatten", "flatten(1)", "flatten(-1)", "transpose", "to_entries", "with_entries(.value |= tostring)", "from_entries", "map(.)", "map_values(. // empty)", "[paths]", "[paths(type == \"number\")]", "[..]", "del(.a)", "del(.[0,2])",
		"del(.[])", "del(.[1:3])", "delpaths([[\"a\",\"b\"],[0]])", "setpath([\"a\",\"z\"]; 1)", "setpath([5]; 1)", "setpath([-1]; 1)", "setpath([0,1,2]; 1)", ".[5] = 1", ".[2:4] = [9]", ".[1] |= empty", ".[]? |= 1", ".a.b[3] = 7", "getpath([\"a\",\"b\",0])", "has(\"a\")", "has(0)", "contains(\"a\")", "contains([1])", "contains({a:{}})",
		"inside([1,2,3])", "index(\",\")", "rindex(\",\")", "indices(\",\")", "indices(\"\")", "index(\"\")", "indices(1)", "indices([1,2])", "index([1])", "rindex(1)", ".[[1]]", "indices(\"ab\")", "index(null)", "split(\",\")", "split(\"\")", ". / \",\"", ". - [1]", ". - .", ". + .", ". + null", ". + 1", ". + \"x\"", ". * 2", ". * .",
		". / 2", ". % 3", ". == .", ". < [1]", ". >= {}", "[., 1] | sort", "bsearch(1)", "tonumber", "fromjson", "tojson | fromjson", "ascii_downcase", "ascii_upcase", "ltrimstr(\"a\")", "rtrimstr(\"a\")", "trim", "startswith(\"a\")", "ascii", "todate", "fromdate", "strftime(\"%Y %j\")", "strptime(\"%Y-%m-%dT%H:%M:%SZ\")", "mktime",
		"gmtime", "jn(2; 3)", "yn(1; 2)", "jn(.; 1)", "any", "all", "[limit(3; .[]?)]", "first", "last", "[range(5)]", "[.[]?] | combinations", "walk(if type == \"number\" then . + 1 else . end)", "tostream", "[tostream] | fromstream(.[])", "input_line_number", "error", "try error catch .", ". as [$a] | $a", ". as {a: $x} | $x", "reduce .[]? as $x (0; . + ($x | length))",
		"[foreach .[]? as $x (0; . + 1; [., $x])]", "env", "$ENV", "builtins | length", "splits(\",\")", "[splits(\", *\")]", "sub(\"a\"; \"b\")", "gsub(\"\\\\s\"; \"\")", "test(\"é\")", "[match(\"a\"; \"g\").offset]", "capture(\"(?<x>[a-z])\")", "scan(\"[a-z]+\")", "getpath([[]])", "pick(.a.b)", "abs", "toarray", "have_literal_numbers", "INDEX(.k)", "IN(1, 2)",
		".[1:]", ".[-1:]", ".[:2]", ".[100:]", ".[3]", "utf8bytelength", "@json \"v\\(.)\"", "ltrimstr(1)", "join(1)", "join(null)", "add(.[]?)", "[.[]? | numbers]", "map(tostring) | join(\"-\")", "to_entries | map(.key)", "tojson | length", "[.[]?] | sort_by(type, .)", "trimstr(\"a\")", "limit(0; 1)", "until(true; .)", "getpath([\"a\"]) as $x | $x", ".a += 1", ".a *= 2", ".a //= 3", ".[0] -= 1", "{(.e?): 1}", "splits(1)",
	} {
		if code, err := Compile(text); err != nil || code == nil {
			continue // nor in gojq
		}
		for _, input := range inputs {
			same(t, g, text, input)
		}
	}
}
