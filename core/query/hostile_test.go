package query

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/itchyny/gojq"
)

// hostile is a run of one query that goes too far in a single step of gojq.
type hostile struct {
	query string
	input any
	err   string // part of the error; empty: the query must succeed, and quickly
}

// run runs it with the limits that queries have. Each took minutes or gigabytes in gojq's natives; the time allowed is that of a busy
// machine.
func (h hostile) run(t *testing.T) {
	t.Helper()
	code, err := Compile(h.query)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGuard(TimeLimit, MemoryLimit)
	began := time.Now()
	g.Begin(context.Background())
	err = Run(g, code, h.input, func(any) bool { return true })
	g.End()
	slow := err != nil && strings.Contains(err.Error(), "takes longer than") // a busy machine may see that first
	switch {
	case (err == nil) != (h.err == ""), err != nil && !strings.Contains(err.Error(), h.err) && !slow:
		t.Errorf("%s: %v, want %q", h.query, err, h.err)
	case time.Since(began) > 20*time.Second:
		t.Errorf("%s: %v", h.query, time.Since(began))
	}
}

func TestExpressionsOverLargeTextTakeNoLongerThanAllowed(t *testing.T) {
	log := strings.Repeat("the quick brown fox 12 jumps ", 30_000)
	for _, h := range []hostile{
		{`.m | gsub("(?s)o.*z|o"; "0")`, map[string]any{"m": log}, "takes longer"},
		{`[match("((.|o|u){1,30}z){30}|."; "g")]`, log, "takes longer"},
		{`[match("."; "g")] | length`, strings.Repeat(log, 3), "memory would grow"},
		{`"(a*b)" * 4000 as $p | test($p)`, "a", "a regular expression of"},
		{`("((a|b){20}c){50}" * 20) as $p | test($p)`, "a", "too large"},
		{`("((.|b){20}c){40}" * 3) as $p | test($p)`, log, "takes longer"},
		{`range(1e9) | tostring | test(.)`, nil, "takes longer"},
		{`reduce range(1e9) as $i ("é" * 1000000; .[1:] + "x")`, nil, "takes longer"},
	} {
		h.run(t)
	}
}

// A large record is no reason to fail it: what is counted grows with the text, no faster.
func TestManyMatchesInALargeText(t *testing.T) {
	for _, text := range []string{strings.Repeat("the quick brown fox 12 jumps ", 6_000), strings.Repeat("the quick brown föx 12 jumps ", 6_000)} {
		for query, want := range map[string]any{
			`gsub("[0-9]+"; "<\(.)>") | length`: 31 * 6_000, `gsub("1"; "one") | length`: 31 * 6_000, `[scan("[a-z]{5}\\b")] | length`: 18_000, `split(" "; null) | length`: 16_001,
			`[splits("x")] | length`: 6_001, `[match("j(?<a>.)"; "g").offset] | last`: 29*6_000 - 6, `sub("(?<all>(?s).*)"; "<\(.all)>") | length`: 29*6_000 + 2,
		} {
			code, err := Compile(query)
			if err != nil {
				t.Fatal(err)
			}
			g := NewGuard(time.Minute, MemoryLimit)
			g.Begin(t.Context())
			err = Run(g, code, text, func(v any) bool {
				if v != want {
					t.Errorf("%s: %v, want %v", query, v, want)
				}
				return true
			})
			g.End()
			if err != nil {
				t.Errorf("%s: %v", query, err)
			}
		}
	}
}

// A guard's own natives make queries no slower than gojq's.
func BenchmarkQuery(b *testing.B) {
	text := strings.Repeat("the quick brown fox 12 jumps ", 7)
	input := map[string]any{"a": map[string]any{"b": 1, "level": "error"}, "m": text}
	for _, query := range []string{".a.b", `select(.a.level == "error") | .a + {c: (.a.b * 2)}`, `.m | gsub("o"; "0")`, `.m | test("fox [0-9]+")`, `[.m | scan("[a-z]+")]`, `.m[4:9]`} {
		code, err := Compile(query)
		if err != nil {
			b.Fatal(err)
		}
		parsed, err := gojq.Parse(query)
		if err != nil {
			b.Fatal(err)
		}
		plain, err := gojq.Compile(parsed)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("guarded "+query, func(b *testing.B) {
			g := NewGuard(TimeLimit, MemoryLimit)
			for b.Loop() {
				g.Begin(context.Background())
				if err := Run(g, code, input, func(any) bool { return true }); err != nil {
					b.Fatal(err)
				}
				g.End()
			}
		})
		b.Run("gojq "+query, func(b *testing.B) {
			g := NewGuard(TimeLimit, MemoryLimit)
			for b.Loop() {
				g.Begin(context.Background())
				for results := plain.RunWithContext(g, input); ; {
					if _, ok := results.Next(); !ok {
						break
					}
				}
				g.End()
			}
		})
	}
}
