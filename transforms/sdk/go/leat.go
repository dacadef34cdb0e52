// Package leat is the SDK for transforms written in Go. A transform is a function from a record to a result:
//
//	package main
//
//	import (
//		"bytes"
//
//		leat "github.com/leatstream/leat/transforms/sdk/go"
//	)
//
//	func init() {
//		leat.Each(func(r leat.Record) leat.Result {
//			return leat.Data(bytes.ToUpper(r.Data))
//		})
//	}
//
//	func main() {}
//
// leat builds a folder of such source by itself. By hand:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o upper.wasm .
//
// encoding/json works in a module, but is slow there; package leatjson reads and changes JSON records for a twentieth of its time.
//
// The package compiles for every platform, so that a transform's tests are ordinary Go tests; [Test] runs records through it.
// What a transform keeps in variables stays between calls, but leat runs several instances, each with its own.
package leat

import (
	"time"

	"github.com/leatstream/leat/transforms/wasm/abi"
)

// Attr is a named value.
type Attr = abi.Attr

// Record is one record of a stream, or an output of the stage before.
type Record struct {
	// Data is the payload. Its memory is used again after the function has returned: copy what is to stay.
	Data []byte
	// Key is the partition key.
	Key string
	// Attrs are small named values that travel with the record. The slice is used again; its strings are not.
	Attrs []Attr
	// Shard, Seq and Sub identify the record: Seq is its position in the shard, Sub which output of an earlier stage it is.
	Shard uint32
	Seq   uint64
	Sub   uint32
	// Arrived is when the stream got the record, in nanoseconds since the Unix epoch.
	Arrived int64
}

// Time returns Arrived as a time in UTC.
func (r Record) Time() time.Time { return time.Unix(0, r.Arrived).UTC() }

// Out is one output.
type Out struct {
	Data []byte
	// Key is the partition key; empty is that of the record.
	Key string
	// Attrs replace those of the record, unless nil.
	Attrs []Attr
	// Partition holds values for !{partitionKeyFromLambda:name} in the prefix of a sink.
	Partition []Attr
}

type kind uint8

const (
	invalid kind = iota
	keep
	data
	drop
	fail
	emit
)

// Result is what becomes of a record: one of [Keep], [Data], [Emit], [Drop] and [Fail].
type Result struct {
	kind kind
	data []byte
	key  string
	// part is the first partition key, inline because there is seldom another.
	part Attr
	more []Attr
	outs []Out
	// code and reason of a failure
	code, reason string
}

// Keep passes the record on as it came, whatever has been written to its Data.
func Keep() Result { return Result{kind: keep} }

// Data replaces the record's data. leat copies b when the function returns, so b may be a buffer that the next call uses
// again.
func Data(b []byte) Result { return Result{kind: data, data: b} }

// Drop ends the record here: it is not delivered, and that is not an error.
func Drop() Result { return Result{kind: drop} }

// Fail sends the record to the dead letters. code is for programs: lower case, words joined by dots and underscores, such
// as csv.too_few_fields. reason is a sentence for people.
func Fail(code, reason string) Result { return Result{kind: fail, code: code, reason: reason} }

// Emit replaces the record by several; none drops it. leat copies them when the function returns.
func Emit(outs ...Out) Result {
	if len(outs) == 0 {
		return Drop()
	}
	return Result{kind: emit, outs: outs}
}

// WithPartition adds a value for !{partitionKeyFromLambda:name} in the prefix of a sink; name is not empty. It applies to Keep and Data; an Out
// has its own.
func (r Result) WithPartition(name, value string) Result {
	if r.part.Name == "" {
		r.part = Attr{Name: name, Value: value}
	} else {
		r.more = append(r.more[:len(r.more):len(r.more)], Attr{Name: name, Value: value})
	}
	return r
}

// WithKey replaces the partition key. It applies to Keep and Data.
func (r Result) WithKey(key string) Result {
	r.key = key
	return r
}

// Each registers the transform, record by record. Call it once, in init or in a variable's initializer.
//
// If fn panics, its record fails with the code transform.panic, and the others go on.
func Each(fn func(Record) Result) {
	register(func(g *guest) {
		for g.w.Done() < g.in.Len() {
			g.each(fn)
		}
	})
}

// Batch registers the transform, batch by batch: up to 500 records and 512 KiB, or one larger record. fn returns one result
// for each record, in order; what results refer to stays untouched until fn has returned. Call it once, in init or in a
// variable's initializer.
//
// If fn panics, leat finds the guilty record by calling it with fewer.
func Batch(fn func([]Record) []Result) {
	register(func(g *guest) { g.batch(fn) })
}

func register(fn func(*guest)) {
	if self.fn != nil {
		panic("leat.Each or leat.Batch was called twice: a module is one transform")
	}
	self.fn = fn
}

// Level is the importance of a log line.
type Level int32

const (
	Debug Level = -4
	Info  Level = 0
	Warn  Level = 4
	Error Level = 8
)

// Log writes a line to leat's log. Lines are limited in number, so log what is rare.
func Log(level Level, line string) { hostLog(level, line) }

// Count adds n to one of the transform's counters, which is the metric leat_transform_count{name="…"}. There may be 256 names.
func Count(name string, n int64) { hostCount(name, n) }
