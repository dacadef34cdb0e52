package query

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

const (
	// shortText is the most bytes of a text whose runes are counted as gojq does.
	shortText = 256
	// runesApart is how many runes are between two marks.
	runesApart = 512
)

// runes finds runes of a text without counting from its start: jq's offsets are in runes.
type runes struct {
	text  string
	marks []int // where each 512th rune begins, in bytes; nil if each rune is a byte
	n     int
}

func (r *runes) reset(text string) {
	*r = runes{text: text, n: utf8.RuneCountInString(text), marks: r.marks[:0]}
	if r.n == len(text) {
		return
	}
	n := 0
	for at := range text {
		if n%runesApart == 0 {
			r.marks = append(r.marks, at)
		}
		n++
	}
}

// at returns how many runes begin before a byte at which one begins or the text ends.
func (r *runes) at(b int) int {
	if len(r.marks) == 0 {
		return b
	}
	mark, found := slices.BinarySearch(r.marks, b)
	if !found {
		mark--
	}
	return mark*runesApart + utf8.RuneCountInString(r.text[r.marks[mark]:b])
}

// byte returns where a rune begins, or the length of the text.
func (r *runes) byte(n int) int {
	if n == r.n {
		return len(r.text)
	}
	if len(r.marks) == 0 {
		return n
	}
	from := r.marks[n/runesApart]
	n %= runesApart
	for at := range r.text[from:] {
		if n == 0 {
			return from + at
		}
		n--
	}
	return len(r.text)
}

// runes returns the runes of a text: often that which it was asked for before.
func (g *Guard) runes(text string) *runes {
	if g.text.text != text {
		g.text.reset(text)
	}
	return &g.text
}

// slice is _slice(value; end; start): a part of a text costs no more if the text is longer.
func (g *Guard) slice(plain native, v any, args []any) any {
	if part, ok := g.part(args[0], args[2], args[1]); ok {
		return part
	}
	return plain(v, args)
}

// index is _index(value; key), whose key may be {start, end}.
func (g *Guard) index(plain native, v any, args []any) any {
	if key, ok := args[1].(map[string]any); ok {
		start, has := key["start"]
		end, ends := key["end"]
		if part, ok := g.part(args[0], start, end); ok && has && ends {
			return part
		}
	}
	if key, ok := args[1].([]any); ok {
		if err := searches(g, args[0], key); err != nil {
			return err
		}
	}
	return plain(v, args)
}

// part returns a part of a long text, unless its bounds are no whole numbers.
func (g *Guard) part(v, start, end any) (string, bool) {
	text, ok := v.(string)
	if !ok || len(text) <= shortText {
		return "", false
	}
	r := g.runes(text)
	from, ok := whole(start, 0)
	to, ok2 := whole(end, r.n)
	from = within(from, r.n, 0)
	to = within(to, r.n, from)
	return text[r.byte(from):r.byte(to)], ok && ok2
}

// whole is a whole number, or what null stands for.
func whole(v any, null int) (int, bool) {
	switch v := v.(type) {
	case nil:
		return null, true
	case int:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int(v), true
		}
	}
	return 0, false
}

// within is a position in so many, which may count from their end, and not before another.
func within(at, n, from int) int {
	if at < 0 {
		at += n
	}
	return max(from, min(at, n))
}

// substitute is the name of a native of sub and gsub; builtins leaves out what begins with an underscore. gojq's add each part to the text before it, and copy that again and again.
const substitute = "_substitute"

var withSubstitute = gojq.WithFunction(substitute, 1, 1, nil)

const substitutes = `
	def sub($re; str; $flags): . as $text | [match($re; $flags) | [.offset, .length, (.captures | _captures | str)]] as $matches | $text | ` + substitute + `($matches)[];
	def sub($re; str): sub($re; str; null);
	def gsub($re; str; $flags): sub($re; str; $flags + "g");
	def gsub($re; str): sub($re; str; "g");
	.`

// substitute returns a text for each result that stands for a match, [offset, length, result, ...].
func (g *Guard) substitute(_ native, v any, args []any) any {
	text := v.(string)
	r := g.runes(text)
	var made []*strings.Builder
	next := 0
	for _, m := range args[0].([]any) {
		m := m.([]any)
		from, to := r.byte(m[0].(int)), r.byte(m[0].(int)+m[1].(int))
		before := text[next:from]
		for i, result := range m[2:] {
			with, ok := result.(string)
			if !ok && result != nil {
				return fmt.Errorf("cannot add: string (%s) and %s (%s)", gojq.Preview(before), gojq.TypeOf(result), gojq.Preview(result))
			}
			if i == len(made) {
				made = append(made, new(strings.Builder))
			}
			if err := g.room(2 * (len(before) + len(with))); err != nil {
				return err
			}
			made[i].WriteString(before)
			made[i].WriteString(with)
		}
		next = to
	}
	if made == nil {
		return []any{text}
	}
	all := make([]any, len(made))
	for i := range made {
		if err := g.room(len(text) - next); err != nil {
			return err
		}
		made[i].WriteString(text[next:])
		all[i] = made[i].String()
	}
	return all
}
