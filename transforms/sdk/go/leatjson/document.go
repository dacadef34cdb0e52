package leatjson

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Doc finds fields in JSON documents and changes them. Its zero value is ready; name the fields before the first Parse, usually in
// variables of the package. A Doc is not for concurrent use.
type Doc struct {
	buf  []byte // the document, and pad bytes of zero
	size int    // of the document
	// nodes are the fields and what lies on the way to them; node root is the whole document, node 0 is none. spots are what the scan
	// knows of them.
	nodes []node
	spots []spot
	// round counts documents; a node is present if its round is this one.
	round  uint32
	cursor cursor
	// levels are the containers that the scan is in: the spot whose value each is, and, in the lower half, what that lies in.
	levels [MaxDepth]int64
	// doubles are earlier members whose keys came again.
	doubles []double

	texts   []byte // unescaped texts of this document
	changes        // what Patched is to do
}

type node struct {
	name string
	// head is the beginning of the name, as a word under a mask, and length that of the name, or -1 if a key that has it is escaped.
	head, mask          uint64
	length              int
	parent, first, next int32 // other nodes, or 0

	round       uint32
	key, keyEnd int32 // of the text between the quotes
	edit        edit
}

type double struct {
	node     int32
	key, end int32 // of the member: from the quote of its key to the end of its value
}

// Field is a place in documents, known by its path. It stands for what the Doc's last Parse found there.
type Field struct {
	d *Doc
	n int32
}

// Field names a field by the keys that lead to it. Without a path it is the whole document. Paths lead through objects; use
// [Value.Elements] for what lies in arrays. Naming a path again returns the same field.
func (d *Doc) Field(path ...string) Field {
	if d.round > 0 {
		panic("leatjson: Field was called after Parse: name fields once, in variables of the package")
	}
	d.begin()
	n := int32(root)
	for _, name := range path {
		name = strings.ToValidUTF8(name, "\uFFFD")
		child := d.child(n, name)
		if child == 0 {
			child = d.addNode(n, name)
		}
		n = child
	}
	return Field{d, n}
}

const root = 1

func (d *Doc) begin() {
	if d.nodes == nil {
		d.nodes, d.spots = make([]node, 2), make([]spot, 2)
	}
}

// addNode makes the last child of a node.
func (d *Doc) addNode(parent int32, name string) int32 {
	child := int32(len(d.nodes))
	n := node{name: name, length: len(name), parent: parent}
	var head [8]byte
	n.mask = 1<<(8*copy(head[:], name)) - 1
	n.head = binary.LittleEndian.Uint64(head[:])
	if !plain([]byte(name)) {
		n.length = -1
	}
	d.nodes = append(d.nodes, n)
	d.spots = append(d.spots, spot{})
	link := &d.nodes[parent].first
	for *link != 0 {
		link = &d.nodes[*link].next
	}
	*link = child
	first := byte('"')
	if name != "" {
		first = name[0]
	}
	s := &d.spots[parent]
	s.within = int64(parent)
	s.sieve |= 1 << (sum(uint64(first), len(name)) & 63)
	if strings.Contains(name, "\uFFFD") { // which is also what invalid bytes of a key read as
		s.sieve = ^uint64(0)
	}
	return child
}

// child returns the node below n with the name, or 0.
func (d *Doc) child(n int32, name string) int32 {
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		if d.nodes[c].name == name {
			return c
		}
	}
	return 0
}

// SyntaxError says why a document is not JSON.
type SyntaxError struct {
	// Offset is where, in bytes from the start of the document.
	Offset int
	reason string
}

func (e *SyntaxError) Error() string {
	return "not JSON: at byte " + strconv.Itoa(e.Offset) + ": " + e.reason
}

const (
	maxSize = 1 << 30
	// roomy is the memory that a Doc keeps from document to document, in bytes. A rare large one does not stay.
	roomy = 1 << 20
)

// Parse checks the document and finds the fields in it. It copies data. The error is a [*SyntaxError]; the Doc is then empty, and
// every field missing.
func (d *Doc) Parse(data []byte) error {
	d.begin()
	need := len(data) + pad
	if cap(d.buf) < need || cap(d.buf) > roomy && need <= roomy {
		d.buf = make([]byte, max(need+need/4, 4<<10))
	}
	d.buf = d.buf[:need]
	copy(d.buf, data)
	end := d.buf[len(data):]
	for i := 0; i < pad; i += 8 {
		binary.LittleEndian.PutUint64(end[i:], 0)
	}
	d.size = len(data)
	d.doubles = d.doubles[:0]
	if len(d.texts) > 0 {
		d.texts = reuse(d.texts)
	}
	if len(d.edited) > 0 {
		d.forget()
	}
	d.round++
	if d.round == 0 { // after 4 thousand million documents
		for i := range d.nodes {
			d.nodes[i].round = 0
		}
		d.round = 1
	}
	d.nodes[root].round = d.round
	if len(data) > maxSize {
		d.nodes[root].round = 0
		return &SyntaxError{maxSize, "it has more than 1 GiB"}
	}
	place, reason := d.scan()
	if place < 0 {
		return nil
	}
	d.round++ // nothing is present
	if place >= d.size {
		reason = "it ends too early: " + reason
	}
	return &SyntaxError{min(place, d.size), reason}
}

func reuse(b []byte) []byte {
	if cap(b) > roomy {
		return nil
	}
	return b[:0]
}

// found returns the node below in whose name is the key buf[start:end], and notes that it is present; 0 if it is none.
func (d *Doc) found(in, start, end int) int {
	key := d.buf[start:end]
	head := binary.LittleEndian.Uint64(d.buf[start:])
	c := d.nodes[in].first
	for ; c != 0; c = d.nodes[c].next {
		if n := &d.nodes[c]; head&n.mask == n.head && len(key) == n.length && (len(key) <= 8 || text(key) == n.name) {
			break
		}
	}
	if c == 0 && !plain(key) {
		from := len(d.texts)
		d.texts = appendText(d.texts, key)
		c = d.child(int32(in), text(d.texts[from:]))
	}
	if c == 0 {
		return 0
	}
	n := &d.nodes[c]
	if n.round == d.round {
		d.doubles = append(d.doubles, double{c, n.key - 1, d.spots[c].end})
		d.miss(n.first)
	}
	n.round, n.key, n.keyEnd = d.round, int32(start), int32(end)
	return int(c)
}

// miss forgets c, its siblings and all below: they were found in a member that does not count.
func (d *Doc) miss(c int32) {
	for ; c != 0; c = d.nodes[c].next {
		d.nodes[c].round = d.round - 1
		d.miss(d.nodes[c].first)
	}
}

// Valid reports whether data is a JSON document, as [Doc.Parse] checks it.
func Valid(data []byte) bool {
	var d Doc
	return d.Parse(data) == nil
}

// Get returns the value at a path of keys in data; it is missing if there is none. It is for single looks: a [Doc] finds several
// fields at once, and again in the next record, without allocating.
func Get(data []byte, path ...string) (Value, error) {
	var d Doc
	f := d.Field(path...)
	if err := d.Parse(data); err != nil {
		return Value{}, err
	}
	return f.Value(), nil
}
