package delivery

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/delivery/internal/seams"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// Bounds and defaults. Sizes are bytes.
const (
	MinBufferSize     = 1 << 20
	MaxBufferSize     = 128 << 20
	MaxBufferInterval = 900 * time.Second
	DefaultMemory     = 64 << 20
	// DefaultCovered bounds the set of covered positions above the checkpoints; stored, where it takes less than in memory,
	// it must fit a transaction of core/state.
	DefaultCovered = 32 << 20
	// DefaultGrace is how long puts under way may take after a stop.
	DefaultGrace = 20 * time.Second

	// zeroInterval is what a buffer interval of 0 means: deliver within seconds, but not an object a record.
	zeroInterval = time.Second
	// maxPending bounds the sealed objects that wait for their put; beyond it nothing is collected.
	maxPending = 64
	// maxSpooled bounds their bytes on disk.
	maxSpooled = 1 << 30
	// bufferCost is what an open buffer takes in memory besides its bytes (positions, checksums, names), roughly: there are
	// at most Memory/bufferCost of them, and at least minOpen.
	bufferCost = 8 << 10
	minOpen    = 64
	// maxOpenSpool bounds what open buffers take on disk.
	maxOpenSpool = 8 << 30
	// scanRecords and scanBytes bound the batches that travel through a delivery.
	scanRecords = 4000
	scanBytes   = 512 << 10
)

// Source is the stream that a delivery reads.
type Source struct {
	// Name of the stream, for messages.
	Name string
	// Incarnation is the stream's own id: a stream deleted and created again has another, and a delivery starts anew.
	Incarnation string
	Log         shardlog.Log
	// SequenceNumber renders a position as the stream's API does, for dead letters.
	SequenceNumber func(r *record.Record) string
}

// From says where a delivery starts on a stream it has never read.
type From struct {
	Latest bool      // only what arrives from now on
	At     time.Time // if not zero: what arrived at or after it
}

// Layout groups outputs into objects and names these. Its methods are called concurrently.
type Layout interface {
	// Group appends to dst the identity of the group that an output belongs to. Outputs with the same identity share
	// objects. An error (a value is missing, a prefix would be too long) sends the input to the dead letters.
	Group(dst []byte, out *stage.Out) ([]byte, error)
	// Prefix returns what the key of an object of a group begins with, when its oldest record arrived at at. It does not
	// fail for a group that Group returned; if it does, the delivery ends.
	Prefix(group string, at time.Time) (string, error)
}

// DeadLetters is where inputs go that cannot be delivered.
type DeadLetters struct {
	Sink Sink
	// Prefix returns what the keys of the objects begin with, for one kind of error (processing-failed, …).
	Prefix      func(errorType string, at time.Time) (string, error)
	Compression codec.Compression
}

// Retry says how often a failing put is tried.
type Retry struct {
	// For is how long an object is tried, from its first put in this run; then it goes to the dead letters as it is. Time
	// in which nobody tried, because leat was down or other objects were before it, does not count. 0: for ever.
	For time.Duration
	// Initial and Max bound the pause between two tries: it doubles from Initial to Max, with full jitter.
	Initial, Max time.Duration
}

// Config describes a delivery. Fields without a comment on their zero value are required.
type Config struct {
	Pipeline string
	// Name of the sink within the pipeline.
	Name   string
	Source Source
	From   From
	Chain  *stage.Chain
	Layout Layout
	Format codec.Format

	Compression codec.Compression
	// Extension ends the objects' keys; empty takes the compression's.
	Extension string

	Sink Sink
	// Open opens a sink for objects that were sealed for another destination than Sink's; nil: they wait.
	Open        func(Destination) (Sink, error)
	DeadLetters DeadLetters

	// BufferSize is the most that an object has before compression, in bytes, MinBufferSize to MaxBufferSize. It is sealed
	// as soon as what comes next (a record, or up to 256 KiB of them that are compressed together) does not fit; a larger
	// record is an object of its own.
	BufferSize int64
	// BufferInterval is how long the first record of an object waits at most, 0 to MaxBufferInterval.
	BufferInterval time.Duration
	Retry          Retry
	// Memory bounds the buffers, in bytes; 0 is DefaultMemory. Batches in flight come on top: 2*Workers+4 of up to 3 MiB, or of a
	// record that is larger, and for each worker 16 MiB, or what the largest record becomes, for each stage and for the outputs.
	Memory int64
	// Covered bounds the set of covered positions in memory, in bytes; 0 is DefaultCovered.
	Covered int64
	// Workers transform and compress; 0 is one for each processor.
	Workers int
	// Uploads is the number of concurrent puts; 0 is 4.
	Uploads int
	// Grace is how long puts under way may take after a stop; 0 is DefaultGrace.
	Grace time.Duration

	FS vfs.FS
	// Spool is the directory of this delivery's spool files; nothing else may be in it.
	Spool string
	State *state.Store

	Logger   *slog.Logger // nil: discards
	Observer Observer     // nil: nobody

	// Seams are for tests of this package.
	Seams seams.Seams
}

func (c *Config) setDefaults() {
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Covered == 0 {
		c.Covered = DefaultCovered
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Uploads == 0 {
		c.Uploads = 4
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Retry.Initial == 0 {
		c.Retry.Initial = 200 * time.Millisecond
	}
	if c.Retry.Max == 0 {
		c.Retry.Max = 30 * time.Second
	}
	if c.Extension == "" && c.Compression != nil {
		c.Extension = c.Compression.Extension()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	if c.Source.SequenceNumber == nil {
		c.Source.SequenceNumber = func(r *record.Record) string { return fmt.Sprint(r.Seq) }
	}
}

// Validate reports the first setting that is missing or out of range.
func (c *Config) Validate() error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Permanent, "delivery.bad_config", "delivery %s/%s: "+format,
			append([]any{c.Pipeline, c.Name}, args...)...)
	}
	switch {
	case c.Pipeline == "" || c.Name == "":
		return bad("pipeline and sink need a name")
	case c.Source.Log == nil || c.Source.Incarnation == "":
		return bad("no source stream")
	case c.Chain == nil || c.Layout == nil || c.Format == nil || c.Compression == nil || c.Sink == nil:
		return bad("chain, layout, format, compression and sink are required")
	case c.DeadLetters.Sink == nil || c.DeadLetters.Prefix == nil || c.DeadLetters.Compression == nil:
		return bad("a place for dead letters is required")
	case c.FS == nil || c.Spool == "" || c.State == nil:
		return bad("file system, spool directory and state are required")
	case c.BufferSize < MinBufferSize || c.BufferSize > MaxBufferSize:
		return bad("buffer size is %d bytes, want %d to %d", c.BufferSize, MinBufferSize, MaxBufferSize)
	case c.BufferInterval < 0 || c.BufferInterval > MaxBufferInterval:
		return bad("buffer interval is %s, want 0s to %s", c.BufferInterval, MaxBufferInterval)
	case c.Memory < 0 || c.Covered < 0 || c.Workers < 0 || c.Uploads < 0:
		return bad("memory, covered, workers and uploads cannot be negative")
	case c.Retry.For < 0 || c.Retry.Initial < 0 || c.Retry.Max < 0:
		return bad("retry times cannot be negative")
	}
	return nil
}
