package leatjson

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator writes random documents: with white space, escaped keys, keys that come again, and odd strings.
type generator struct {
	*rand.Rand
	b strings.Builder
}

func document(r *rand.Rand) string {
	g := &generator{Rand: r}
	if r.IntN(20) == 0 {
		g.value(3)
	} else {
		g.object(0)
	}
	g.space()
	return g.b.String()
}

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) space() {
	if g.IntN(4) == 0 {
		g.b.WriteString(g.pick(" ", "\n", "\t", "\r\n  "))
	}
}

func (g *generator) value(depth int) {
	g.space()
	switch k := g.IntN(8); {
	case k < 2 && depth < 5:
		g.object(depth)
	case k == 2 && depth < 5:
		g.b.WriteByte('[')
		for i := range g.IntN(4) {
			if i > 0 {
				g.b.WriteByte(',')
			}
			g.value(depth + 1)
			g.space()
		}
		g.b.WriteByte(']')
	case k < 5:
		g.b.WriteString(g.pick(`0`, `-0`, `7`, `-12.50`, `1e3`, `1E-7`, `123456789012345678901234567890`, `0.1e+2`, `9223372036854775807`,
			`-9223372036854775808`, `9223372036854775808`, `1e999`, `12345678`, `1234567.12345678`))
	case k == 5:
		g.b.WriteString(g.pick("true", "false", "null", "null"))
	default:
		g.b.WriteString(g.pick(`""`, `"a"`, `"plain text of more than sixteen bytes"`, `"\u0061\n\\\"\/\b\f\r\t"`, `"\ud83d\ude00 \ud800 \udc00x"`, `"é ü €"`, "\"bad \xff\xc3(\"",
			`"{\"a\":1}"`, `"exactly8"`, `"sixteen bytes ok"`, `"12345678\\"`))
	}
}

func (g *generator) object(depth int) {
	g.space()
	g.b.WriteByte('{')
	g.space()
	for i := range g.IntN(6) {
		if i > 0 {
			g.b.WriteByte(',')
			g.space()
		}
		fmt.Fprintf(&g.b, `"%s"`, g.pick("a", "b", "c", `\u0061`, "", "long key of some length", `\u00e9`, "é", "\xff", "d", "x", "yy", `a\/b`))
		g.space()
		g.b.WriteByte(':')
		g.value(depth + 1)
		g.space()
	}
	g.b.WriteByte('}')
}
