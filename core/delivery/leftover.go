package delivery

import (
	"context"
	"log/slog"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// Leftover is the durable state of a delivery that no configuration has any more. Nobody runs it; its sealed objects can
// be finished or abandoned.
type Leftover struct {
	ID     ID
	FS     vfs.FS
	Spool  string
	State  *state.Store
	Logger *slog.Logger
}

func (l *Leftover) prefix() string { return keyPrefix(l.ID.Pipeline, l.ID.Sink, l.ID.Incarnation) }

// Objects is the number of sealed objects.
func (l *Leftover) Objects() (int, error) {
	have, err := load(l.State, l.prefix())
	if err != nil {
		return 0, err
	}
	return len(have.pending), nil
}

// Forget removes the durable state and the spool. What the delivery has not read stays in the stream.
func (l *Leftover) Forget(ctx context.Context) error {
	err := l.State.Update(ctx, func(tx *state.Tx) error {
		var keys []string
		tx.Scan(l.prefix(), func(key string, _ []byte) bool {
			keys = append(keys, key)
			return true
		})
		for _, key := range keys {
			tx.Delete(key)
		}
		return nil
	})
	if err != nil {
		return fault.New(fault.ClassOf(err), "delivery.state_failed", "forget the removed sink %s: %w", l.ID.Sink, err)
	}
	_, err = openSpool(l.FS, l.Spool, nil, false) // removes the files
	return err
}

// Finish puts the sealed objects where they were sealed for. open opens a sink by its destination. It does not try again:
// an error leaves what is left as it is.
func (l *Leftover) Finish(ctx context.Context, open func(Destination) (Sink, error)) error {
	spool := &spool{fs: l.FS, dir: l.Spool}
	var opened sinks
	opened.init(&Config{Open: open, Logger: l.Logger})
	defer opened.close(ctx)
	return l.settle(ctx, func(m *manifest) (int, error) {
		sink, err := opened.get(m)
		if err != nil {
			return 0, err
		}
		if err := sink.Put(ctx, m.chunk(spool)); err != nil {
			return 0, fault.New(fault.ClassOf(err), "delivery.finish_failed", "finish object %s of the removed sink %s: %w", m.Key, l.ID.Sink, err)
		}
		l.Logger.Info("delivered for a removed sink", "sink", l.ID.Sink, "key", m.Key, "records", m.Records)
		if m.Dead {
			return kindDead, nil
		}
		return kindDelivered, nil
	})
}

// Abandon gives the sealed objects up: their inputs count as skipped.
func (l *Leftover) Abandon(ctx context.Context) error {
	return l.settle(ctx, func(m *manifest) (int, error) {
		l.Logger.Warn("abandoned for a removed sink", "sink", l.ID.Sink, "key", m.Key, "records", m.Records)
		return kindSkipped, nil
	})
}

// settle commits each sealed object with the outcome that end returns, and removes its spool file.
func (l *Leftover) settle(ctx context.Context, end func(*manifest) (kind int, err error)) error {
	have, err := load(l.State, l.prefix())
	if err != nil || len(have.pending) == 0 {
		return err
	}
	t := newTracker(l.prefix(), have)
	for _, m := range have.pending {
		kind, err := end(m)
		if err != nil {
			return err
		}
		err = l.State.Update(ctx, func(tx *state.Tx) error {
			return t.commit(tx, []outcome{m.outcome(kind)})
		})
		if err != nil {
			return fault.New(fault.ClassOf(err), "delivery.state_failed", "commit an object of the removed sink %s: %w", l.ID.Sink, err)
		}
	}
	_, err = openSpool(l.FS, l.Spool, nil, false) // removes the files
	return err
}
