package feeder

import (
	"context"
	"io"

	"github.com/leatstream/leat/core/fault"
)

// Read feeds what r has, such as standard input, in place of [Feeder.Run], by the rules for a file of the first input that
// the path name would lead to. It returns at the end of r, which is also the end of a last line, or when ctx is done. It is for
// streams that keep nothing: the marks do not tell one reader from another, so that none can be read on.
//
// Lines are put as soon as they have been read. A read of r that is under way when ctx is done ends by itself, later: the
// operating system may have no way to interrupt it.
func (f *Feeder) Read(ctx context.Context, name string, r io.Reader) error {
	f.putCtx = ctx
	w := newWorker(f)
	t := &file{path: name, input: &f.cfg.Inputs[0], slot: -1}
	cur := begin(identity{}, t.input, 0)
	buf := w.bufs[0]
	var start int64 // where in r buf begins
	for have, ended := 0, false; !ended; {
		n, err := readUntil(ctx, r, buf[have:])
		have += n
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == io.EOF:
			ended, t.takeRest = true, start+int64(have)
		case err != nil:
			return fault.New(fault.Retryable, "feeder.cannot_read", "reading %s: %w", name, err)
		}
		window := buf[:have]
		if start == 0 {
			if err := refuse(window); err != nil {
				return fault.New(fault.ClassOf(err), fault.CodeOf(err), "%s: %w", name, err)
			}
		}
		for {
			b := w.split(t, &cur, window, start, ended || have < len(buf))
			if b == nil {
				break
			}
			if err := w.put(ctx, t, b); err != nil {
				return err
			}
		}
		if err := w.settle(t, cur); err != nil { // what was put is in buf
			return err
		}
		have = copy(buf, window[cur.offset-start:])
		start = cur.offset
	}
	return nil
}

// readUntil reads until ctx is done. Then p still belongs to the read.
func readUntil(ctx context.Context, r io.Reader, p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := r.Read(p)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		return got.n, got.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
