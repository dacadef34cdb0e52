package abi

import "strconv"

// Source is where the bytes of a field are.
type Source uint8

const (
	InFrame Source = iota // in the OUTPUT frame
	InData                // in the data of the parent record
	InKey                 // in the key of the parent record
	InAttrs               // the attributes of the parent record, all of them
)

// Field is a run of bytes: Len of them from Off on, counted from the start of their source.
type Field struct {
	Source   Source
	Off, Len uint32
}

// Result is what became of record i.
type Result struct {
	Status   Status
	First, N int
}

// Out is one output.
type Out struct {
	Parent           int
	Data, Key, Attrs Field
	// Partition is a block for [DecodeAttrs], in the OUTPUT frame.
	Partition Field
}

// Output is a decoded OUTPUT frame.
type Output struct {
	frame          []byte
	layout         *Layout
	results, outs  int
	nResult, nOuts int
}

// Decode checks the OUTPUT frame that answers the INPUT frame laid out as l. The Output refers to frame and to l.
func (l *Layout) Decode(frame []byte) (Output, error) {
	switch {
	case len(frame) < HeaderSize:
		return Output{}, header("a frame of " + itoa(len(frame)) + " bytes is shorter than its header")
	case string(frame[:4]) != MagicOutput:
		return Output{}, header("the magic is " + strconv.Quote(string(frame[:4])) + ", not " + MagicOutput)
	case le.Uint16(frame[4:]) != Version:
		return Output{}, header("version " + itoa(le.Uint16(frame[4:])) + " is unknown")
	}
	size, first := uint64(len(frame)), uint64(le.Uint16(frame[6:]))
	inCount, outCount := uint64(le.Uint32(frame[8:])), uint64(le.Uint32(frame[12:]))
	results, outs := uint64(le.Uint32(frame[16:])), uint64(le.Uint32(frame[20:]))
	resultsEnd, outsEnd := results+ResultSize*inCount, outs+OutSize*outCount
	switch {
	case first < HeaderSize || first%8 != 0 || first > size:
		return Output{}, header("its length is " + itoa(first))
	case inCount != uint64(len(l.Spans)):
		return Output{}, header(itoa(inCount) + " results for " + itoa(len(l.Spans)) + " records")
	case results%8 != 0 || results < first || resultsEnd > size:
		return Output{}, header("the results lie at " + itoa(results) + ", outside the frame or not at a multiple of 8")
	case outCount > 0 && (outs%8 != 0 || outs < first || outsEnd > size):
		return Output{}, header("the outs lie at " + itoa(outs) + ", outside the frame or not at a multiple of 8")
	case outCount > 0 && results < outsEnd && outs < resultsEnd:
		return Output{}, header("the results and the outs overlap")
	}
	o := Output{frame, l, int(results), int(outs), int(inCount), int(outCount)}
	c := checker{o: &o, first: first, results: results, resultsEnd: resultsEnd, outs: outs, outsEnd: outsEnd}
	named := 0
	for i := range o.nResult {
		n, err := c.result(i)
		if err != nil {
			return Output{}, err
		}
		named += n
	}
	if named != o.nOuts {
		return Output{}, header("the results name " + itoa(named) + " of " + itoa(o.nOuts) + " outs")
	}
	return o, nil
}

// checker checks the entries of an OUTPUT frame whose tables are known to lie in it.
type checker struct {
	o                   *Output
	first               uint64
	results, resultsEnd uint64
	outs, outsEnd       uint64
	// named is how much the outs have named so far, in bytes.
	named uint64
}

// free reports whether a field lies in the frame and outside its header and tables. A field without bytes lies anywhere.
func (c *checker) free(off, n uint32) bool {
	if n == 0 {
		return true
	}
	from, to := uint64(off), uint64(off)+uint64(n)
	return within(off, n, c.first, uint64(len(c.o.frame))) &&
		(to <= c.results || from >= c.resultsEnd) && (to <= c.outs || from >= c.outsEnd)
}

// result checks result i and the outs it names, and returns their number.
func (c *checker) result(i int) (int, error) {
	bad := func(what string) (int, error) { return 0, &FrameError{"result", i, what} }
	e := c.o.frame[c.o.results+ResultSize*i:][:ResultSize]
	status, first, n := Status(e[0]), uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:]))
	switch {
	case status > Failed:
		return bad("status " + itoa(e[0]) + " is unknown")
	case e[1] > MaxClass:
		return bad("class " + itoa(e[1]) + " is unknown")
	case le.Uint16(e[2:]) != 0:
		return bad("flags " + itoa(le.Uint16(e[2:])) + " are unknown")
	case status == Failed && (!c.free(le.Uint32(e[12:]), uint32(le.Uint16(e[16:]))) ||
		!c.free(le.Uint32(e[20:]), uint32(le.Uint16(e[18:])))):
		return bad("its code or reason lies outside the frame or in a table")
	case status != OK && n != 0:
		return bad("it is not ok and names outs")
	case status != OK:
		return 0, nil
	case n == 0:
		return bad("it is ok and names no out")
	case first+n > uint64(c.o.nOuts):
		return bad("it names outs " + itoa(first) + " to " + itoa(first+n) + " of " + itoa(c.o.nOuts))
	}
	for j := int(first); j < int(first+n); j++ {
		if err := c.out(j, i); err != nil {
			return 0, err
		}
	}
	return int(n), nil
}

// out checks out j of record parent.
func (c *checker) out(j, parent int) error {
	bad := func(what string) error { return &FrameError{"out", j, what} }
	e := c.o.frame[c.o.outs+OutSize*j:][:OutSize]
	flags := le.Uint32(e)
	if flags > DataInInput|KeyInInput|AttrsInInput {
		return bad("flags " + itoa(flags) + " are unknown")
	}
	if le.Uint32(e[4:]) != uint32(parent) {
		return bad("its parent is " + itoa(le.Uint32(e[4:])) + ", and record " + itoa(parent) + " names it")
	}
	if le.Uint64(e[40:]) != 0 {
		return bad("it sets a reserved field")
	}
	for k, name := range [...]string{"data", "key", "attrs", "partition"} {
		off, n := le.Uint32(e[8+8*k:]), le.Uint32(e[12+8*k:])
		weight := uint64(1)
		if flags&(1<<k) != 0 {
			if _, ok := c.o.layout.Spans[parent].field(off, n, k == 2); !ok {
				return bad("its " + name + " does not lie in its record in the INPUT frame")
			}
		} else if !c.free(off, n) {
			return bad("its " + name + " lies outside the frame or in a table")
		} else if k >= 2 && n > 0 { // one without bytes lies anywhere
			weight = attrsWeight
		}
		if c.named += weight * uint64(n); c.named > MaxNamed {
			return bad("with those before it, it names more than " + itoa(MaxNamed) + " bytes: what outs share counts for each, attributes four times")
		}
		if weight == attrsWeight {
			if err := checkAttrs(c.o.frame[off : off+n]); err != nil {
				return bad("its " + name + ": " + err.Error())
			}
		}
	}
	return nil
}

// field says which field of the record the range lies in. Attributes are taken as a whole or not at all.
func (s Span) field(off, n uint32, attrs bool) (Field, bool) {
	end := uint64(off) + uint64(n)
	switch {
	case attrs:
		return Field{InAttrs, 0, n}, off == s.Attrs && end == uint64(s.End)
	case off >= s.Data && end <= uint64(s.DataEnd):
		return Field{InData, off - s.Data, n}, true
	case off >= s.Key && end <= uint64(s.Attrs):
		return Field{InKey, off - s.Key, n}, true
	}
	return Field{}, false
}

// Len is the number of results, Outs that of outputs.
func (o *Output) Len() int  { return o.nResult }
func (o *Output) Outs() int { return o.nOuts }

// Moved says that frame, a copy of the frame that was decoded, takes its place.
func (o *Output) Moved(frame []byte) { o.frame = frame }

// Bytes returns the bytes of a field that is InFrame. They share the frame's memory.
func (o *Output) Bytes(f Field) []byte {
	if f.Len == 0 {
		return nil
	}
	return o.frame[f.Off : f.Off+f.Len : f.Off+f.Len]
}

// Result returns the result of record i.
func (o *Output) Result(i int) Result {
	e := o.frame[o.results+ResultSize*i:][:ResultSize]
	if Status(e[0]) != OK {
		return Result{Status: Status(e[0])}
	}
	return Result{OK, int(le.Uint32(e[4:])), int(le.Uint32(e[8:]))}
}

// Failure says why record i failed. Code and reason share the frame's memory.
func (o *Output) Failure(i int) (class uint8, code, reason []byte) {
	e := o.frame[o.results+ResultSize*i:][:ResultSize]
	code = o.Bytes(Field{InFrame, le.Uint32(e[12:]), uint32(le.Uint16(e[16:]))})
	reason = o.Bytes(Field{InFrame, le.Uint32(e[20:]), uint32(le.Uint16(e[18:]))})
	return e[1], code, reason
}

// Out returns output j.
func (o *Output) Out(j int) Out {
	e := o.frame[o.outs+OutSize*j:][:OutSize]
	out := Out{Parent: int(le.Uint32(e[4:]))}
	flags, span := le.Uint32(e), o.layout.Spans[out.Parent]
	for k, f := range [...]*Field{&out.Data, &out.Key, &out.Attrs, &out.Partition} {
		off, n := le.Uint32(e[8+8*k:]), le.Uint32(e[12+8*k:])
		*f = Field{InFrame, off, n}
		if flags&(1<<k) != 0 {
			*f, _ = span.field(off, n, k == 2)
		}
	}
	return out
}
