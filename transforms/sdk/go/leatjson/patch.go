package leatjson

// Patched returns the document with the edits since the last Parse; without any, the document. The result is valid until the next
// Parse or Patched. An error says which edits cannot be made, and then none is.
func (d *Doc) Patched() ([]byte, error) {
	if d.nodes == nil || d.nodes[root].round != d.round {
		return nil, errNoDocument
	}
	if !d.Changed() {
		return d.buf[:d.size:d.size], nil
	}
	out, err := d.AppendPatched(reuse(d.out))
	if err != nil {
		return nil, err
	}
	d.out = out
	return out, nil
}

// AppendPatched is Patched into the caller's memory.
func (d *Doc) AppendPatched(dst []byte) ([]byte, error) {
	if d.nodes == nil || d.nodes[root].round != d.round {
		return dst, errNoDocument
	}
	d.spans = d.spans[:0]
	if err := d.collect(root); err != nil {
		return dst, err
	}
	from := len(dst)
	done := int32(0)
	for i := range d.spans {
		s := &d.spans[i]
		if s.start < done { // within what has been replaced
			continue
		}
		dst = append(dst, d.buf[done:s.start]...)
		done = s.end
		switch s.kind {
		case replaced:
			dst = append(dst, d.values[s.text:s.textEnd]...)
		case renamed:
			dst = appendEscaped(dst, d.nodes[s.node].edit.name)
		case appended:
			if last(dst, from) != '{' {
				dst = append(dst, ',')
			}
			dst, _ = d.appendMissing(dst, s.node)
		case made:
			dst = append(dst, '{')
			dst, _ = d.appendMissing(dst, s.node)
			dst = append(dst, '}')
		case removed:
			dst, done = d.takeOut(dst, from, done)
		}
	}
	return append(dst, d.buf[done:d.size]...), nil
}

// takeOut takes a member, which ends at done, out, with the comma before it or, if it is the first, the one behind it.
func (d *Doc) takeOut(dst []byte, from int, done int32) ([]byte, int32) {
	if at := lastPlace(dst, from); dst[at] == ',' {
		return dst[:at], done
	}
	if next := blank(d.buf, int(done)); d.buf[next] == ',' {
		return dst, int32(blank(d.buf, next+1))
	}
	return dst, done
}

// lastPlace is where the last byte of dst is that is no white space; something has been written since from.
func lastPlace(dst []byte, from int) int {
	i := len(dst) - 1
	for i > from && dst[i] <= ' ' {
		i--
	}
	return i
}

func last(dst []byte, from int) byte { return dst[lastPlace(dst, from)] }

// appendMissing appends what is set below n and is not in the document, as members without the braces around them.
func (d *Doc) appendMissing(dst []byte, n int32) (out []byte, any bool) {
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		nd := &d.nodes[c]
		if nd.round == d.round || !d.wanted(c) || d.taken(c) {
			continue
		}
		if any {
			dst = append(dst, ',')
		}
		any = true
		dst = append(AppendString(dst, nd.name), ':')
		if nd.edit.op == set {
			dst = append(dst, d.values[nd.edit.text:nd.edit.textEnd]...)
			continue
		}
		dst = append(dst, '{')
		dst, _ = d.appendMissing(dst, c)
		dst = append(dst, '}')
	}
	return dst, any
}

// wanted reports whether c, or something below it, is set.
func (d *Doc) wanted(c int32) bool {
	nd := &d.nodes[c]
	if nd.edit.op != leave {
		return nd.edit.op == set
	}
	if !nd.edit.below {
		return false
	}
	for b := nd.first; b != 0; b = d.nodes[b].next {
		if d.wanted(b) {
			return true
		}
	}
	return false
}

// taken reports whether a sibling of c gets its name.
func (d *Doc) taken(c int32) bool {
	for s := d.nodes[d.nodes[c].parent].first; s != 0; s = d.nodes[s].next {
		if s != c && d.leaves(s) && d.nodes[s].edit.name == d.nodes[c].name {
			return true
		}
	}
	return false
}

// leaves reports whether n goes on under a name that it is given.
func (d *Doc) leaves(n int32) bool { return d.nodes[n].edit.rename && d.nodes[n].edit.op != remove }
