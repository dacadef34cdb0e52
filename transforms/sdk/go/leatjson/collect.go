package leatjson

import "errors"

var errNoDocument = errors.New("there is no document: call Parse, and look at its error")

type spanKind uint8

const (
	replaced spanKind = iota // by a new value
	renamed                  // a key
	removed                  // a member
	appended                 // nothing is cut out; missing members of node come in
	made                     // an object of missing members in place of null
)

// span is a piece of the document that another replaces.
type span struct {
	start, end    int32
	kind          spanKind
	node          int32
	text, textEnd int
}

// add puts a span into its place in the order of the document. There are few, and they mostly come in order.
func (d *Doc) add(s span) {
	d.spans = append(d.spans, s)
	for i := len(d.spans) - 1; i > 0 && d.spans[i-1].start > s.start; i-- {
		d.spans[i], d.spans[i-1] = d.spans[i-1], d.spans[i]
	}
}

// collect finds the pieces of node n, which is present, and below it that are to change.
func (d *Doc) collect(n int32) error {
	nd := &d.nodes[n]
	e := &nd.edit
	for _, again := range d.doubles {
		if again.node == n {
			d.add(span{start: again.key, end: again.end, kind: removed})
		}
	}
	if e.op == remove {
		d.add(span{start: nd.key - 1, end: d.spots[n].end, kind: removed})
		return nil
	}
	if e.rename && e.name != nd.name {
		if err := d.rename(n); err != nil {
			return err
		}
	}
	if e.op == set {
		d.add(span{start: d.spots[n].start, end: d.spots[n].end, kind: replaced, text: e.text, textEnd: e.textEnd})
		return nil
	}
	if !e.below {
		return nil
	}
	missing := false
	for c := nd.first; c != 0; c = d.nodes[c].next {
		switch there := d.nodes[c].round == d.round; {
		case d.nodes[c].edit == edit{}, d.taken(c) && !(there && d.leaves(c)): // rename takes it away
		case !there:
			missing = missing || d.wanted(c)
		default:
			if err := d.collect(c); err != nil {
				return err
			}
		}
	}
	if !missing {
		return nil
	}
	switch kind := (Field{d, n}).Kind(); kind {
	case Object:
		end := int32(lastPlace(d.buf[:d.spots[n].end-1], int(d.spots[n].start))) + 1
		d.add(span{start: end, end: end, kind: appended, node: n})
	case Null:
		d.add(span{start: d.spots[n].start, end: d.spots[n].end, kind: made, node: n})
	default:
		return errors.New(d.path(n) + " is " + kind.String() + ", and nothing can be set in it")
	}
	return nil
}

// rename finds the key of n, and the members that have the new one.
func (d *Doc) rename(n int32) error {
	nd := &d.nodes[n]
	name := nd.edit.name
	d.add(span{start: nd.key, end: nd.keyEnd, kind: renamed, node: n})
	for c := d.nodes[nd.parent].first; c != 0; c = d.nodes[c].next {
		if c != n && d.leaves(c) && d.nodes[c].edit.name == name {
			return errors.New("two fields of " + d.path(nd.parent) + " are renamed to " + name)
		}
	}
	if c := d.child(nd.parent, name); c != 0 {
		there := &d.nodes[c]
		if there.round != d.round || d.leaves(c) {
			return nil
		}
		d.add(span{start: there.key - 1, end: d.spots[c].end, kind: removed})
		for _, again := range d.doubles {
			if again.node == c {
				d.add(span{start: again.key, end: again.end, kind: removed})
			}
		}
		return nil
	}
	for i := blank(d.buf, int(d.spots[nd.parent].start)+1); d.buf[i] != '}'; {
		key := skip(d.buf, i)
		end := skip(d.buf, blank(d.buf, blank(d.buf, key)+1))
		if (Value{d.buf[i:key]}).Equal(name) {
			d.add(span{start: int32(i), end: int32(end), kind: removed})
		}
		if i = blank(d.buf, end); d.buf[i] == ',' {
			i = blank(d.buf, i+1)
		}
	}
	return nil
}

// path names a node for a message.
func (d *Doc) path(n int32) string {
	if n == root {
		return "the document"
	}
	path := d.nodes[n].name
	for p := d.nodes[n].parent; p != root; p = d.nodes[p].parent {
		path = d.nodes[p].name + "." + path
	}
	return path
}
