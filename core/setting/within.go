package setting

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// In returns the node with the content of the file that it stands in, for PlaceIn.
func (n Node) In(file []byte) Node {
	n.file = file
	return n
}

// PlaceIn is where in the file the character stands at a line and a column of text, both from 1, which is the value of key. ok is false,
// and the place that of the value, if the file has what comes before in other words: with variables, or escapes of other characters than
// quotes and backslashes.
func (n *Node) PlaceIn(key, text string, line, column int) (place string, ok bool) {
	place = n.PlaceOf(key)
	name, begins, from := SplitPlace(place)
	if begins == 0 {
		return place, false
	}
	w := walk{lines: bytes.Split(n.file, []byte("\n")), indent: math.MaxInt, line: begins - 1, at: from - 1}
	if !w.begin() {
		return place, false
	}
	for _, r := range before(text, line, column) {
		if !w.step(r) {
			return place, false
		}
	}
	return fmt.Sprintf("%s:%d:%d", name, w.line+1, w.at+1), true
}

// before is what comes before a line and a column of text.
func before(text string, line, column int) string {
	for i, r := range text {
		switch {
		case line == 1 && column == 1:
			return text[:i]
		case r == '\n':
			line--
		case line == 1:
			column--
		}
	}
	return text
}

// SplitPlace takes file:line:column apart; line is 0 if the place is none.
func SplitPlace(place string) (file string, line, column int) {
	rest, col, ok := cutNumber(place)
	if !ok {
		return "", 0, 0
	}
	file, ln, ok := cutNumber(rest)
	if !ok {
		return "", 0, 0
	}
	return file, ln, col
}

// cutNumber cuts the number off the end of a place.
func cutNumber(place string) (rest string, n int, ok bool) {
	i := strings.LastIndexByte(place, ':')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(place[i+1:])
	return place[:i], n, err == nil && n > 0
}

// walk goes over a scalar of YAML, character by character of its value.
type walk struct {
	lines    [][]byte
	line, at int    // of the next character, from 0
	here     []rune // the line
	quote    rune   // that the value is in; 0: none
	indent   int    // the most spaces at the beginning of a line that are not of the value
}

// begin goes to the first character of the value.
func (w *walk) begin() bool {
	if w.line >= len(w.lines) {
		return false
	}
	w.here = runes(w.lines[w.line])
	if w.at >= len(w.here) {
		return false
	}
	switch r := w.here[w.at]; r {
	case '"', '\'':
		w.quote = r
		w.at++
	case '|', '>':
		if !w.next() {
			return false
		}
		w.indent = w.at
	}
	return true
}

// next goes to the next line.
func (w *walk) next() bool {
	if w.line++; w.line >= len(w.lines) {
		return false
	}
	w.here = runes(w.lines[w.line])
	for w.at = 0; w.at < min(w.indent, len(w.here)) && w.here[w.at] == ' '; w.at++ {
	}
	return true
}

// step goes over r, if it is next: as it is, as the end of a line, or as a quote or a backslash that is escaped.
func (w *walk) step(r rune) bool {
	if w.at == len(w.here) {
		return (r == '\n' || r == ' ') && w.next()
	}
	if escape := w.here[w.at]; w.at+1 < len(w.here) && (w.quote == '"' && escape == '\\' && (r == '"' || r == '\\') || w.quote == '\'' && r == '\'') {
		w.at++
	}
	w.at++
	return w.here[w.at-1] == r
}

func runes(line []byte) []rune { return []rune(strings.TrimRight(string(line), " \r")) }
