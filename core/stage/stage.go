package stage

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// Status is what became of one input record.
type Status uint8

const (
	// OK means that the input became the outputs of its Result, at least one.
	OK Status = iota
	// Unchanged means that the input goes on as it is, without outputs in Output.
	Unchanged
	// Dropped means that the input ends here, on purpose.
	Dropped
	// Failed means that the input could not be transformed.
	Failed
)

// Result is what became of one input record.
type Result struct {
	Status Status
	// Class, Code and Reason say why an input failed.
	Class  fault.Class
	Code   string
	Reason string
	// First and N name the input's outputs: Output.Outs[First : First+N].
	First, N int
}

// Out is one output.
type Out struct {
	// Parent is the index of the input in the batch.
	Parent int
	Key    string
	Data   []byte
	Attrs  record.Attrs
	// Partition holds partition keys by name, for prefixes of object sinks (partitionKeyFromLambda).
	Partition record.Attrs
}

// Bounds of what a chain holds, in bytes. An output counts with its key, its data and outCost.
const (
	// MaxOutput is the most that the outputs of one record of the stream may take in one stage: the 64 MiB that a record can be unpacked
	// to, and an eighth more. A record whose outputs take more fails.
	MaxOutput = 72 << 20
	// partRoom is what a stage's outputs may take before the rest of its input waits: twice their bytes, because the
	// stages after it, or the caller, will copy them. It is far more than what stages make of most batches.
	partRoom = 16 << 20
	// outCost is what an output takes besides its bytes, roughly: an Out, and then the record, its root's id and the
	// result that it becomes in the next stage.
	outCost = 320
)

// Size is what the output counts towards the bounds, in bytes.
func (o *Out) Size() int {
	n := outCost + len(o.Key) + len(o.Data)
	if len(o.Partition) > 0 {
		n += bytesOf(o.Partition)
	}
	return n
}

func bytesOf(attrs record.Attrs) (n int) {
	for i := range attrs {
		n += len(attrs[i].Name) + len(attrs[i].Value)
	}
	return n
}

// Output is what a transform made of a batch. The memory of its outs is the arena's or the input batch's; both live until
// the caller is done with the output.
type Output struct {
	Results []Result
	Outs    []Out
	// Arena owns the memory of outs that does not point into the input.
	Arena *record.Batch

	room    int // 0: there is no bound
	counted int // outs that size is the sum of
	size    int
}

// Full reports whether there is no room for the outputs of more records.
func (o *Output) Full() bool { return o.room > 0 && o.taken() >= o.room }

// taken is what the output takes: its outs, and the arena.
func (o *Output) taken() int {
	if o.counted > len(o.Outs) {
		o.counted, o.size = 0, 0
	}
	for ; o.counted < len(o.Outs); o.counted++ {
		o.size += o.Outs[o.counted].Size()
	}
	return o.size + o.Arena.Held()
}

// Reset prepares o for another batch.
func (o *Output) Reset() {
	clear(o.Results)
	clear(o.Outs)
	o.Results, o.Outs = o.Results[:0], o.Outs[:0]
	o.counted, o.size = 0, 0
	if o.Arena == nil {
		o.Arena = record.NewBatch()
	}
	o.Arena.Reset()
}

// Transform changes records. Apply may be called concurrently; each call has its own in and out. The life of a transform
// is: it is made ready by its own constructor, Apply is called any number of times, and Close once, after the last Apply
// has returned. It does not change in.
type Transform interface {
	// Apply fills out with exactly one result for each record of in. out comes without results and outs and with an arena;
	// Apply allocates from the arena and does not reset it, because it may hold the outs of earlier calls.
	//
	// Outputs can be many times the input, so a transform that makes more bytes than it gets asks [Output.Full] after each record, or
	// after a bounded number of them. Once it is true Apply may return with the results so far, at least one: the chain
	// calls it again with the rest.
	//
	// An error is about the whole batch. If it carries a [fault.Error] of another class than Permanent, the transform cannot
	// work for now, whatever the records, and may say for how long ([Later]); any other error is taken to be caused by one of
	// the records.
	Apply(ctx context.Context, in *record.Batch, out *Output) error
	Close(ctx context.Context) error
}

// Culprit is implemented by errors of Apply that know which record caused them.
type Culprit interface {
	error
	// Record is the index of the record in the batch, or -1. It is a suspicion: the chain lets the record prove it.
	Record() int
}

// Partial is implemented by errors of Apply that come after a part of the work: out then holds the results of the first
// records, and they count.
type Partial interface {
	error
	// Done is how many of the records have their result. Further results, and the outs of those, are ignored.
	Done() int
}

// Tainted is implemented by errors of Apply that may be due to what earlier records left behind in the transform (memory
// that leaked, a table that broke) rather than to those of the call.
type Tainted interface {
	error
	// Tainted is whether earlier records have touched the state that the call ran in.
	Tainted() bool
}

// Later is implemented by errors of Apply that say when a transform that cannot work may be tried again.
type Later interface {
	error
	// Later is how long not to try; the chain may wait for longer.
	Later() time.Duration
}

// Dear is implemented by errors of Apply that may have taken much longer than calls which succeed, as at the end of a time limit. The
// chain then tries the records one by one, rather than to pay that for every half of them that holds the guilty one.
type Dear interface {
	error
	Dear() bool
}

type freshKey struct{}

// Fresh is whether the records of a call of Apply must meet nothing that earlier records have left behind, so that it
// shows what they do by themselves. A transform whose errors are [Tainted] honours it; others need not.
func Fresh(ctx context.Context) bool { return ctx.Value(freshKey{}) != nil }

// WithFresh returns the context of a call for which [Fresh] is true.
func WithFresh(ctx context.Context) context.Context { return context.WithValue(ctx, freshKey{}, true) }

// Policy is what happens to a record that a stage fails.
type Policy string

const (
	DeadLetter Policy = "dead_letter"
	Drop       Policy = "drop"
	Stop       Policy = "stop"
)
