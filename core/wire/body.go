package wire

import (
	"context"
	"errors"
	"io"
	"math/bits"
	"net/http"
	"os"
	"sync"
	"time"
	"unsafe"
)

// Buffers of bodies are powers of two, each size with its own pool.
const (
	minClass = 12 // 4 KiB
	maxClass = 24 // 16 MiB; larger ones are left to the garbage collector
)

var buffers [maxClass + 1]sync.Pool

// classOf is the logarithm of a buffer's size for n bytes.
func classOf(n int) int { return max(minClass, bits.Len(uint(max(n, 1)-1))) }

// getBuffer returns a buffer whose length and capacity is the power of two that holds n bytes.
func getBuffer(n int) []byte {
	class := classOf(n)
	if class > maxClass {
		return make([]byte, n)
	}
	if p, ok := buffers[class].Get().(*byte); ok {
		return unsafe.Slice(p, 1<<class) // as putBuffer left it
	}
	return make([]byte, 1<<class)
}

// putBuffer takes a buffer of getBuffer back, or of append; those that are no power of two are left to the garbage collector.
func putBuffer(buf []byte) {
	class := classOf(cap(buf))
	if class <= maxClass && cap(buf) == 1<<class {
		buffers[class].Put(unsafe.SliceData(buf)) // a pointer costs no allocation, a slice does
	}
}

// readBody reads the whole body within its limits.
func (x *exchange) readBody() error {
	announced := x.r.ContentLength
	if announced > x.h.cfg.MaxBody {
		return x.tooLarge()
	}
	size := smallBody // of a body that does not say how long it is
	if announced >= 0 {
		size = 1 << classOf(int(announced)+1) // one more, to see the end
	}
	if err := x.reserve(int64(size)); err != nil {
		return err
	}
	buf := getBuffer(size)
	n, err := x.readInto(&buf)
	x.access.In = int64(n)
	if err == nil {
		x.body = buf[:n]
		return nil
	}
	putBuffer(buf)
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, os.ErrDeadlineExceeded):
		x.set("Connection", "close") // of HTTP/2 too, where it would live on
		return &Error{Code: codeTimeout, Message: "The body came too slowly.", Status: http.StatusRequestTimeout}
	}
	return SerializationError(errEnd.Error()) // the client is gone
}

// release gives the body and the memory back.
func (x *exchange) release() {
	if x.body != nil {
		putBuffer(x.body)
		x.body = nil
	}
	for size, n := range x.reserved {
		x.h.budgets[size].release(n)
		x.reserved[size] = 0
	}
}

func (x *exchange) tooLarge() *Error {
	return &Error{Code: codeTooLarge, Message: "Request size exceeded the limit.", Status: http.StatusRequestEntityTooLarge}
}

// readInto reads the body into a buffer, which it replaces if the length is unknown.
func (x *exchange) readInto(buf *[]byte) (n int, err error) {
	began := time.Now()
	spare := x.h.cfg.Patience / 8 // a new time limit is set no more often, for each costs HTTP/2 a switch of goroutines
	var set time.Time
	for {
		if n == len(*buf) {
			if err := x.grow(buf, n); err != nil {
				return n, err
			}
		}
		if now := time.Now(); now.Sub(set) > spare {
			set = now
			_ = x.control.SetReadDeadline(began.Add(x.h.cfg.timeFor(n) + spare)) // every connection of net/http has one
		}
		got, err := x.r.Body.Read((*buf)[n:])
		n += got
		switch {
		case int64(n) > x.h.cfg.MaxBody:
			return n, x.tooLarge()
		case err == io.EOF:
			if x.r.ProtoMajor == 1 {
				_ = x.control.SetReadDeadline(time.Time{}) // else it would look as if the client had left
			}
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// grow makes a full buffer as large as a body may be. Its memory is taken at once, as if that length had been announced: bodies
// that grew bit by bit would stand in each other's way, all half read.
func (x *exchange) grow(buf *[]byte, n int) error {
	if int64(n) > x.h.cfg.MaxBody {
		return x.tooLarge()
	}
	size := 1 << classOf(int(x.h.cfg.MaxBody)+1)
	if err := x.reserve(int64(size)); err != nil {
		return err
	}
	larger := getBuffer(size)
	copy(larger, (*buf)[:n])
	putBuffer(*buf)
	*buf = larger
	return nil
}

// reserve takes memory for the exchange; it goes back when it is finished.
func (x *exchange) reserve(n int64) error {
	of := sizeLarge
	if n <= smallBody {
		of = sizeSmall
	}
	if !x.h.budgets[of].acquire(x.r.Context(), x.connection, n) {
		return &Error{Code: codeUnavailable, Message: "Too many large requests at the same time. Please try again.",
			Status: http.StatusServiceUnavailable}
	}
	x.reserved[of] += n
	return nil
}

// Small bodies have memory of their own, so that large ones do not hold them up.
const (
	sizeSmall = iota
	sizeLarge
	sizes

	smallBody = 64 << 10
)

// budget bounds the memory of bodies. Who waits is served in order of arrival, or in vain after maxWait.
type budget struct {
	mu      sync.Mutex
	free    int64
	whole   int64
	waiting []*waiter
}

type waiter struct {
	n     int64
	ready chan struct{} // closed when n is the waiter's
}

func newBudget(n int64) *budget { return &budget{free: n, whole: n} }

func (b *budget) acquire(ctx context.Context, c *connection, n int64) bool {
	b.mu.Lock()
	if b.free >= n && len(b.waiting) == 0 {
		b.free -= n
		b.mu.Unlock()
		return true
	}
	defer c.waiting.Add(-1)
	if c.waiting.Add(1) > h2Waiting || len(b.waiting) == maxWaiting || n > b.whole {
		b.mu.Unlock()
		return false
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()

	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-w.ready:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.waiting {
		if b.waiting[i] == w {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			b.serve() // it may have held up a smaller one
			return false
		}
	}
	return true // it became ready meanwhile
}

func (b *budget) release(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	b.serve()
}

// serve hands free memory to those who wait. The caller holds mu.
func (b *budget) serve() {
	for len(b.waiting) > 0 && b.waiting[0].n <= b.free {
		b.free -= b.waiting[0].n
		close(b.waiting[0].ready)
		b.waiting = b.waiting[1:]
	}
}
