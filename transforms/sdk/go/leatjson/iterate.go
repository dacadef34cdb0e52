package leatjson

import "iter"

// Elements goes through the values of an array, in order; there are none in anything else.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != Array {
			return
		}
		for i := blank(v.raw, 1); v.raw[i] != ']'; {
			end := skip(v.raw, i)
			if !yield(Value{v.raw[i:end:end]}) {
				return
			}
			if i = blank(v.raw, end); v.raw[i] == ',' {
				i = blank(v.raw, i+1)
			}
		}
	}
}

// Members goes through the members of an object, in order; there are none in anything else. A key is a [String]; one that occurs more
// than once comes more than once, and the last one counts.
func (v Value) Members() iter.Seq2[Value, Value] {
	return func(yield func(key, value Value) bool) {
		if v.Kind() != Object {
			return
		}
		for i := blank(v.raw, 1); v.raw[i] != '}'; {
			key := skip(v.raw, i)
			start := blank(v.raw, blank(v.raw, key)+1)
			end := skip(v.raw, start)
			if !yield(Value{v.raw[i:key:key]}, Value{v.raw[start:end:end]}) {
				return
			}
			if i = blank(v.raw, end); v.raw[i] == ',' {
				i = blank(v.raw, i+1)
			}
		}
	}
}

// blank returns the place of the next byte that is no white space.
func blank(b []byte, i int) int {
	for b[i] <= ' ' {
		i++
	}
	return i
}

// skip returns the place behind the valid value at i.
func skip(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r': // within a container
			i++
			continue
		default: // a number or a word
			for i < len(b) && b[i] > ' ' && b[i] != ',' && b[i] != ']' && b[i] != '}' {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

func skipString(b []byte, i int) int {
	for i++; ; i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}
