// Package view shows records to people and to programs: their data as lines for a terminal, what differs between two of
// them, and the JSON that commands print.
//
// Data comes from anybody, so nothing of it reaches a terminal that could move its cursor or change its colours.
package view

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leatstream/leat/core/setting"
)

// Bounds of what is shown of one record's data.
const (
	maxLines = 40
	maxText  = 8 << 10 // bytes
	maxHead  = 32      // bytes of binary data
	// oneLine is the longest JSON text, in bytes, that is not spread over lines.
	oneLine = 100
)

// Mark says what a line is about.
type Mark byte

const (
	Plain   Mark = ' '
	Added   Mark = '+'
	Removed Mark = '-'
	Changed Mark = '~'
)

// Line is one line of text for a terminal.
type Line struct {
	Mark Mark
	Text string
}

// Data shows data as lines: JSON and text as they are, JSON spread over lines if it is long, and the head of anything else
// in hexadecimal.
func Data(p []byte) []Line { return marked(Plain, p) }

func marked(mark Mark, p []byte) []Line {
	var out []Line
	for _, text := range lines(p) {
		out = append(out, Line{mark, text})
	}
	return out
}

func lines(p []byte) []string {
	if !isText(p) {
		head := hex.EncodeToString(p[:min(len(p), maxHead)])
		if len(p) > maxHead {
			head += "…"
		}
		return []string{fmt.Sprintf("binary, %s: %s", setting.Bytes(len(p)).About(), head)}
	}
	text := bytes.TrimSuffix(p, []byte("\n"))
	if len(text) > oneLine && len(text) <= maxText {
		var spread bytes.Buffer
		if json.Indent(&spread, text, "", "  ") == nil {
			text = spread.Bytes()
		}
	}
	cut := len(text) > maxText
	if cut {
		text = text[:maxText]
	}
	all := strings.Split(strings.ToValidUTF8(string(text), ""), "\n")
	if len(all) > maxLines {
		all, cut = all[:maxLines], true
	}
	for i := range all {
		all[i] = Printable(all[i])
	}
	if cut {
		all = append(all, fmt.Sprintf("… (%s in all)", setting.Bytes(len(p)).About()))
	}
	return all
}

// isText reports whether data is UTF-8 without control characters but those that text has.
func isText(p []byte) bool {
	if !utf8.Valid(p) {
		return false
	}
	return !bytes.ContainsFunc(p, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != 0x1b })
}

// Printable writes control characters of a line as escapes, so that a terminal shows them and does not obey them.
func Printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !unprintable(r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteString("    ")
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// unprintable includes the characters that turn the direction of text around.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
