package feeder

import (
	"bytes"
	"context"
	"io"
	"log/slog"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

// worker reads files, one at a time. It has two buffers and two sets of entries: while those of one put are in use, the
// others are being filled.
type worker struct {
	f    *Feeder
	keys map[*Input]keyer
	bufs [2][]byte
	buf  int // the free one
	sets [2]struct {
		entries []stream.Entry
		ends    []int
	}
	set     int // the free one
	acks    chan error
	putting bool
}

func newWorker(f *Feeder) *worker {
	w := &worker{f: f, keys: make(map[*Input]keyer), acks: make(chan error, 1)}
	// A full buffer holds a line that is too long, or its end.
	size := tailWindow + max(f.cfg.BatchBytes, f.cfg.longest()+len("\r\n"))
	for i := range w.bufs {
		w.bufs[i] = make([]byte, size)
	}
	for i := range f.cfg.Inputs {
		w.keys[&f.cfg.Inputs[i]] = newKeyer(f.cfg.Inputs[i].Key)
	}
	return w
}

// visit reads a file to its end, or until others should have their turn. The error is one of the stream or of ctx; what
// is wrong with the file itself is left in t.err.
func (w *worker) visit(ctx context.Context, t *file) error {
	t.more, t.err = false, nil
	if t.err = t.open(); t.err != nil {
		return nil
	}
	err := w.read(ctx, t)
	if waited := w.wait(); err == nil {
		err = waited
	}
	if err != nil && ctx.Err() == nil {
		err = fault.New(fault.ClassOf(err), fault.CodeOf(err), "feeding %s from byte %d on: %w", t.path, t.cur.offset, err)
	}
	return err
}

func (w *worker) read(ctx context.Context, t *file) error {
	cur := t.cur // what has been read; t.cur follows as it becomes durable
	for budget := quantum; ; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fi, err := t.handle.Stat()
		if err != nil {
			return w.fail(t, err)
		}
		before := t.seen.size
		t.seen, t.visited = stampOf(fi), true

		buf := w.bufs[w.buf]
		start := max(0, cur.offset-tailWindow)
		n, err := t.handle.ReadAt(buf, start)
		if err != nil && err != io.EOF {
			return w.fail(t, err)
		}
		window, at := buf[:n], int(cur.offset-start)
		same := at <= n
		if same {
			if same, err = w.f.same(&cur.position, t.handle, window[:at]); err != nil {
				return w.fail(t, err)
			}
		}
		if !same && t.stray && t.resumed {
			t.err = errStray
			return w.wait()
		}
		if !same {
			if err := w.startAnew(ctx, t, &cur, before); err != nil {
				return err
			}
			continue
		}
		t.resumed = false
		if cur.offset == 0 {
			if t.err = refuse(window); t.err != nil {
				return nil
			}
		}
		end, used := n < len(buf), false
		for {
			b := w.split(t, &cur, window, start, end)
			if b == nil {
				break
			}
			used = true
			if err := w.put(ctx, t, b); err != nil {
				return err
			}
		}
		if used {
			w.buf = 1 - w.buf
		}
		if end {
			return w.settle(t, cur)
		}
		if budget -= len(buf); budget <= 0 {
			t.more = true
			return w.settle(t, cur)
		}
	}
}

// settle ends the put under way and makes cur the file's cursor: what cur is beyond the last record is lines that are
// no records.
func (w *worker) settle(t *file, cur cursor) error {
	if err := w.wait(); err != nil {
		return err
	}
	w.f.counters.bytes.Add(cur.offset - t.cur.offset)
	t.move(cur)
	return nil
}

// fail notes an error of the file itself. It is opened again, by its path, for the next visit.
func (w *worker) fail(t *file, err error) error {
	t.err = fault.New(fault.Retryable, "feeder.cannot_read", "%w", err)
	if err := w.wait(); err != nil {
		return err
	}
	t.close()
	return nil
}

// startAnew sets the cursor to the beginning of a file whose content is no longer the one that was read.
func (w *worker) startAnew(ctx context.Context, t *file, cur *cursor, before int64) error {
	if err := w.wait(); err != nil {
		return err
	}
	if t.resumed && t.cur.path != t.path {
		w.f.logFile(slog.LevelInfo, t, "a new file has the inode of an older one", "older", t.cur.path)
	} else {
		w.f.counters.truncations.Add(1)
		lost := max(0, before-cur.offset)
		w.f.counters.lost.Add(lost)
		w.f.logFile(slog.LevelWarn, t, "the file was truncated or overwritten: reading it from its beginning; lines that were written just before may be lost",
			"was_at", cur.offset, "unread_bytes", lost)
	}
	*cur = begin(t.id, t.input, cur.generation+1)
	cur.path = t.path
	// Stored now, so that a restart does not take up the old position should the file look the same by then.
	if t.slot >= 0 {
		err := w.f.putMark(ctx, shardlog.Mark{Producer: w.f.slots.producer(t.slot), State: cur.encode()})
		if err != nil {
			return err
		}
	}
	t.move(*cur)
	t.resumed, t.takeRest = false, 0
	return nil
}

// split makes records of the lines between cur and the end of window, which is the file's end if end says so, and moves
// cur behind them. It returns nil if there is no record among them, and no more than one put holds.
func (w *worker) split(t *file, cur *cursor, window []byte, start int64, end bool) *batch {
	var long, empty, keyless int64
	set := &w.sets[w.set]
	entries, ends := set.entries[:0], set.ends[:0]
	key, maxLine, maxRecord := w.keys[t.input], t.input.MaxLine, w.f.cfg.MaxRecord
	from, first := cur.position, int(cur.offset-start)
	at, unterminated, skipping, continued := first, false, cur.skipping, cur.unterminated

	if skipping {
		if i := bytes.IndexByte(window[at:], '\n'); i >= 0 {
			at += i + 1
			skipping = false
		} else {
			at = len(window)
		}
	}
	for at < len(window) && len(entries) < maxRecords {
		line, next := window[at:], len(window)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		} else if cur.header > 0 {
			// A header that fills the buffer is passed over in pieces.
			if at == first && !end {
				at = next
			}
			break
		} else if len(line) > maxLine+len("\r") {
			long++
			w.f.warnLong(t, start+int64(at))
			at, skipping = next, true
			break
		} else if end && t.takeRest > 0 && t.takeRest == start+int64(next) {
			unterminated = true
		} else {
			break
		}
		begins := start + int64(at)
		at = next
		if cur.header > 0 {
			cur.header--
			continue
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if len(line) == 0 {
			if !continued {
				empty++
			}
			continued = false
			continue
		}
		if continued {
			continued = false
			w.f.warnSplit(t, begins)
		}
		k, found := key(line)
		if !found {
			keyless++
			w.f.warnKeyless(t, begins)
		}
		if len(line) > maxLine || len(line)+len(k) > maxRecord {
			long++
			w.f.warnLong(t, begins)
			continue
		}
		entries = append(entries, stream.Entry{Key: k, Data: line})
		ends = append(ends, at)
	}
	set.entries, set.ends = entries, ends
	w.f.counters.long.Add(long)
	w.f.counters.empty.Add(empty)
	w.f.counters.keyless.Add(keyless)
	if at > first {
		cur.advance(window, start, at-first)
		cur.unterminated, cur.skipping, cur.path = unterminated, skipping, t.path
	}
	if len(entries) == 0 {
		return nil
	}
	return &batch{entries: entries, ends: ends, window: window, start: start, from: from, to: cur.position}
}

// put waits for the put before this one and starts it. b is in use until the next put or wait.
func (w *worker) put(ctx context.Context, t *file, b *batch) error {
	if err := w.wait(); err != nil {
		return err
	}
	if t.slot < 0 {
		t.slot = w.f.slots.take()
	}
	w.set = 1 - w.set
	w.putting = true
	go func() {
		w.acks <- w.f.put(ctx, w.f.slots.producer(t.slot), b, func(records int, to position) {
			w.f.counters.records.Add(int64(records))
			w.f.counters.bytes.Add(to.offset - t.cur.offset)
			t.move(cursor{position: to})
		})
	}()
	return nil
}

// wait ends the put under way, if there is one. Only then may t.cur be looked at.
func (w *worker) wait() error {
	if !w.putting {
		return nil
	}
	w.putting = false
	return <-w.acks
}
