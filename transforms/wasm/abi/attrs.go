package abi

// An attribute block is a list of named values: the attrs of a record or the partition keys of an out. No attributes are
// no bytes. Else:
//
//	u16 count | u16 0 | count x { u16 name_len | u16 0 | u32 value_len } | for each: name, value
//
// The block ends with the last value.
const (
	attrsHeader = 4
	attrSize    = 8
)

// AttrsSize returns the length of the block for attrs, and false if they cannot be encoded: more than MaxAttrs, or a name
// longer than 65,535 bytes.
func AttrsSize(attrs []Attr) (int, bool) {
	if len(attrs) == 0 {
		return 0, true
	}
	n := attrsHeader + attrSize*len(attrs)
	for i := range attrs {
		if len(attrs[i].Name) > 1<<16-1 || uint64(len(attrs[i].Value)) > MaxFrame {
			return 0, false
		}
		n += len(attrs[i].Name) + len(attrs[i].Value)
	}
	return n, len(attrs) <= MaxAttrs && uint64(n) <= MaxFrame
}

// AppendAttrs appends the block for attrs, which AttrsSize has accepted.
func AppendAttrs(dst []byte, attrs []Attr) []byte {
	if len(attrs) == 0 {
		return dst
	}
	dst = le.AppendUint16(dst, uint16(len(attrs)))
	dst = le.AppendUint16(dst, 0)
	for i := range attrs {
		dst = le.AppendUint16(dst, uint16(len(attrs[i].Name)))
		dst = le.AppendUint16(dst, 0)
		dst = le.AppendUint32(dst, uint32(len(attrs[i].Value)))
	}
	for i := range attrs {
		dst = append(dst, attrs[i].Name...)
		dst = append(dst, attrs[i].Value...)
	}
	return dst
}

// DecodeAttrs appends the attributes of a block to dst. Names and values share the block's memory. The error's text says
// what is wrong with the block.
func DecodeAttrs(dst []Attr, block string) ([]Attr, error) {
	if block == "" {
		return dst, nil
	}
	if len(block) < attrsHeader {
		return dst, badAttrs("is shorter than its header")
	}
	count := int(block[0]) | int(block[1])<<8
	at := uint64(attrsHeader + attrSize*count)
	if count == 0 || block[2] != 0 || block[3] != 0 || at > uint64(len(block)) {
		return dst, badAttrs("of " + itoa(len(block)) + " bytes cannot hold " + itoa(count) + " entries")
	}
	for i := range count {
		e := block[attrsHeader+attrSize*i:][:attrSize]
		name := uint64(e[0]) | uint64(e[1])<<8
		value := uint64(e[4]) | uint64(e[5])<<8 | uint64(e[6])<<16 | uint64(e[7])<<24
		if e[2] != 0 || e[3] != 0 || at+name+value > uint64(len(block)) {
			return dst, badAttrs("entry " + itoa(i) + " reaches past the end")
		}
		dst = append(dst, Attr{block[at : at+name], block[at+name : at+name+value]})
		at += name + value
	}
	if at != uint64(len(block)) {
		return dst, badAttrs("has bytes after its last value")
	}
	return dst, nil
}

func badAttrs(what string) error { return &FrameError{"attribute block", -1, what} }

// checkAttrs reports whether block decodes, without allocating.
func checkAttrs(block []byte) error {
	if len(block) == 0 {
		return nil
	}
	if len(block) < attrsHeader {
		return badAttrs("is shorter than its header")
	}
	count := int(le.Uint16(block))
	at := uint64(attrsHeader + attrSize*count)
	if count == 0 || le.Uint16(block[2:]) != 0 || at > uint64(len(block)) {
		return badAttrs("of " + itoa(len(block)) + " bytes cannot hold " + itoa(count) + " entries")
	}
	for i := range count {
		e := block[attrsHeader+attrSize*i:][:attrSize]
		if le.Uint16(e[2:]) != 0 {
			return badAttrs("entry " + itoa(i) + " sets a reserved field")
		}
		at += uint64(le.Uint16(e)) + uint64(le.Uint32(e[4:]))
	}
	if at != uint64(len(block)) {
		return badAttrs("of " + itoa(len(block)) + " bytes holds entries of " + itoa(at))
	}
	return nil
}
