package feeder

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

// Stream is where records go; a [stream.Stream] is one.
type Stream interface {
	// PutMarked stores all entries and mark in one durable step, or nothing. Entries may be empty. It does not keep their
	// memory. An error may also mean that it is not known whether they were stored; Mark tells then.
	PutMarked(ctx context.Context, entries []stream.Entry, mark *shardlog.Mark) ([]stream.PutResult, error)
	// Mark returns the newest mark of a producer.
	Mark(producer string) (shardlog.Mark, bool)
}

// batch is the records of one put and what they were read from. ends holds for each entry where in window its line ends.
type batch struct {
	entries []stream.Entry
	ends    []int
	window  []byte
	start   int64 // where in the file the window begins
	// from and to are the positions before and after the batch; from is not before start.
	from, to position
}

// put stores a batch and tells acked of each piece that is durable. The whole batch is one piece, unless the stream is
// throttled: then pieces are halved, because a shard's write limit may be less than a batch.
func (f *Feeder) put(ctx context.Context, producer string, b *batch, acked func(records int, to position)) error {
	from, done, size := b.from, 0, len(b.entries)
	t := tries{f: f}
	for {
		piece, to := b.entries[done:], b.to
		if size < len(piece) {
			piece = piece[:size]
			to = from
			to.path = b.to.path
			to.advance(b.window, b.start, b.ends[done+size-1]-int(from.offset-b.start))
		}
		mark := shardlog.Mark{Producer: producer, State: to.encode()}
		err := f.store(f.putCtx, piece, &mark)
		if err != nil {
			if err = t.failed(ctx, &mark, err); err != nil {
				return err
			}
			if !t.stored {
				if fault.ClassOf(t.last) == fault.Throttled {
					size = max(1, len(piece)/2)
				}
				continue
			}
		}
		acked(len(piece), to)
		if done += len(piece); done == len(b.entries) {
			return nil
		}
		from, t = to, tries{f: f}
	}
}

// putMark stores a mark alone.
func (f *Feeder) putMark(ctx context.Context, mark shardlog.Mark) error {
	t := tries{f: f}
	for {
		err := f.store(f.putCtx, nil, &mark)
		if err == nil {
			return nil
		}
		if err = t.failed(ctx, &mark, err); err != nil || t.stored {
			return err
		}
	}
}

// tries is how often one put has failed.
type tries struct {
	f          *Feeder
	pause      time.Duration
	complained time.Time
	last       error
	stored     bool
}

// failed handles the failure of a put: it returns nil after a pause if the put should be tried again, or at once, with
// stored set, if it took place after all.
func (t *tries) failed(ctx context.Context, mark *shardlog.Mark, err error) error {
	t.last = err
	// No two puts of a feeder have the same mark.
	if m, ok := t.f.stream.Mark(mark.Producer); ok && bytes.Equal(m.State, mark.State) {
		t.stored = true
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if hopeless(err) {
		return err
	}
	t.f.counters.retries.Add(1)
	if now := time.Now(); now.Sub(t.complained) >= putComplaints {
		// A throttled stream is at work; only what lasts is worth a line.
		if fault.ClassOf(err) != fault.Throttled || !t.complained.IsZero() {
			t.f.log.Warn("the stream takes no records; trying again", "code", fault.CodeOf(err), "err", err)
		}
		t.complained = now
	}
	// Full jitter: files that were refused together do not come back together.
	t.pause = min(max(2*t.pause, firstPause), longestPause)
	select {
	case <-time.After(1 + rand.N(t.pause)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hopeless says that no later put on this stream, or not this one, will succeed.
func hopeless(err error) bool {
	return errors.Is(err, shardlog.ErrClosed) || errors.Is(err, shardlog.ErrPoisoned) || errors.Is(err, shardlog.ErrCorrupt) ||
		fault.ClassOf(err) == fault.Permanent
}
