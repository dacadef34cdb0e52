package spec

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
)

const (
	// maxErrors is how many errors of one load are kept; the rest are counted.
	maxErrors = 100
	// maxLine is the longest line, in bytes, that Render shows a part of.
	maxLine = 64 << 10
	// maxHidden is how many texts Render searches lines for; with more it shows no line at all.
	maxHidden = 200
)

// Errors are all errors of one load, in the order of the files.
type Errors struct {
	List []*fault.Error
	// More is the number of errors beyond those in List.
	More int

	sources map[string][]byte // file name to content, for Render
	hidden  []string          // texts of the files that Render must not show
}

// hide keeps the scalars of n out of what Render shows.
func (e *Errors) hide(n *node) {
	for _, sub := range n.entries {
		e.hide(sub.value)
	}
	for _, item := range n.items {
		e.hide(item)
	}
	for _, line := range strings.Split(n.text, "\n") {
		if line = strings.TrimSpace(line); n.kind == scalarKind && line != "" {
			e.hidden = append(e.hidden, line)
		}
	}
}

// Error returns one line for each error.
func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.List)+1)
	for _, err := range e.List {
		lines = append(lines, err.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors, for errors.Is and errors.As.
func (e *Errors) Unwrap() []error {
	out := make([]error, len(e.List))
	for i, err := range e.List {
		out[i] = err
	}
	return out
}

func (e *Errors) add(errs ...*fault.Error) {
	for _, err := range errs {
		if len(e.List) >= maxErrors {
			e.More++
			continue
		}
		e.List = append(e.List, err)
	}
}

// addAll takes an error that may hold several.
func (e *Errors) addAll(err error) {
	var one *fault.Error
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range many.Unwrap() {
			e.addAll(err)
		}
	} else if errors.As(err, &one) {
		e.add(one)
	} else if err != nil {
		e.add(fault.New(fault.Permanent, "spec.io", "%w", err))
	}
}

// orNil returns nil, not a nil *Errors in an interface, when there is no error.
func (e *Errors) orNil() error {
	if len(e.List) == 0 {
		return nil
	}
	return e
}

// Render writes errors for a person: the message, the place, the line of the file with a caret below the column, and the
// hint. It takes any error; one with a place in a file that can be read, such as the builder's, is shown the same way.
func Render(err error, color bool) string {
	if err == nil {
		return ""
	}
	var b strings.Builder
	var list *Errors
	var one *fault.Error
	switch {
	case errors.As(err, &list):
		for i, e := range list.List {
			if i > 0 {
				b.WriteByte('\n')
			}
			list.render(&b, e, color)
		}
		if list.More > 0 {
			fmt.Fprintf(&b, "\nand %d more errors\n", list.More)
		}
	case errors.As(err, &one) && one.Place != "":
		(&Errors{}).render(&b, one, color)
	default:
		fmt.Fprintf(&b, "%s %v\n", paint(color, "1;31", "error:"), err)
	}
	return b.String()
}

func (list *Errors) render(b *strings.Builder, e *fault.Error, color bool) {
	fmt.Fprintf(b, "%s %s %s\n", paint(color, "1;31", "error:"), paint(color, "1", e.Message), paint(color, "2", "["+e.Code+"]"))
	file, line, column := setting.SplitPlace(e.Place)
	if e.Place != "" {
		fmt.Fprintf(b, "  %s %s\n", paint(color, "34", "-->"), e.Place)
	}
	if line > 0 {
		src, ok := list.sources[file]
		if !ok {
			src = readSource(file)
		}
		text := sourceLine(src, line)
		if len(text) > maxLine || len(list.hidden) > maxHidden {
			text = ""
		}
		for _, h := range list.hidden {
			text = strings.ReplaceAll(text, h, strings.Repeat("*", utf8.RuneCountInString(h)))
		}
		if text != "" {
			number := strconv.Itoa(line)
			before, shown := caretLine(text, column)
			fmt.Fprintf(b, "%s %s %s\n", paint(color, "34", number), paint(color, "34", "|"), shown)
			fmt.Fprintf(b, "%s %s %s%s\n", strings.Repeat(" ", len(number)), paint(color, "34", "|"), before, paint(color, "1;31", "^"))
		}
	}
	if e.Hint != "" {
		fmt.Fprintf(b, "  %s %s\n", paint(color, "36", "hint:"), e.Hint)
	}
}

func paint(color bool, code, s string) string {
	if !color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func readSource(file string) []byte {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxFileSize {
		return nil
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return src
}

// sourceLine returns line n of src, the first is 1, without its end.
func sourceLine(src []byte, n int) string {
	for ; n > 1; n-- {
		i := bytes.IndexByte(src, '\n')
		if i < 0 {
			return ""
		}
		src = src[i+1:]
	}
	if i := bytes.IndexByte(src, '\n'); i >= 0 {
		src = src[:i]
	}
	return strings.TrimRight(string(src), "\r")
}

// caretLine makes a line fit to be shown: a window around the column, with control characters replaced, so that a hostile
// file cannot write to the terminal. before is the space up to the caret; tabs stay tabs.
func caretLine(text string, column int) (before, shown string) {
	const left, right = 80, 60
	runes := make([]rune, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		if r != '\t' && (r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)) {
			r = utf8.RuneError
		}
		runes = append(runes, r)
	}
	at := min(max(column-1, 0), len(runes))
	from, to := 0, min(len(runes), at+right)
	if at > left {
		from = at - left
	}
	for _, r := range runes[from:at] {
		if r == '\t' {
			before += "\t"
		} else {
			before += " "
		}
	}
	shown = string(runes[from:to])
	if from > 0 {
		shown, before = "…"+shown, " "+before
	}
	if to < len(runes) {
		shown += "…"
	}
	return before, shown
}

// Suggest returns a hint for a word that is none of the candidates: the one that was probably meant, or all of them.
func Suggest(word string, candidates []string) string { return suggest(word, candidates) }

// suggest returns a hint that names the candidate closest to word, or lists the candidates.
func suggest(word string, candidates []string) string {
	if best := meant(word, candidates); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(candidates) == 0 {
		return ""
	}
	return "possible: " + strings.Join(candidates, ", ")
}

// meant is the candidate that word is close to or begins; empty if there is none.
func meant(word string, candidates []string) string {
	best, distance := "", len([]rune(word))/3+1
	for _, c := range candidates {
		if len(word) > 1 && strings.HasPrefix(c, word) {
			return c
		}
		if d := editDistance(strings.ToLower(word), strings.ToLower(c)); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	var before, last, row [65]int
	for j := range len(y) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
