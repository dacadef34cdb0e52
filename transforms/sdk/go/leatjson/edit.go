package leatjson

import (
	"strconv"
	"strings"
)

type op uint8

const (
	leave op = iota
	set
	remove
)

// edit is what is to become of a node.
type edit struct {
	op op
	// text is the new value, a range of changes.values.
	text, textEnd int
	// rename means that the key becomes name.
	rename bool
	name   string
	// below means that something below is to change.
	below bool
}

// changes are the edits of the current document.
type changes struct {
	edited []int32 // nodes whose edit is not zero, those above them included
	values []byte  // new values
	spans  []span
	out    []byte
	other  *Doc // checks values
}

// forget takes all edits back.
func (d *Doc) forget() {
	for _, n := range d.edited {
		d.nodes[n].edit = edit{}
	}
	d.edited = d.edited[:0]
	d.values = reuse(d.values)
}

// Changed reports whether there are edits since the last Parse, so that Patched returns something else than the document.
func (d *Doc) Changed() bool { return len(d.edited) > 0 }

// mark returns the field's edit, to be filled in, and lets those above know.
func (f Field) mark() *edit {
	d := f.d
	if d.round == 0 || d.nodes[root].round != d.round {
		panic("leatjson: a field is set without a document: call Parse first, and look at its error")
	}
	for n := d.nodes[f.n].parent; n != 0 && !d.nodes[n].edit.below; n = d.nodes[n].parent {
		if d.nodes[n].edit == (edit{}) {
			d.edited = append(d.edited, n)
		}
		d.nodes[n].edit.below = true
	}
	e := &d.nodes[f.n].edit
	if *e == (edit{}) {
		d.edited = append(d.edited, f.n)
	}
	return e
}

// set gives the field the value that values has grown by.
func (f Field) set(values []byte) {
	e := f.mark()
	e.op, e.text, e.textEnd = set, len(f.d.values), len(values)
	f.d.values = values
}

// SetString makes the field a string; of text that is not UTF-8 every bad byte becomes U+FFFD.
func (f Field) SetString(text string) {
	f.set(AppendString(f.d.values, text))
}

// SetText is SetString for bytes.
func (f Field) SetText(b []byte) { f.SetString(text(b)) }

// SetInt makes the field a number.
func (f Field) SetInt(n int64) {
	f.set(strconv.AppendInt(f.d.values, n, 10))
}

// SetFloat makes the field a number, with as many digits as it takes to read it back; what is not finite becomes null.
func (f Field) SetFloat(n float64) {
	f.set(AppendFloat(f.d.values, n))
}

// SetBool makes the field true or false.
func (f Field) SetBool(b bool) {
	if b {
		f.word("true")
	} else {
		f.word("false")
	}
}

// SetNull makes the field null.
func (f Field) SetNull() { f.word("null") }

// SetValue gives the field a value of this or another document, as it stands there.
func (f Field) SetValue(v Value) {
	if v.raw == nil {
		f.Delete()
		return
	}
	f.word(text(v.raw))
}

// SetRaw gives the field a value in JSON. The error is a [*SyntaxError]; the field then keeps what it has.
func (f Field) SetRaw(json []byte) error {
	if f.d.other == nil {
		f.d.other = new(Doc)
	}
	if err := f.d.other.Parse(json); err != nil {
		return err
	}
	f.word(text(json))
	return nil
}

func (f Field) word(word string) {
	f.set(append(f.d.values, word...))
}

// Delete removes the field, with its key and one comma, and discards what was set. Deleting a missing field does nothing, but that an earlier
// namesake of an object that it would be in, where it may not be missing, is removed. The whole document cannot be deleted: drop the record.
func (f Field) Delete() {
	if f.n == root {
		panic("leatjson: the whole document cannot be deleted; drop the record")
	}
	if f.Exists() || f.d.nodes[f.n].edit.op == set || f.d.repeated(f.n) {
		f.mark().op = remove
	}
}

// repeated reports whether something that n lies in came before.
func (d *Doc) repeated(n int32) bool {
	for _, again := range d.doubles {
		for p := d.nodes[n].parent; p != 0; p = d.nodes[p].parent {
			if again.node == p {
				return true
			}
		}
	}
	return false
}

// Rename gives the field another key, in its place; a missing field stays missing. If the object has a member of that name, which is not
// renamed itself, it is removed. That takes a second look at the object, unless the new name is that of a Field too.
func (f Field) Rename(name string) {
	if f.n == root {
		panic("leatjson: the whole document has no key")
	}
	if f.Exists() {
		e := f.mark()
		e.rename, e.name = true, strings.ToValidUTF8(name, "\uFFFD")
	}
}
