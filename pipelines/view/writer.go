package view

import (
	"bytes"
	"strconv"
)

// Writer collects the lines of one record: a head, and what belongs to it indented below.
type Writer struct {
	Color bool
	b     bytes.Buffer
}

// Bytes is what was written.
func (w *Writer) Bytes() []byte { return w.b.Bytes() }

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

var styles = map[Mark]string{Added: green, Removed: red, Changed: yellow}

func (w *Writer) line(indent, style, text string) {
	w.b.WriteString(indent)
	if w.Color && style != "" {
		w.b.WriteString(style + text + reset)
	} else {
		w.b.WriteString(text)
	}
	w.b.WriteByte('\n')
}

// Head begins a record.
func (w *Writer) Head(text string) { w.line("", bold, Printable(text)) }

// Note is a line about the record.
func (w *Writer) Note(text string) { w.line("  ", dim, Printable(text)) }

// Verdict is a line that says that the record ends here.
func (w *Writer) Verdict(text string) { w.line("  ", red, Printable(text)) }

// Lines shows lines of data, with their marks if one has any.
func (w *Writer) Lines(lines []Line) {
	marks := false
	for _, l := range lines {
		marks = marks || l.Mark != Plain
	}
	for _, l := range lines {
		text := l.Text
		if marks {
			text = string(l.Mark) + " " + text
		}
		w.line("  ", styles[l.Mark], text)
	}
}

// Count is a number with separators and its noun: 12,345 records.
func Count[N int | int64 | uint64](n N, noun string) string {
	digits := strconv.FormatInt(int64(n), 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	if n != 1 {
		noun += "s"
	}
	return digits + " " + noun
}
