package builtin

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// redactor is the memory of one goroutine that redacts.
type redactor struct {
	*textFinder
	config *Redact
	// looks says that there are detectors or patterns.
	looks          bool
	doc            leatjson.Doc
	fields, within []leatjson.Field
	one            leatjson.Doc // a string with escapes
	root           leatjson.Field
	spans          []textSpan
	text, out      []byte
}

// maxSpans is how many spans' memory is kept from text to text.
const maxSpans = 10_000

// textSpan is a part of a text.
type textSpan struct{ start, end int }

func (x *redactor) redact(r *record.Record, w *writer) {
	if err := x.doc.Parse(r.Data); err != nil {
		w.fail("redact.not_json", "%v", err)
		return
	}
	if x.doc.Repeats() {
		w.fail("redact.repeated_key", "a key that leads to one of the fields is there twice in its object")
		return
	}
	for _, field := range x.fields {
		x.whole(field)
	}
	data, changed := r.Data, x.doc.Changed()
	if changed {
		var err error
		if len(x.within) == 0 {
			data, err = x.doc.Patched()
		} else if w.scratch, err = x.doc.AppendPatched(reuse(w.scratch)); err == nil {
			data = w.scratch
			err = x.doc.Parse(data) // what is looked through may hold some of the fields
		}
		if err != nil {
			w.fail("redact.not_json", "%v", err)
			return
		}
	}
	for _, field := range x.within {
		var found bool
		if x.out, found = x.walk(reuse(x.out), field.Raw()); !found {
			continue
		}
		if err := field.SetRaw(x.out); err != nil {
			w.fail("redact.not_json", "%v", err)
			return
		}
	}
	if len(x.within) > 0 && x.doc.Changed() {
		w.edited(r, &x.doc, "redact.not_json")
		return
	}
	if x.looks && len(x.within) == 0 {
		var found bool
		if w.scratch, found = x.walk(reuse(w.scratch), data); found {
			data, changed = w.scratch, true
		}
	}
	if changed {
		w.data(r, data)
	} else {
		w.keep()
	}
}

// whole replaces a field's value.
func (x *redactor) whole(field leatjson.Field) {
	kind := field.Kind()
	switch {
	case kind == leatjson.Missing || kind == leatjson.Null:
	case x.config.KeepLast > 0 && (kind == leatjson.String || kind == leatjson.Number):
		text, ok := field.Text()
		if !ok {
			text = field.Raw()
		}
		x.text = x.appendMasked(reuse(x.text), text)
		field.SetText(x.text)
	default:
		field.SetString(x.config.Replacement)
	}
}

// walk writes JSON, which has been checked, with its texts, keys and numbers redacted. If nothing is, changed is false and nothing written.
func (x *redactor) walk(dst, raw []byte) (_ []byte, changed bool) {
	from, done := len(dst), 0
	for i := 0; i < len(raw); {
		start := i
		var found bool
		var text []byte
		switch c := raw[i]; {
		case c == '"':
			var has needs
			i, has = stringEnd(raw, i+1)
			text, found = x.findInString(raw[start:i], has)
		case c == '-' || isDigit(c):
			for i < len(raw) && (isDigit(raw[i]) || raw[i] == '-' || raw[i] == '+' || raw[i] == '.' || raw[i]|0x20 == 'e') {
				i++
			}
			text = raw[start:i]
			found = x.find(text, classesOf(text))
		default:
			i++
		}
		if found {
			dst = append(dst, raw[done:start]...)
			x.text = x.appendRedacted(reuse(x.text), text)
			dst = leatjson.AppendText(dst, x.text)
			done = i
		}
	}
	if done == 0 {
		return dst[:from], false
	}
	return append(dst, raw[done:]...), true
}

// stringEnd returns the place behind the string whose inside begins at i, and the classes of its bytes.
func stringEnd(raw []byte, i int) (end int, has needs) {
	for ; raw[i] != '"'; i++ {
		has |= classes[raw[i]]
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1, has
}

func classesOf(text []byte) (has needs) {
	for _, c := range text {
		has |= classes[c]
	}
	return has
}

// findInString is find for a string of JSON. text is the string's text, in which the spans are.
func (x *redactor) findInString(raw []byte, has needs) (text []byte, found bool) {
	if has&someEscape == 0 {
		text = raw[1 : len(raw)-1]
		return text, x.find(text, has)
	}
	if x.one.Parse(raw) != nil { // it has been checked
		return nil, false
	}
	text, _ = x.root.Text()
	return text, x.find(text, classesOf(text))
}

// find puts what is to be redacted of a text into x.spans, in order and without overlaps.
func (x *redactor) find(text []byte, has needs) bool {
	if cap(x.spans) > maxSpans {
		x.spans = nil
	}
	x.spans = x.spans[:0]
	kinds := 0
	for _, i := range x.wanted[has] {
		d := &detectors[i]
		if len(text) < d.least {
			continue
		}
		n := len(x.spans)
		for from := 0; from < len(text); {
			start, end := d.detect(text, from)
			if start < 0 {
				break
			}
			x.spans = append(x.spans, textSpan{start, end})
			from = end
		}
		if len(x.spans) > n {
			kinds++
		}
	}
	for _, re := range x.patterns {
		if !re.Match(text) { // it allocates nothing
			continue
		}
		for _, at := range re.FindAllIndex(text, -1) {
			if at[0] < at[1] {
				x.spans = append(x.spans, textSpan{at[0], at[1]})
			}
		}
		kinds++
	}
	if kinds > 1 {
		x.merge()
	}
	return len(x.spans) > 0
}

func (x *redactor) merge() {
	slices.SortFunc(x.spans, func(a, b textSpan) int { return cmp.Compare(a.start, b.start) })
	n := 0
	for _, s := range x.spans {
		if n > 0 && s.start < x.spans[n-1].end {
			x.spans[n-1].end = max(x.spans[n-1].end, s.end)
			continue
		}
		x.spans[n] = s
		n++
	}
	x.spans = x.spans[:n]
}

// appendRedacted writes text without what x.spans names.
func (x *redactor) appendRedacted(dst, text []byte) []byte {
	done := 0
	for _, s := range x.spans {
		dst = append(dst, text[done:s.start]...)
		if x.config.KeepLast > 0 {
			dst = x.appendMasked(dst, text[s.start:s.end])
		} else {
			dst = append(dst, x.config.Replacement...)
		}
		done = s.end
	}
	return append(dst, text[done:]...)
}

// appendMasked writes a star for each letter and digit of text but the last few. What is not UTF-8 counts as letters.
func (x *redactor) appendMasked(dst, text []byte) []byte {
	letters := 0
	for rest := text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if isLetter(r) {
			letters++
		}
		rest = rest[n:]
	}
	hidden := letters - min(x.config.KeepLast, letters/2)
	for rest := text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if isLetter(r) && hidden > 0 {
			hidden--
			dst = append(dst, '*')
		} else {
			dst = append(dst, rest[:n]...)
		}
		rest = rest[n:]
	}
	return dst
}

func isLetter(r rune) bool {
	return r == utf8.RuneError || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}
