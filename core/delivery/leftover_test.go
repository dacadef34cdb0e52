package delivery

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// sealed leaves n objects of two records each that are sealed and not put.
func (w *world) sealed(n int) {
	w.t.Helper()
	w.main.on(func(context.Context, *Chunk) error { return errDown })
	for i := range n {
		w.put(0, string(rune('a'+i)), "1", "2")
	}
	interval := w.cfg.BufferInterval
	w.cfg.BufferInterval = soon
	r := w.start()
	eventually(w.t, "all objects are sealed", func() bool { return len(w.audit().Unsent) == n })
	w.must(r.stop())
	w.main.on(nil)
	w.cfg.BufferInterval = interval
}

func (w *world) leftover() *Leftover {
	return &Leftover{
		ID: ID{Pipeline: "p", Sink: "s", Incarnation: "i"}, FS: w.fs, Spool: spoolDir, State: w.state,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func (l *Leftover) mustHave(t *testing.T, n int) {
	t.Helper()
	if have, err := l.Objects(); err != nil || have != n {
		t.Errorf("%d objects are left (%v), want %d", have, err, n)
	}
}

func TestLeftOverObjectsAreFinishedWhereTheyWereSealedFor(t *testing.T) {
	w := newWorld(t, 1)
	w.sealed(3)
	l := w.leftover()
	l.mustHave(t, 3)
	w.must(l.Finish(t.Context(), func(d Destination) (Sink, error) {
		if string(d.Config) != `"main"` {
			return nil, errors.New("not this one")
		}
		return w.main, nil
	}))
	l.mustHave(t, 0)
	w.main.wantLines(t, []string{"1", "2", "1", "2", "1", "2"})
	if c := w.holds(); c.Delivered != 6 || len(w.spooled()) != 0 {
		t.Errorf("%+v, spool %v", c, w.spooled())
	}
	w.put(0, "k", "later") // the sink is configured again
	w.deliverAll()
	w.main.wantLines(t, []string{"1", "2", "1", "2", "1", "2", "later"})
}

// What could not be finished stays, to be finished later. What could be is not put again.
func TestFinishingCanBeTakenUpAgain(t *testing.T) {
	w := newWorld(t, 1)
	w.sealed(3)
	l, puts := w.leftover(), 0
	w.main.on(func(context.Context, *Chunk) error {
		if puts++; puts == 2 {
			return errDown
		}
		return nil
	})
	open := func(Destination) (Sink, error) { return w.main, nil }
	if err := l.Finish(t.Context(), open); !errors.Is(err, errDown) {
		t.Fatalf("%v", err)
	}
	l.mustHave(t, 2)
	w.must(l.Finish(t.Context(), open))
	l.mustHave(t, 0)
	if puts != 4 {
		t.Errorf("%d puts, want 4", puts)
	}
	w.main.wantLines(t, []string{"1", "2", "1", "2", "1", "2"})
	if err := l.Finish(t.Context(), func(Destination) (Sink, error) { return nil, errors.New("asked for nothing") }); err != nil {
		t.Error(err)
	}
}

func TestFinishingWithoutADestinationLeavesAllAsItIs(t *testing.T) {
	w := newWorld(t, 1)
	w.sealed(2)
	l := w.leftover()
	err := l.Finish(t.Context(), func(Destination) (Sink, error) { return nil, errors.New("no credentials") })
	if err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("%v", err)
	}
	l.mustHave(t, 2)
	if c := w.holds(); c.Pending != 4 || len(w.spooled()) != 2 {
		t.Errorf("%+v, spool %v", c, w.spooled())
	}
}

func TestAbandonedObjectsAreSkipped(t *testing.T) {
	w := newWorld(t, 1)
	w.sealed(2)
	l := w.leftover()
	w.must(l.Abandon(t.Context()))
	l.mustHave(t, 0)
	if c := w.holds(); c.Skipped != 4 || c.Pending != 0 || len(w.spooled()) != 0 || w.main.len() != 0 {
		t.Errorf("%+v, spool %v", c, w.spooled())
	}
	w.put(0, "k", "later")
	w.deliverAll()
	w.main.wantLines(t, []string{"later"})
}

func TestForgottenStateIsGone(t *testing.T) {
	w := newWorld(t, 1)
	w.sealed(2)
	w.must(w.leftover().Forget(t.Context()))
	if ids := List(w.state, "p"); len(ids) != 0 || len(w.spooled()) != 0 {
		t.Errorf("%v, spool %v", ids, w.spooled())
	}
	w.deliverAll() // from the beginning
	w.main.wantLines(t, []string{"1", "2", "1", "2"})
}
