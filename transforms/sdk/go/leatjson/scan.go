package leatjson

import (
	"math/bits"
	"unsafe"
)

// The scan is written for what it compiles to in a guest. There a call costs as much as a dozen loads, every branch that is taken goes through a
// table, and what is fallen through costs nothing. So it is one function without calls, bytes are taken eight at a time, and what is
// rare (white space, a key that may be a field's) leaves the function: the compiler takes returns for unlikely and moves them out of the
// way. [Doc.scan] deals with those and enters again.

// spot is what the scan knows of a node. Spot 0 is nobody's: the places of values that no field has go there.
type spot struct {
	// sieve has a bit for each class that the name of a child is of.
	sieve uint64
	// within is the spot itself if it has children, else 0.
	within int64
	// start and end are the place of the value.
	start, end int32
	_          [8]byte // 32 bytes are quickly counted with
}

// What the scan is in: an object that is the value of a spot with children, an object without fields (0), or one of these.
const (
	inArray = -1
	atTop   = -2
)

// event is why the scan leaves its function.
type event int

const (
	done    event = iota
	blanks        // there is white space, or the document ends, in a place that cursor.next tells
	hit           // the key in cursor.key and cursor.i may be that of a field; after it comes the colon
	wrong         // there is a fault
	tooDeep       // containers are nested too deeply
)

// place is where the scan enters, and what may stand there.
type place int

const (
	aValue place = iota
	anElement
	aKey
	aMember
	aColon
	anEnd
	aString // it has begun
	aNumber // likewise
)

var expected = [...]string{
	aValue: "a value", anElement: "a value or the end of an array", aKey: "a key", aMember: "a key or the end of an object", aColon: "a colon",
	anEnd: "a comma or an end", aString: "text without control characters and bad escapes", aNumber: "a digit",
}

// cursor is the state of a scan. Most of it is in memory also within the function: every variable that lives from branch to branch
// makes each branch dearer.
type cursor struct {
	i, key, depth int
	in            int // a spot, or what else the scan is in
	owner         int // the spot whose value comes next, or is being read
	sieve         uint64
	next          place
	inKey         bool // the string with an escape sequence is a key

	spots  unsafe.Pointer // of Doc.spots
	levels unsafe.Pointer // of Doc.levels
}

func (s *cursor) spot(n int) *spot {
	return (*spot)(unsafe.Add(s.spots, n*int(unsafe.Sizeof(spot{}))))
}

func (s *cursor) level(n int) *int64 { return (*int64)(unsafe.Add(s.levels, n*8)) }

// scan checks the document and notes where the fields are. It returns the place of the first fault and what is wrong, or -1.
func (d *Doc) scan() (int, string) {
	s := &d.cursor
	s.i, s.depth, s.in, s.owner, s.sieve, s.next = 0, 0, atTop, root, 0, aValue
	s.spots, s.levels = unsafe.Pointer(unsafe.SliceData(d.spots)), unsafe.Pointer(&d.levels)
	for {
		switch d.advance() {
		case done:
			if s.i != d.size {
				return s.i, "something follows the value"
			}
			return -1, ""
		case hit:
			s.owner = d.found(s.in, s.key, s.i)
			s.i++
			s.next = aColon
		case blanks:
			i := space(d.buf, s.i)
			if i == s.i {
				return i, "there should be " + expected[s.next]
			}
			s.i = i
		case tooDeep:
			return s.i, "objects and arrays are nested too deeply"
		default:
			return s.i, "there should be " + expected[s.next]
		}
	}
}

// space returns the place of the next byte that is no white space.
func space(b []byte, i int) int {
	for {
		switch b[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
}

// advance goes on from the cursor to the next event.
func (d *Doc) advance() event {
	var (
		s    = (*cursor)(unsafe.Add(unsafe.Pointer(d), unsafe.Offsetof(d.cursor))) // which is not nil, as the compiler knows then
		p    = unsafe.Pointer(unsafe.SliceData(d.buf))
		i    = s.i
		c    = at(p, i)
		m, x uint64
	)
	switch s.next {
	case aKey:
		goto key
	case aMember:
		if c == '}' {
			goto closed
		}
		goto key
	case anElement:
		if c == ']' {
			goto closed
		}
		goto value
	case aColon:
		goto colon
	case anEnd:
		goto after
	default:
		goto value
	}

key: // i is where a key must begin, with c
	if c != '"' {
		s.i, s.next = i, aKey
		return blanks
	}
	i++
	s.key = i
	m = specials(load(p, i))
	if m == 0 {
		for {
			i += 8
			if m = specials(load(p, i)); m != 0 {
				break
			}
		}
	}
	i += bits.TrailingZeros64(m) >> 3
	if at(p, i) != '"' {
		s.inKey = true
		goto odd
	}

keyEnd: // i is at the closing quote of a key
	if s.sieve>>(sum(at(p, s.key), i-s.key)&63)&1 != 0 {
		s.i = i
		return hit
	}
	s.owner = 0
	i++
	c = at(p, i)

colon:
	if c != ':' {
		s.i, s.next = i, aColon
		return blanks
	}
	i++
	m = 0
	if at(p, i) == ' ' {
		m = 1
	}
	i += int(m)
	c = at(p, i)

value: // i is where a value begins, with c
	s.spot(s.owner).start = int32(i)
	if c == '"' {
		i++
		m = specials(load(p, i))
		if m == 0 {
			for {
				m, x = specials(load(p, i+8)), specials(load(p, i+16))
				if m|x != 0 {
					break
				}
				i += 16
			}
			i += 8
			if m == 0 {
				i += 8
				m = x
			}
		}
		i += bits.TrailingZeros64(m) >> 3
		if at(p, i) != '"' {
			s.inKey = false
			goto odd
		}
		i++
		goto after
	}

other: // c begins a value that is no string
	if c-'0' <= 9 {
		goto number
	}
	if c == '{' || c == '[' {
		if s.depth == MaxDepth {
			s.i = i
			return tooDeep
		}
		*s.level(s.depth) = int64(s.owner)<<32 | int64(uint32(s.in))
		s.depth++
		i++
		if c == '{' {
			s.in = int(s.spot(s.owner).within)
			s.sieve = s.spot(s.in).sieve
			c = at(p, i)
			if c == '"' {
				goto key
			}
			if c != '}' {
				s.i, s.next = i, aMember
				return blanks
			}
			goto closed
		}
		s.in, s.owner = inArray, 0
		c = at(p, i)
		if c == ']' {
			goto closed
		}
		if c <= ' ' {
			s.i, s.next = i, anElement
			return blanks
		}
		goto value
	}
	if w := load4(p, i); w == wordTrue || w == wordNull {
		i += 4
		goto after
	}
	if c == 'f' && load4(p, i+1) == wordAlse {
		i += 5
		goto after
	}
	if c != '-' {
		s.i, s.next = i, aValue
		return blanks
	}
	i++
	c = at(p, i)
	if c-'0' > 9 {
		s.i, s.next = i, aNumber
		return wrong
	}

number: // i is at its first digit, c
	i++
	if c != '0' {
		if m = nonDigits(load(p, i)); m == 0 {
			for {
				i += 8
				if m = nonDigits(load(p, i)); m != 0 {
					break
				}
			}
		}
		i += bits.TrailingZeros64(m) >> 3
	}
	c = at(p, i)
	if c == '.' {
		i++
		if at(p, i)-'0' > 9 {
			s.i, s.next = i, aNumber
			return wrong
		}
		if m = nonDigits(load(p, i)); m == 0 {
			for {
				i += 8
				if m = nonDigits(load(p, i)); m != 0 {
					break
				}
			}
		}
		i += bits.TrailingZeros64(m) >> 3
		c = at(p, i)
	}
	if c|0x20 == 'e' {
		i++
		if c = at(p, i); c == '+' || c == '-' {
			i++
		}
		if at(p, i)-'0' > 9 {
			s.i, s.next = i, aNumber
			return wrong
		}
		for at(p, i)-'0' <= 9 {
			i++
		}
	}

after: // i is behind a value
	s.spot(s.owner).end = int32(i)
	c = at(p, i)
	s.owner = 0
	if c == ',' {
		i++
		m = 0
		if at(p, i) == ' ' {
			m = 1
		}
		i += int(m)
		c = at(p, i)
		if s.in >= 0 {
			goto key
		}
		if s.in == inArray {
			if c != '"' {
				goto other
			}
			goto value
		}
		s.i = i - 1
		return done
	}
	if c == '}' && s.in >= 0 || c == ']' && s.in == inArray {
		goto closed
	}
	s.i, s.next = i, anEnd
	if c == 0 && s.in == atTop {
		return done
	}
	return blanks

odd: // i is in a string, at its first byte that is not plain and does not end it
	{
		step := int(escapes[at(p, i+1)&255])
		if at(p, i) != '\\' || step == 0 || step == 6 &&
			hexValues[at(p, i+2)&255]|hexValues[at(p, i+3)&255]|hexValues[at(p, i+4)&255]|hexValues[at(p, i+5)&255] > 15 {
			s.i, s.next = i, aString
			return wrong
		}
		i += step
	}
	for {
		if m = specials(load(p, i)); m != 0 {
			break
		}
		i += 8
	}
	i += bits.TrailingZeros64(m) >> 3
	if at(p, i) != '"' {
		goto odd
	}
	if !s.inKey {
		i++
		goto after
	}
	if s.in > 0 {
		s.sieve = ^uint64(0)
	}
	goto keyEnd

closed: // i is at the end of a container
	s.depth--
	s.owner, s.in = int(*s.level(s.depth)>>32), int(int32(*s.level(s.depth)))
	s.sieve = s.spot(max(s.in, 0)).sieve
	i++
	goto after
}
