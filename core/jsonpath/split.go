package jsonpath

// First returns where the first JSON value in data begins and ends; white space before it is passed over. If there is none, ok is
// false and start is the offset of the byte that does not belong there, or len(data) if nothing but white space is left.
func First(data []byte) (start, end int, ok bool) {
	s := Scan{data: data}
	s.space()
	start = s.pos
	if start == len(data) || !s.value(nil, 0) {
		return s.pos, s.pos, false
	}
	return start, s.pos, true
}

// Items hands the elements of an array, which a scan has found, to visit, until that returns false.
func Items(array []byte, visit func(item []byte) bool) {
	s := Scan{data: array, pos: 1}
	s.space()
	for s.pos < len(array) && array[s.pos] != ']' {
		start := s.pos
		if !s.value(nil, 0) || !visit(array[start:s.pos:s.pos]) {
			return
		}
		if more, _ := s.next(']'); !more {
			return
		}
	}
}
