package wire

// Limits of bodies, so that a small one cannot become large in memory or deep on the stack.
const (
	// maxDepth is how deep lists and structures nest; the deepest shape of the APIs has 10 levels.
	maxDepth = 32
	// maxElements is how many elements a list or a map may have; the longest list that an API allows has 500.
	maxElements = 10_000
)

// kind is what a value in a body is.
type kind uint8

const (
	kindNull kind = iota
	kindFalse
	kindTrue
	kindNumber
	kindText
	kindBlob // of CBOR; in JSON blobs are texts
	kindList
	kindMap
)

// value is a scalar, or the head of a list or a map.
type value struct {
	kind kind
	// bytes of a text or blob. They are valid until the next value is read.
	bytes []byte
	// number is the value of a number; whole is the same, if integral and no smaller or larger than an int64.
	number   float64
	whole    int64
	integral bool
}

// reader reads a body value by value, in either format. After the head of a list, each element follows more; after that of
// a map, each key, which is a text, and its value follow more.
type reader interface {
	next() (value, error)
	// more reports whether the innermost open list or map has another element; otherwise it has been closed.
	more() (bool, error)
	// end is an error unless the body ends here.
	end() error
	// milliseconds is how many a timestamp's unit is.
	milliseconds() float64
}

var (
	errEnd      error = SerializationError("Unexpected end of the body")
	errToken    error = SerializationError("Unexpected token in the body")
	errDepth    error = SerializationError("Nested too deep")
	errElements error = SerializationError("Too many elements")
	errText     error = SerializationError("Text that is not UTF-8")
)

// skip reads past the next value and all that is in it.
func skip(r reader) error {
	v, err := r.next()
	if err != nil || v.kind != kindList && v.kind != kindMap {
		return err
	}
	for {
		switch ok, err := r.more(); {
		case err != nil:
			return err
		case !ok:
			return nil
		}
		if v.kind == kindMap {
			if _, err := r.next(); err != nil {
				return err
			}
		}
		if err := skip(r); err != nil { // as deep as maxDepth
			return err
		}
	}
}
