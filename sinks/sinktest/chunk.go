package sinktest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/delivery"
)

// Chunk is a chunk in memory whose bodies can be made to misbehave, and that knows whether they were all closed.
type Chunk struct {
	delivery.Chunk
	Bytes []byte // not to be written to while a body is open

	onRead         atomic.Pointer[func(offset int64) error]
	opened, closed atomic.Int64
}

// NewChunk returns a chunk with this id, key and body.
func NewChunk(id, key string, body []byte) *Chunk {
	c := &Chunk{Bytes: body}
	c.Chunk = delivery.Chunk{
		ID: id, Key: key,
		Size: int64(len(body)), SHA256: sha256.Sum256(body), Records: 1,
		ContentType: "text/plain",
		Open: func() (delivery.Body, error) {
			c.opened.Add(1)
			return &chunkBody{Reader: bytes.NewReader(c.Bytes), chunk: c}, nil
		},
	}
	return c
}

// Random returns a chunk of n bytes that do not compress. Its id is a new UUID, as delivery's are, and is part of its key, which starts with prefix.
func Random(prefix string, n int64) *Chunk {
	id := uuid.Must(uuid.NewV7()).String()
	body := make([]byte, n)
	var seed [32]byte
	copy(seed[:], id)
	_, _ = rand.NewChaCha8(seed).Read(body)
	return NewChunk(id, prefix+"object-"+id+".txt", body)
}

// OnRead lets f be called with the offset before each read of a body, concurrently if the sink reads so. Its error is the
// read's. nil ends it.
func (c *Chunk) OnRead(f func(offset int64) error) {
	if f == nil {
		c.onRead.Store(nil)
		return
	}
	c.onRead.Store(&f)
}

// checkClosed checks that the bodies are closed, at the latest a moment after the put has returned: a request that was
// given up may still be reading.
func (c *Chunk) checkClosed(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end) && c.opened.Load() != c.closed.Load(); {
		time.Sleep(time.Millisecond)
	}
	if opened, closed := c.opened.Load(), c.closed.Load(); opened != closed {
		t.Errorf("%s: %d bodies were opened and %d closed", c.Key, opened, closed)
	}
}

// chunkBody is one opened body.
type chunkBody struct {
	*bytes.Reader
	chunk *Chunk
	done  atomic.Bool
}

var _ io.WriterTo = (*chunkBody)(nil)

func (b *chunkBody) Read(p []byte) (int, error) {
	if err := b.at(b.Size() - int64(b.Len())); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (b *chunkBody) ReadAt(p []byte, off int64) (int, error) {
	if err := b.at(off); err != nil {
		return 0, err
	}
	return b.Reader.ReadAt(p, off)
}

// WriteTo goes by Read, so that OnRead sees every piece.
func (b *chunkBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{b})
}

func (b *chunkBody) at(offset int64) error {
	if b.done.Load() {
		return fmt.Errorf("body of %s is read after Close", b.chunk.Key)
	}
	if f := b.chunk.onRead.Load(); f != nil {
		return (*f)(offset)
	}
	return nil
}

func (b *chunkBody) Close() error {
	if !b.done.Swap(true) {
		b.chunk.closed.Add(1)
	}
	return nil
}
