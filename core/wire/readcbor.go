package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// cborReader reads CBOR as RFC 8949 has it, with items of indefinite length, which the Java SDKs send. Tags are read over.
type cborReader struct {
	body  []byte
	at    int
	open  [maxDepth]cborOpen
	depth int
	// chunks holds a string of indefinite length.
	chunks []byte
}

type cborOpen struct {
	left       int // elements, or pairs, yet to come
	indefinite bool
	key        bool
	isMap      bool
}

// Major types, RFC 8949 section 3.1.
const (
	cborUint = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
)

// cborBreak ends items of indefinite length.
const cborBreak = 0xff

func (r *cborReader) milliseconds() float64 { return 1 }

func (r *cborReader) end() error {
	if r.at < len(r.body) {
		return errToken
	}
	return nil
}

func (r *cborReader) more() (bool, error) {
	o := &r.open[r.depth-1]
	more := o.left > 0
	if o.indefinite {
		if r.at == len(r.body) {
			return false, errEnd
		}
		more = r.body[r.at] != cborBreak
		if !more {
			r.at++
		}
	}
	if !more {
		r.depth--
		return false, nil
	}
	o.left--
	o.key = o.isMap
	return true, nil
}

// head reads an item's major type, its additional information and its argument.
func (r *cborReader) head() (major, info byte, arg uint64, err error) {
	if r.at == len(r.body) {
		return 0, 0, 0, errEnd
	}
	major, info = r.body[r.at]>>5, r.body[r.at]&0x1f
	r.at++
	if info < 24 {
		return major, info, uint64(info), nil
	}
	if info == 31 {
		return major, info, 0, nil
	}
	if info > 27 {
		return 0, 0, 0, errToken
	}
	n := 1 << (info - 24)
	if len(r.body)-r.at < n {
		return 0, 0, 0, errEnd
	}
	var wide [8]byte
	copy(wide[8-n:], r.body[r.at:r.at+n])
	r.at += n
	return major, info, binary.BigEndian.Uint64(wide[:]), nil
}

func (r *cborReader) next() (value, error) {
	key := false
	if r.depth > 0 {
		o := &r.open[r.depth-1]
		key, o.key = o.key, false
	}
	major, info, arg, err := r.head()
	for tags := 0; err == nil && major == cborTag; tags++ {
		if info == 31 || key || tags == maxDepth {
			return value{}, errToken
		}
		major, info, arg, err = r.head()
	}
	if err != nil {
		return value{}, err
	}
	if key && major != cborText {
		return value{}, errToken
	}
	indefinite := info == 31
	switch major {
	case cborUint, cborNegative:
		if indefinite {
			return value{}, errToken
		}
		v := value{kind: kindNumber, number: float64(arg)}
		if major == cborNegative {
			v.number = -1 - v.number
		}
		if arg <= math.MaxInt64 {
			v.whole, v.integral = int64(arg), true
			if major == cborNegative {
				v.whole = -1 - v.whole
			}
		}
		return v, nil
	case cborBytes, cborText:
		p, err := r.bytes(major, indefinite, arg)
		if err != nil {
			return value{}, err
		}
		if major == cborBytes {
			return value{kind: kindBlob, bytes: p}, nil
		}
		return value{kind: kindText, bytes: p}, nil
	case cborArray, cborMap:
		v := value{kind: kindList}
		if major == cborMap {
			v.kind = kindMap
		}
		return v, r.enter(v.kind == kindMap, indefinite, arg)
	}
	return cborSimpleValue(info, arg)
}

// enter opens a list or a map of n elements or pairs.
func (r *cborReader) enter(isMap, indefinite bool, n uint64) error {
	if r.depth == maxDepth {
		return errDepth
	}
	if n > uint64(len(r.body)-r.at) { // each takes a byte at least
		return errEnd
	}
	r.open[r.depth] = cborOpen{left: int(n), indefinite: indefinite, isMap: isMap}
	r.depth++
	return nil
}

// bytes reads the content of a string, whose chunks are joined if its length is indefinite.
func (r *cborReader) bytes(major byte, indefinite bool, n uint64) ([]byte, error) {
	take := func(n uint64) ([]byte, error) {
		if n > uint64(len(r.body)-r.at) {
			return nil, errEnd
		}
		p := r.body[r.at : r.at+int(n)]
		r.at += int(n)
		if major == cborText && !utf8.Valid(p) {
			return nil, errText
		}
		return p, nil
	}
	if !indefinite {
		return take(n)
	}
	r.chunks = r.chunks[:0]
	for {
		if r.at < len(r.body) && r.body[r.at] == cborBreak {
			r.at++
			return r.chunks, nil
		}
		kind, info, n, err := r.head()
		if err != nil {
			return nil, err
		}
		if kind != major || info == 31 {
			return nil, errToken
		}
		p, err := take(n)
		if err != nil {
			return nil, err
		}
		r.chunks = append(r.chunks, p...)
	}
}

func cborSimpleValue(info byte, arg uint64) (value, error) {
	float := func(f float64) (value, error) {
		v := value{kind: kindNumber, number: f}
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			v.whole, v.integral = int64(f), true
		}
		return v, nil
	}
	switch info {
	case 20:
		return value{kind: kindFalse}, nil
	case 21:
		return value{kind: kindTrue}, nil
	case 22, 23: // null, undefined
		return value{kind: kindNull}, nil
	case 25:
		return float(half(uint16(arg)))
	case 26:
		return float(float64(math.Float32frombits(uint32(arg))))
	case 27:
		return float(math.Float64frombits(arg))
	}
	return value{}, errToken
}

// half is the value of a float of 16 bits, RFC 8949 appendix D.
func half(bits uint16) float64 {
	exponent, mantissa := int(bits>>10&0x1f), float64(bits&0x3ff)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(mantissa, -24)
	case 31:
		f = math.Inf(1)
		if mantissa != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(mantissa+1024, exponent-25)
	}
	if bits&0x8000 != 0 {
		f = -f
	}
	return f
}
