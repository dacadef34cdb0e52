package leat

import (
	"errors"
	"runtime"
	"strconv"
	"strings"

	"github.com/leatstream/leat/transforms/wasm/abi"
)

// Codes of records that fail without the transform's asking for it.
const (
	codePanic     = "transform.panic"
	codeBadResult = "transform.bad_result"
)

const permanent = 4 // class of failures

// guest is the module's state between calls. A module runs on one thread.
type guest struct {
	fn        func(*guest)
	configure func(envelope []byte) error

	in    abi.Input
	w     abi.OutputWriter
	text  []byte // keys and attributes of the batch
	recs  []Record
	attrs []Attr
	part  []Attr
}

var self guest

// setUp takes the JSON of leat_configure.
func (g *guest) setUp(envelope []byte) error {
	if g.fn == nil {
		return errors.New("the module registers no transform: call leat.Each in func init")
	}
	if g.configure != nil {
		return g.configure(envelope)
	}
	if !strings.HasPrefix(string(envelope[:min(len(envelope), 32)]), `{"config":null,`) {
		return errors.New("this transform takes no config")
	}
	return nil
}

// process answers an INPUT frame. The answer is valid until the next call.
func (g *guest) process(frame []byte) ([]byte, error) {
	in, err := abi.DecodeInput(frame)
	if err != nil {
		return nil, err
	}
	g.in = in
	if err := g.read(); err != nil {
		return nil, err
	}
	g.w.Reset(in)
	g.fn(g)
	return g.w.Finish(), nil
}

// read fills g.recs. Keys and attributes are copied, all in one piece, so that a transform may keep them.
func (g *guest) read() error {
	g.text = g.text[:0]
	for i := range g.in.Len() {
		g.text = append(g.text, g.in.Key(i)...)
		g.text = append(g.text, g.in.Attrs(i)...)
	}
	text := string(g.text)
	g.recs, g.attrs = g.recs[:0], g.attrs[:0]
	for i := range g.in.Len() {
		id, key, attrs := g.in.Ident(i), len(g.in.Key(i)), len(g.in.Attrs(i))
		r := Record{Data: g.in.Data(i), Key: text[:key], Shard: id.Shard, Seq: id.Seq, Sub: id.Sub, Arrived: id.Arrived}
		if attrs > 0 {
			from := len(g.attrs)
			var err error
			if g.attrs, err = abi.DecodeAttrs(g.attrs, text[key:key+attrs]); err != nil {
				return err
			}
			r.Attrs = g.attrs[from:len(g.attrs):len(g.attrs)]
		}
		text = text[key+attrs:]
		g.recs = append(g.recs, r)
	}
	return nil
}

// each runs fn over the records that have no result yet. It ends early after a panic, whose record has failed then: one
// deferred call serves all records, because a deferred call for each is dear.
func (g *guest) each(fn func(Record) Result) {
	first := g.w.Outs()
	defer func() {
		if p := recover(); p != nil {
			g.w.Truncate(first)
			g.w.Result(abi.Failed, permanent, first, codePanic, panicText(p))
		}
	}()
	for _, r := range g.recs[g.w.Done():] {
		first = g.w.Outs()
		result := fn(r)
		g.put(&result)
	}
}

func (g *guest) batch(fn func([]Record) []Result) {
	results := fn(g.recs)
	if len(results) != len(g.recs) {
		panic("the function of leat.Batch returned " + strconv.Itoa(len(results)) + " results for " + strconv.Itoa(len(g.recs)) + " records")
	}
	for i := range results {
		g.put(&results[i])
	}
}

// put writes the result of the next record.
func (g *guest) put(r *Result) {
	first := g.w.Outs()
	switch r.kind {
	case keep, data:
		if r.kind == keep && r.key == "" && r.part == (Attr{}) {
			g.w.Result(abi.Unchanged, 0, first, "", "")
			return
		}
		g.part = g.part[:0]
		if r.part != (Attr{}) {
			g.part = append(append(g.part, r.part), r.more...)
		}
		if !g.w.Out(r.data, r.kind == keep, r.key, r.key == "", nil, true, g.part) {
			g.badAttributes(first)
			return
		}
	case emit:
		for i := range r.outs {
			o := &r.outs[i]
			if !g.w.Out(o.Data, false, o.Key, o.Key == "", o.Attrs, o.Attrs == nil, o.Partition) {
				g.badAttributes(first)
				return
			}
		}
	case drop:
		g.w.Result(abi.Dropped, 0, first, "", "")
		return
	case fail:
		g.w.Result(abi.Failed, permanent, first, r.code, r.reason)
		return
	default:
		g.w.Result(abi.Failed, permanent, first, codeBadResult, "the transform returned an empty Result; use leat.Keep, Data, Emit, Drop or Fail")
		return
	}
	g.w.Result(abi.OK, 0, first, "", "")
}

func (g *guest) badAttributes(first int) {
	g.w.Truncate(first)
	g.w.Result(abi.Failed, permanent, first, codeBadResult, "attributes or partition keys are too many, or a name is longer than 65,535 bytes")
}

// panicText says what a panic was about and where in the transform it happened.
func panicText(p any) string {
	text := "panic"
	switch v := p.(type) {
	case error:
		text = "panic: " + v.Error()
	case string:
		text = "panic: " + v
	case interface{ String() string }:
		text = "panic: " + v.String()
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") && !strings.Contains(f.Function, "sdk/go.") {
			return text + " (in " + f.Function + ", " + f.File[strings.LastIndexByte(f.File, '/')+1:] + ":" + strconv.Itoa(f.Line) + ")"
		}
		if !more {
			return text
		}
	}
}
