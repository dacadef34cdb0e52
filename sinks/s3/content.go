package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

// hashSize is what is hashed between two looks at the context, in bytes.
const hashSize = 1 << 20

// content is a body that remembers why reading it failed: in what an HTTP client returns then, body and network look alike.
type content struct {
	body delivery.Body
	err  atomic.Pointer[error]
}

func (c *content) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.body.ReadAt(p, off)
	if err != nil && n < len(p) {
		c.err.CompareAndSwap(nil, &err)
	}
	return n, err
}

func (c *content) failure() error {
	if err := c.err.Load(); err != nil {
		return *err
	}
	return nil
}

// digest reads the first size bytes.
func (c *content) digest(ctx context.Context, size int64) ([32]byte, error) {
	hash := sha256.New()
	if err := c.hash(ctx, 0, size, hash); err != nil {
		return [32]byte{}, err
	}
	return [32]byte(hash.Sum(nil)), nil
}

// hash writes n bytes from off to w.
func (c *content) hash(ctx context.Context, off, n int64, w io.Writer) error {
	section := io.NewSectionReader(c, off, n)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch _, err := io.CopyN(w, section, hashSize); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// unreadable is the error about a body whose reading failed with err.
func (s *Sink) unreadable(c *delivery.Chunk, err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s.changed(c)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return s.failed(c.Key, err)
	}
	return fault.New(fault.Retryable, "sink.body_unreadable", "%s: read the body: %w", s.where(c.Key), err)
}
