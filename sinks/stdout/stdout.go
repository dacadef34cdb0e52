// Package stdout is the sink that writes objects to a stream, as a rule the process's standard output: to look at a
// pipeline while building it, or to pipe its output into another program.
//
// Delivery is at least once: a body whose write failed halfway is written again from its start. Bodies do not mix: they
// are written one after the other. Use it without compression, so that what comes out is readable.
package stdout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

// copySize is what is written between two looks at the context, in bytes.
const copySize = 64 << 10

// Config says where to write.
type Config struct {
	// Writer is where bodies go; nil is os.Stdout. Only one goroutine writes at a time.
	Writer io.Writer
}

// Sink writes bodies to a stream. All methods may be called concurrently.
type Sink struct {
	out  io.Writer
	turn chan struct{} // holds a token while nobody writes
}

// New returns a sink.
func New(cfg Config) *Sink {
	s := &Sink{out: cfg.Writer, turn: make(chan struct{}, 1)}
	if s.out == nil {
		s.out = os.Stdout
	}
	s.turn <- struct{}{}
	return s
}

// Destination names no place: the stream is the process's own.
func (s *Sink) Destination() delivery.Destination {
	return delivery.Destination{Kind: "stdout", Config: json.RawMessage("{}")}
}

// Put writes the chunk's body. If ctx ends while the reader of a pipe is not reading, Put returns at once, and the write
// under way ends when the reader goes on or goes away. When the reader has gone away, the error is permanent; for the
// real standard output the process gets a SIGPIPE before that, which ends it unless it is ignored.
func (s *Sink) Put(ctx context.Context, c *delivery.Chunk) error {
	select {
	case <-ctx.Done():
		return failed(c.Key, ctx.Err())
	case <-s.turn:
	}
	done := make(chan error, 1)
	go func() {
		defer func() { s.turn <- struct{}{} }()
		done <- s.write(ctx, c)
	}()
	select {
	case err := <-done:
		return failed(c.Key, err)
	case <-ctx.Done():
		return failed(c.Key, ctx.Err())
	}
}

func (s *Sink) write(ctx context.Context, c *delivery.Chunk) error {
	body, err := c.Open()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	var written int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(s.out, body, copySize)
		written += n
		switch {
		case err == io.EOF && written != c.Size:
			return fault.New(fault.Permanent, "sink.body_changed",
				"standard output: %s: the body has %d bytes, not %d as when it was sealed", c.Key, written, c.Size)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// Close waits for a write under way, at most until ctx is done. It does not close the stream.
func (s *Sink) Close(ctx context.Context) error {
	select {
	case <-s.turn:
		s.turn <- struct{}{}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("standard output: a write is still under way: %w", ctx.Err())
	}
}

func failed(key string, err error) error {
	var classed *fault.Error
	switch {
	case err == nil || errors.As(err, &classed):
		return err
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe), errors.Is(err, os.ErrClosed):
		return fault.New(fault.Permanent, "sink.stdout.closed", "standard output: %s: nobody reads it any more: %w", key, err)
	case errors.Is(err, syscall.ENOSPC):
		return fault.New(fault.Unavailable, "sink.stdout.disk_full", "standard output: %s: %w", key, err).
			WithHint("make room on the volume of the file that standard output goes to")
	}
	return fault.New(fault.Retryable, "sink.stdout.failed", "standard output: %s: %w", key, err)
}
