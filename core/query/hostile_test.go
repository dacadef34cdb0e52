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
	err   string // part of the error; empty: the query must succeed
}

// run runs it with the limits that queries have. Each took minutes or gigabytes in gojq's natives; the time allowed is that of a busy
// machine.
func (h hostile) run(t *testing.T) {
	t.Helper()
	code, err := Compile(h.query)
	if err != nil {
		t.Fatal(err)
	}
	limit := TimeLimit
	switch h.err {
	case "":
		limit = 2 * time.Minute
	case "takes longer": // it would take minutes
		limit /= 5
	}
	g := NewGuard(limit, MemoryLimit)
	began := time.Now()
	g.Begin(context.Background())
	err = Run(g, code, h.input, func(any) bool { return true })
	g.End()
	slow := err != nil && strings.Contains(err.Error(), "takes longer than") // a busy machine may see that first
	switch {
	case (err == nil) != (h.err == ""), err != nil && !strings.Contains(err.Error(), h.err) && !slow:
		t.Errorf("%s: %v, want %q", h.query, err, h.err)
	case time.Since(began) > 3*time.Minute:
		t.Errorf("%s: %v", h.query, time.Since(began))
	}
}

func TestExpressionsOverLargeTextTakeNoLongerThanAllowed(t *testing.T) {
	log := strings.Repeat("the quick brown fox 12 jumps ", 30_000)
	for _, h := range []hostile{
		{`.m | gsub("(?s)o.*z|o"; "0")`, map[string]any{"m": log}, "takes longer"},
		{`[match("((.|o|u){1,30}z){30}|."; "g")]`, log, "memory"},
		{`[match("."; "g")] | length`, strings.Repeat(log, 3), "memory would grow"},
		{`"(a*b)" * 4000 as $p | test($p)`, "a", "a regular expression of"},
		{`("((a|b){20}c){50}" * 20) as $p | test($p)`, "a", "too large"},
		{`"a" * 200000000 | test("((.|a){20}b){40}")`, nil, "takes longer"},
		{`range(1e9) | tostring | test(.)`, nil, "takes longer"},
		{`reduce range(1e9) as $i ("é" * 1000000; .[1:] + "x")`, nil, "takes longer"},
	} {
		h.run(t)
	}
}

func TestNoStepOfAQueryTakesTooLong(t *testing.T) {
	const twice = `def twice(n): reduce range(n) as $i (1; [., .]); `
	for _, h := range []hostile{
		{twice + `twice(60) | tojson`, nil, "too large"},
		{twice + `twice(60) == twice(60)`, nil, "too large"},
		{twice + `[twice(60), twice(60)] | sort`, nil, "too large"},
		{twice + `twice(60) | del(.[0])`, nil, "too large"},
		{twice + `twice(60) | flatten`, nil, "too large"},
		{twice + `twice(60) | contains(twice(60))`, nil, "too large"},
		{twice + `twice(60) | error`, nil, "too large"},
		{twice + `twice(60) | halt_error`, nil, "too large"},
		{twice + `twice(60) | index([twice(60)])`, nil, "too large"},
		{twice + `"\(twice(60))"`, nil, "too large"},
		{twice + `twice(60) | @csv`, nil, "too large"},
		{`def twice(n): reduce range(n) as $i ({}; {a: ., b: .}); twice(60) * twice(60)`, nil, "too large"},
		{`reduce range(100000) as $i (1; [.]) | tojson`, nil, "nested too deeply"},
		{`null | setpath([range(100000) | 0]; 1)`, nil, "nested too deeply"},
		{`[range(100000)] - [range(100000) | . + 0.5]`, nil, "too long"},
		{`[range(100000)] | contains([range(100000)])`, nil, "too long"},
		{`[range(100000)] | .[[range(50000)]]`, nil, "too long"},
		{`[range(100000)] | index([range(50000)])`, nil, "too long"},
		{`"a" * 500000 | indices("a" * 250000)`, nil, "takes longer"},
		{`reduce range(30) as $i (9999999999999999999999; . * .)`, nil, "too long"},
		{`jn(2000000000; 3000000000)`, nil, "too long"},
		{`"9" * 16000000 | tonumber`, nil, ""},
		{`"9" * 3000000 | fromjson | . + 1`, nil, ""},
		{`[range(100000) | tostring] | join(",") | [index("99999,"), rindex("1"), (indices(",") | length), length]`, nil, ""},
		{`[range(10000)] | sort | unique | group_by(. % 7) | map(add) | add`, nil, ""},
		{`[range(100000)] == [range(100000)]`, nil, ""},
		{`[range(20000)] | until(. == []; .[1:])`, nil, ""},
	} {
		h.run(t)
	}
}

// The limit is of the heap's growth. What no native makes, arrays that a query collects, is seen by and by.
func TestNoStepOfAQueryTakesTooMuchMemory(t *testing.T) {
	for _, h := range []hostile{
		{`[("a" * 16000000) | [limit(100; repeat(.))] | add | length]`, nil, "memory"},
		{`.[200000000] = 1 | tojson | length`, nil, "memory"},
		{`[.[100000000] = 1] | add | length`, nil, "memory"},
		{`[limit(300; repeat("a" * 1000000))] | join("") | length`, nil, "memory"},
		{`.[100000000] = 1`, nil, "memory"},
		{`.[0] |= . + 1 | .[1e8] += 1`, []any{1}, "memory"},
		{`.n * "xy"`, map[string]any{"n": 1_000_000_000}, "memory"},
		{`.s *= .n`, map[string]any{"n": 1_000_000_000, "s": "x"}, "memory"},
		{`"x" * 1e300`, nil, "memory"},
		{`[.s] | map(. * 123456789012345678901234567890)`, map[string]any{"s": "x"}, "memory"},
		{`.i as $i | null | .[$i] = 1`, map[string]any{"i": 300_000_000}, "memory"},
		{`null | setpath(["a", 100000000]; 1)`, nil, "memory"},
		{`[[range(20000)], (range(20000) | [])] | transpose`, nil, "memory"},
		{`"a" * 1000000000`, nil, "memory"},
		{`"a" * 100000000 | explode`, nil, "memory"},
		{`"a" * 100000000 | split("")`, nil, "memory"},
		{`"\u0001" * 50000000 | tojson`, nil, "memory"},
		{`"&" * 60000000 | @html`, nil, "memory"},
		{`reduce range(60) as $i ("x"; . + .)`, nil, "memory"},
		{`reduce range(60) as $i ([1]; . + .)`, nil, "memory"},
		{`[limit(100; repeat([range(100000)]))] | add | length`, nil, "memory"},
		{`[limit(100; repeat([range(100000)]))] | flatten | length`, nil, "too large"},
		{`"[" + ("[]," * 20000000) + "1]" | fromjson`, nil, "memory"},
		{`now | strftime("%1000Y" * 1000000)`, nil, "memory"},
		{`[limit(1e9; repeat(null))]`, nil, "memory"},
		{`[range(1e9)]`, nil, "memory"},
		{`reduce range(1e9) as $i ({}; .["\($i)"] = 1)`, nil, "memory"},
		{`[range(100)] | [combinations(10)]`, nil, "memory"},
	} {
		stop, highest := make(chan struct{}), make(chan uint64)
		before := heapAfterCollection()
		go func() {
			most := uint64(0)
			for {
				most = max(most, heapSize(allObjects))
				select {
				case <-stop:
					highest <- most
					return
				case <-time.After(time.Millisecond):
				}
			}
		}()
		h.run(t)
		close(stop)
		if most := <-highest; most > before+2*MemoryLimit {
			t.Errorf("%s: the heap grew by %d MiB", h.query, (most-before)>>20)
		}
	}
}

// A large record is no reason to fail it: what is counted grows with the text, no faster.
func TestManyMatchesInALargeText(t *testing.T) {
	for _, text := range []string{strings.Repeat("the quick brown fox 12 jumps ", 6_000), strings.Repeat("the quick brown föx 12 jumps ", 6_000)} {
		for query, want := range map[string]any{
			`gsub("[0-9]+"; "<\(.)>") | length`: 31 * 6_000, `gsub("1"; "one") | length`: 31 * 6_000, `[scan("[a-z]{5}\\b")] | length`: 18_000, `split(" "; null) | length`: 36_001,
			`[splits("x")] | length`: 6_001, `[match("j(?<a>.)"; "g").offset] | last`: 29*6_000 - 6, `sub("(?<all>(?s).*)"; "<\(.all)>") | length`: 29*6_000 + 2,
		} {
			code, err := Compile(query)
			if err != nil {
				t.Fatal(err)
			}
			g := NewGuard(5*time.Minute, MemoryLimit)
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
