// Package delivery carries a stream's records to one sink: collect, seal, put, commit.
//
// See doc.go for the guarantees and the durable state.
package delivery

import (
	"context"
	"encoding/json"
	"io"

	"github.com/leatstream/leat/core/fault"
)

// Chunk is one sealed object: bytes that do not change, under a key that does not change, however often it is put.
type Chunk struct {
	// ID is unique for ever and is part of Key. A store can compare it (object metadata) to recognize its own earlier put.
	ID string
	// Key is the object's key: UTF-8, at most 1024 bytes, with / as separator, without . and .. segments, not absolute.
	Key string
	// Size is the body's length in bytes, as stored.
	Size int64
	// SHA256 of the body.
	SHA256 [32]byte
	// Records is the number of output records in the body.
	Records int
	// ContentType and ContentEncoding describe the body as HTTP does; either may be empty.
	ContentType     string
	ContentEncoding string
	// Open returns the body from its start. The caller closes it. It may be opened several times, also concurrently.
	Open func() (Body, error)
}

// Body is a chunk's content.
type Body interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

// Sink delivers chunks. Put may be called concurrently, for different chunks.
//
// The contract of Put: nil means that all of the chunk is durable at the destination. An error
// means that nothing is known about it: the caller puts the same chunk again, and the sink must then succeed whether or
// not an earlier put took effect, without a second copy. Errors carry a class (package fault): Permanent means that
// this chunk can never be delivered. Put returns soon after ctx is done.
type Sink interface {
	Put(ctx context.Context, c *Chunk) error
	Close(ctx context.Context) error
}

// Destination is where a sink delivers to, without secrets: enough to open a sink there again when the pipeline file
// has changed while chunks were pending.
type Destination struct {
	Kind   string          `json:"kind"`
	Config json.RawMessage `json:"config"`
}

// Destiner is implemented by sinks that can tell their destination; every object sink does.
type Destiner interface{ Destination() Destination }

// Prober is implemented by sinks that can check, without delivering anything, that deliveries would work. An error of the class
// Unauthorized or Permanent says that none will until a person acts; any other, that they may later.
type Prober interface {
	Probe(ctx context.Context) error
}

// Starter is implemented by sinks that clean up what a crash left behind (half-written files, multipart uploads). pending
// reports whether a chunk id will be put again. It is called before the first Put.
type Starter interface {
	Start(ctx context.Context, pending func(id string) bool) error
}

// Codes of errors of Put that stop a delivery.
const (
	CodeConflict    = "sink.conflict"     // the key holds an object of somebody else
	CodeBodyChanged = "sink.body_changed" // the body is not what its size and SHA-256 say
)

// ConflictError is returned when the key holds an object with another id: somebody else writes there. It is permanent.
func ConflictError(sink, key, found, want string) error {
	return fault.New(fault.Permanent, CodeConflict,
		"%s: %s already holds an object of somebody else (id %q, not %q)", sink, key, found, want).
		WithHint("let no other program write below this prefix")
}
