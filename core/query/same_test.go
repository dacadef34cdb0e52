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
