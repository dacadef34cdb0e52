// Package wire speaks the protocols of AWS services: AWS JSON 1.1 and CBOR 1.1 over HTTP/1.1 and HTTP/2, and event streams.
// It knows no service: a [Service] is a prefix of X-Amz-Target and a handler for each operation.
//
// A request's way: host and origin are checked, the target is looked up, the signature is parsed, the body is read within the
// limits, [Config].Verify is asked, and the handler decodes the body with [Request.Decode]. The answer has the request's own
// content type, errors too.
//
// Facts of the protocols that no specification has, such as the texts of errors, are what the service has been seen to answer.
// The Java SDKs speak CBOR, but for event streams, which they ask for in JSON.
package wire

import (
	"context"
	"net/http"
)

// Format is how bodies are written.
type Format uint8

const (
	// JSON is application/x-amz-json-1.1: blobs are base64, timestamps are seconds since the Unix epoch with a fraction.
	JSON Format = iota
	// CBOR is application/x-amz-cbor-1.1: blobs are byte strings, timestamps are milliseconds since the Unix epoch with tag 1,
	// as the Java SDKs write and want them (RFC 8949 has seconds there).
	CBOR
)

// Handler answers one request. out is nil for an empty body, an [*EventStream], a type that writes itself ([Appender]), or
// a pointer to a struct with json tags. Errors that are not an [*Error] are answered as internal failures, or with the status
// 503 if they are fault.Unavailable, and logged.
type Handler func(ctx context.Context, r *Request) (out any, err error)

// Service is an API.
type Service struct {
	// Target is what X-Amz-Target begins with, before the dot: "Kinesis_20131202".
	Target string
	// Operations by name.
	Operations map[string]Handler
}

// Request is a request whose body has been read.
type Request struct {
	// Operation is its name.
	Operation string
	// ID is the request id of the answer.
	ID     string
	Format Format
	// Body is valid until the answer has been written, but of an event stream only until the handler returns.
	Body []byte
	// Signature says who signed it, as far as that is known without a key.
	Signature Signature
	// HTTP is the request below, for its context and remote address. Its body has been read.
	HTTP *http.Request
}

// Decoder is implemented by inputs that read themselves, because they are on a hot path. They may keep parts of body for as
// long as it is valid, and write over it.
type Decoder interface {
	DecodeWire(f Format, body []byte) error
}

// Appender is implemented by outputs that write themselves, because they are on a hot path. They are asked once, for an output
// may give back what it holds.
type Appender interface {
	AppendWire(f Format, dst []byte) []byte
}

// EventStream is the output of an operation that answers with events. The client gets the initial response at once.
type EventStream struct {
	// Run sends the events and returns when the stream shall end. An *[Error] it returns is told to the client in the
	// stream, as an exception; another one is logged and told as an internal failure. ctx ends when the client is gone
	// or the server shuts down.
	Run func(ctx context.Context, send Send) error
}

// Send sends an event: its type ("SubscribeToShardEvent") and its payload, which is like an output. It returns when the
// event has been handed to the network; the error is that the client is gone or does not read, and Run should end.
type Send func(event string, payload any) error

// Sizer is implemented by an [Appender] that knows about how many bytes it appends: a large body then needs one buffer.
type Sizer interface {
	SizeWire(f Format) int
}

// Error is an error that the client gets.
type Error struct {
	// Code is the error's type: "ResourceNotFoundException".
	Code    string
	Message string
	// Status is the HTTP status; 0 is 400.
	Status int
	// Err is the cause, for the log; the client does not see it.
	Err error
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Err }
