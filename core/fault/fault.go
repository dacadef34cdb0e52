// Package fault classifies errors, so that whoever handles one knows whether to try again, to slow down, to ask for help
// or to give the record up, without knowing where the error came from.
//
// An [Error] carries a class, a stable code that scripts and alerts may rely on, the place in the pipeline file where one
// is known, and a hint that says what the reader can do. Errors without a class count as [Retryable]: giving a record up
// needs a reason. [Complaints] keep errors that repeat from filling a log.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Class says what may be done about an error.
type Class uint8

const (
	// Retryable means that the same request may succeed later.
	Retryable Class = iota
	// Throttled means that the other side asks for a slower pace.
	Throttled
	// Unavailable means that the other side, or a part of leat, cannot be reached or refuses all work for now.
	Unavailable
	// Unauthorized means that credentials, permissions or what they are asked for (a bucket that is not there) are wrong; a person has to
	// act, then the same request succeeds.
	Unauthorized
	// Permanent means that the same request will never succeed.
	Permanent
)

var classNames = [...]string{"retryable", "throttled", "unavailable", "unauthorized", "permanent"}

func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Error is an error with a class and a code.
type Error struct {
	Class Class
	// Code is stable and lower case, with dots between its parts: "spec.unknown_key", "sink.s3.access_denied".
	Code string
	// Message says what was being done, to what, and what went wrong.
	Message string
	// Place is where in a pipeline file the cause stands, as file:line:column; empty if unknown.
	Place string
	// Hint says what the reader can do; empty if there is nothing to add.
	Hint string
	// Err is the cause, if any.
	Err error
}

// New returns an error. A format verb %w sets the cause, as in fmt.Errorf.
func New(class Class, code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: class, Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// At sets the place and returns e.
func (e *Error) At(place string) *Error {
	e.Place = place
	return e
}

// Error returns the place, the message and the hint on one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Place != "" {
		b.WriteString(e.Place)
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of err: that of the first Error in its chain, else Retryable.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Retryable
}

// CodeOf returns the code of err: that of the first Error in its chain, else "internal".
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return "internal"
}

// HintOf returns the hint of the first Error in the chain of err that has one, else nothing.
func HintOf(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
