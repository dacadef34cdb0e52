package query

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

const (
	// maxInstructions is the largest regular expression, in instructions of its program: (a{1000}){9} has some 9000.
	maxInstructions = 20_000
	// maxUnwatched is how much of a search, in bytes of text times instructions, is done without asking the guard: it takes some 50 ms
	// at most. Longer ones ask at each rune, for which the search is two or three times slower.
	maxUnwatched = 4 << 20
	// maxPatterns is how many compiled expressions a guard keeps; they may come from the data.
	maxPatterns = 64
	// matchSize is about what the result for a match takes, and for each of its captures, in bytes.
	matchSize = 400
)

// pattern is a compiled regular expression.
type pattern struct {
	re *regexp.Regexp
	// next finds the first match behind the first rune of a text, as its first capture. It is nil if re does not look at what comes
	// before a match: then the rest of a text can be searched as if it were all.
	next *regexp.Regexp
	size int // in instructions
}

func (g *Guard) pattern(text, flags string) (*pattern, error) {
	key := [2]string{text, flags}
	if p := g.patterns[key]; p != nil {
		return p, nil
	}
	if len(text) > MaxText {
		return nil, fmt.Errorf("a regular expression of %d bytes; at most %d are allowed", len(text), MaxText)
	}
	if strings.Trim(flags, "gim") != "" {
		return nil, fmt.Errorf("unsupported regular expression flag: %q", flags)
	}
	if strings.Contains(flags, "i") {
		text = "(?i)" + text
	}
	if strings.Contains(flags, "m") { // as in gojq: with it the dot matches newlines
		text = "(?s)" + text
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("invalid regular expression %q: %s", text, err)
	}
	p := &pattern{size: instructions(tree)}
	if p.size > maxInstructions {
		return nil, fmt.Errorf("the regular expression is too large: its repetitions make %d instructions; at most %d are allowed", p.size, maxInstructions)
	}
	if p.re, err = regexp.Compile(text); err == nil && looksBehind(tree) {
		p.next, err = regexp.Compile(`\A(?s:.)(?s:.*?)(` + tree.String() + `)`)
	}
	if err != nil {
		return nil, fmt.Errorf("invalid regular expression %q: %s", text, err)
	}
	if g.patterns == nil || len(g.patterns) == maxPatterns {
		g.patterns = map[[2]string]*pattern{}
	}
	g.patterns[key] = p
	return p, nil
}

// instructions is about the size of an expression's program.
func instructions(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min+1, re.Max)
	}
	return n
}

func looksBehind(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	for _, sub := range re.Sub {
		if looksBehind(sub) {
			return true
		}
	}
	return false
}

// watched is a text that ends where the guard ends the run.
type watched struct {
	strings.Reader
	guard *Guard
}

func (w *watched) ReadRune() (rune, int, error) {
	if err := w.guard.ask(); err != nil {
		return 0, 0, err
	}
	return w.Reader.ReadRune()
}

// find returns the first match at or after a byte of a text, as regexp does; nil also if the guard has ended the run.
func (g *Guard) find(p *pattern, text string, from int) []int {
	re, skip := p.re, 0
	if from > 0 && p.next != nil {
		_, before := utf8.DecodeLastRuneInString(text[:from])
		re, skip, from = p.next, 2, from-before
	}
	var at []int
	if rest := text[from:]; len(rest) <= maxUnwatched/p.size {
		at = re.FindStringSubmatchIndex(rest)
	} else {
		w := &watched{guard: g}
		w.Reset(rest)
		at = re.FindReaderSubmatchIndex(w)
	}
	if at == nil {
		return nil
	}
	at = at[skip:]
	for i := range at {
		if at[i] >= 0 {
			at[i] += from
		}
	}
	return at
}

// match is _match(expression; flags; whether to test), of which all functions with regular expressions are made. gojq counts the
// offset of each match from the start of the text.
func (g *Guard) match(plain native, v any, args []any) any {
	text, ok := v.(string)
	expr, isText := args[0].(string)
	flags, hasFlags := args[1].(string)
	if !ok || !isText || !hasFlags && args[1] != nil {
		return plain(v, args) // says so
	}
	p, err := g.pattern(expr, flags)
	if err != nil {
		return err
	}
	if args[2] == true { // test
		found := g.find(p, text, 0) != nil
		if err := g.ask(); err != nil {
			return err
		}
		return found
	}
	names, runes := p.re.SubexpNames(), g.runes(text)
	result := func(from, to int) map[string]any {
		offset := runes.at(from)
		return map[string]any{"offset": offset, "length": runes.at(to) - offset, "string": text[from:to]}
	}
	all := []any{}
	for from := 0; from <= len(text); {
		at := g.find(p, text, from)
		if err := g.ask(); err != nil {
			return err
		}
		if at == nil {
			break
		}
		if err := g.room(matchSize * len(names)); err != nil {
			return err
		}
		captures := make([]any, len(names)-1)
		for i := range captures {
			c := map[string]any{"offset": -1, "length": 0, "string": nil}
			if from := at[2*i+2]; from >= 0 {
				c = result(from, at[2*i+3])
			}
			c["name"] = nil
			if names[i+1] != "" {
				c["name"] = names[i+1]
			}
			captures[i] = c
		}
		m := result(at[0], at[1])
		m["captures"] = captures
		all = append(all, m)
		if !strings.Contains(flags, "g") {
			break
		}
		if from = at[1]; at[0] == at[1] { // the next may not be the same
			_, width := utf8.DecodeRuneInString(text[from:])
			from += max(width, 1)
		}
	}
	return all
}
