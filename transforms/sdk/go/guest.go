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

// noRecord is the cursor while no single record is in work.
const noRecord = ^uint32(0)

// guest is the module's state between calls. A module runs on one thread.
type guest struct {
	fn        func(*guest)
	configure func(envelope []byte) error

	in    abi.Input
	w     abi.OutputWriter
	texts abi.Texts
	// cursor is the index of the record in work, which the host reads after a trap.
	cursor uint32
	// Scratch, used again for every record or batch.
	rec   abi.Record
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
func (g *guest) process(frame []byte) (answer []byte, err error) {
	if g.in, err = abi.DecodeInput(frame); err != nil {
		return nil, err
	}
	g.texts = g.in.Texts()
	g.attrs = g.attrs[:0]
	g.w.Reset(&g.in)
	g.cursor = noRecord
	g.fn(g)
	return g.w.Finish(), nil
}

// read fills r with record i. Its strings are the transform's to keep.
func (g *guest) read(i int, r *Record) {
	block := g.in.Read(i, &g.texts, &g.rec)
	r.Data, r.Key, r.Attrs = g.rec.Data, g.rec.Key, nil
	r.Shard, r.Seq, r.Sub, r.Arrived = g.rec.Shard, g.rec.Seq, g.rec.Sub, g.rec.Arrived
	if block != "" {
		from := len(g.attrs)
		g.attrs, _ = abi.DecodeAttrs(g.attrs, block) // DecodeInput has checked the block
		r.Attrs = g.attrs[from:len(g.attrs):len(g.attrs)]
	}
}

// each runs fn over the records that have no result yet. It ends early after a panic, whose record has failed then: one
// deferred call serves all records, because a deferred call for each is dear.
func (g *guest) each(fn func(Record) Result) {
	first := 0
	defer func() {
		if p := recover(); p != nil {
			g.w.Fail(permanent, first, codePanic, panicText(p))
		}
	}()
	var r Record
	for i := g.w.Done(); i < g.in.Len(); i++ {
		first = g.w.Outs()
		g.attrs = g.attrs[:0]
		g.read(i, &r)
		g.cursor = uint32(i)
		result := fn(r)
		g.put(&result)
	}
}

func (g *guest) batch(fn func([]Record) []Result) {
	g.recs = g.recs[:0]
	for i := range g.in.Len() {
		var r Record
		g.read(i, &r)
		g.recs = append(g.recs, r)
	}
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
		if r.kind == keep && r.key == "" && r.part.Name == "" {
			g.w.Result(abi.Unchanged, first)
			return
		}
		if r.kind == data && r.key == "" && r.part.Name == "" {
			g.w.Data(r.data)
			return
		}
		g.part = g.part[:0]
		if r.part.Name != "" {
			g.part = append(append(g.part, r.part), r.more...)
		}
		if !g.w.Out(&abi.NewOut{
			Data: r.data, KeepData: r.kind == keep, Key: r.key, KeepKey: r.key == "", KeepAttrs: true, Partition: g.part,
		}) {
			g.badAttributes(first)
			return
		}
		g.w.Result(abi.OK, first)
	case emit:
		for i := range r.outs {
			o := &r.outs[i]
			if !g.w.Out(&abi.NewOut{
				Data: o.Data, Key: o.Key, KeepKey: o.Key == "", Attrs: o.Attrs, KeepAttrs: o.Attrs == nil, Partition: o.Partition,
			}) {
				g.badAttributes(first)
				return
			}
		}
		g.w.Result(abi.OK, first)
	case drop:
		g.w.Result(abi.Dropped, first)
	case fail:
		g.w.Fail(permanent, first, r.code, r.reason)
	default:
		g.w.Fail(permanent, first, codeBadResult, "the transform returned an empty Result; use leat.Keep, Data, Emit, Drop or Fail")
	}
}

func (g *guest) badAttributes(first int) {
	g.w.Fail(permanent, first, codeBadResult, "attributes or partition keys are too many, or a name is longer than 65,535 bytes")
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
