package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
)

func TestErrorsOfAllClassesButPermanentAreTriedAgain(t *testing.T) {
	for _, class := range []fault.Class{fault.Retryable, fault.Throttled, fault.Unavailable, fault.Unauthorized} {
		t.Run(class.String(), func(t *testing.T) {
			w := newWorld(t, 1)
			w.cfg.Retry.For = time.Hour
			var tries atomic.Int64
			w.main.on(func(context.Context, *Chunk) error {
				if tries.Add(1) <= 5 {
					return fault.New(class, "test.refused", "not now")
				}
				return nil
			})
			w.put(0, "k", "a")
			s := w.deliverAll()
			if s.Delivered != 1 || s.Retries != 5 || !strings.Contains(s.LastError, "not now") {
				t.Errorf("%+v", s)
			}
			w.main.wantLines(t, []string{"a"})
			if said := w.said.String(); strings.Count(said, "put failed and is tried again") != 1 || !strings.Contains(said, `"puts succeed again" pipeline=`) || !strings.Contains(said, "failures=5") ||
				!strings.Contains(said, " again_in=") || !strings.Contains(said, " dead_letters_in=1h0m0s ") {
				t.Errorf("the log has %s", said)
			}
		})
	}
}

func TestAnObjectThatCanNeverBeDeliveredGoesToTheDeadLettersAsItIs(t *testing.T) {
	w := newWorld(t, 2)
	w.main.on(func(_ context.Context, c *Chunk) error {
		if strings.HasPrefix(c.Key, "poison/") {
			return fault.New(fault.Permanent, "test.refused", "never")
		}
		return nil
	})
	w.put(0, "poison", "a", "b")
	w.put(1, "fine", "c")
	s := w.deliverAll()
	if s.Dead != 2 || s.Delivered != 1 || s.Retries != 1 {
		t.Errorf("%+v", s)
	}
	dead := w.dead.contents(t)
	for key, body := range dead {
		if !strings.HasPrefix(key, "delivery-failed/poison/") || !strings.HasSuffix(key, ".gz") || body != "a\nb\n" {
			t.Errorf("%s: %q", key, body)
		}
	}
	if len(dead) != 1 || len(w.spooled()) != 0 {
		t.Errorf("%d objects, spool %v", len(dead), w.spooled())
	}
	if c := w.holds(); c.Dead != 2 {
		t.Errorf("%+v", c)
	}
}

// Once an object is given up it stays so: a crash before it is among the dead letters does not send it to the sink again.
func TestWhatIsGivenUpStaysSoThroughACrash(t *testing.T) {
	w := newWorld(t, 1)
	w.main.on(func(context.Context, *Chunk) error { return fault.New(fault.Permanent, "test.refused", "never") })
	w.dead.on(func(context.Context, *Chunk) error { return errDown })
	w.put(0, "k", "a")
	w.cfg.BufferInterval = soon
	r := w.start()
	eventually(t, "the dead letters refuse it", func() bool { return r.Stats().Retries > 3 })
	w.crash()
	w.main.on(nil)
	w.dead.on(nil)
	if s := w.deliverAll(); s.Dead != 1 || s.Delivered != 0 || w.main.len() != 0 || w.dead.len() != 1 {
		t.Errorf("%+v, %d delivered, %d dead", s, w.main.len(), w.dead.len())
	}
}

func TestAnObjectIsGivenUpWhenItsTimeIsSpent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.Retry.For = 50 * time.Millisecond
		first := time.Time{}
		w.main.on(func(context.Context, *Chunk) error {
			if first.IsZero() {
				first = time.Now()
			}
			return errDown
		})
		w.put(0, "k", "a")
		if s := w.deliverAll(); s.Dead != 1 || s.Retries < 2 {
			t.Errorf("%+v", s)
		}
		if took := time.Since(first); took < w.cfg.Retry.For {
			t.Errorf("given up after %s", took)
		}
	})
}

// The time of an object runs while it is tried: what was sealed long ago, before leat was stopped, gets all of it.
func TestTimeInWhichNobodyTriedDoesNotCount(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.BufferInterval, w.cfg.Retry.For = soon, time.Hour
		w.main.on(func(context.Context, *Chunk) error { return errDown })
		w.put(0, "k", "a")
		r := w.start()
		eventually(t, "the object is sealed", func() bool { return r.Stats().Retries > 0 })
		w.must(r.stop())
		w.cfg.Retry.For = 300 * time.Millisecond // less than its age
		time.Sleep(2 * w.cfg.Retry.For)
		tries := 0
		w.main.on(func(context.Context, *Chunk) error {
			if tries++; tries < 3 {
				return errDown
			}
			return nil
		})
		if s := w.deliverAll(); s.Delivered != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAConflictStopsTheDelivery(t *testing.T) {
	for _, code := range []string{CodeConflict, CodeBodyChanged} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, 1)
			w.cfg.BufferInterval = soon
			w.main.on(func(context.Context, *Chunk) error {
				return fmt.Errorf("put: %w", fault.New(fault.Permanent, code, "somebody else"))
			})
			w.put(0, "k", "a")
			err := w.start().wait()
			if fault.ClassOf(err) != fault.Permanent || fault.CodeOf(err) != code {
				t.Errorf("%v", err)
			}
			if c := w.holds(); c.Pending != 1 || w.dead.len() != 0 {
				t.Errorf("%+v, %d dead letters", c, w.dead.len())
			}
		})
	}
}

func TestBackOffStaysWithinItsBounds(t *testing.T) {
	d := &Delivery{cfg: Config{Retry: Retry{Initial: 200 * time.Millisecond, Max: 30 * time.Second}}}
	for try := range 100 {
		bound := time.Duration(math.Min(float64(200*time.Millisecond)*math.Pow(2, float64(try)), float64(30*time.Second)))
		low, high := time.Duration(math.MaxInt64), time.Duration(0)
		for range 200 {
			p := d.backOff(try, fault.Unavailable)
			low, high = min(low, p), max(high, p)
			if slow := d.backOff(try, fault.Throttled); slow < bound/2 || slow > bound {
				t.Fatalf("try %d: a throttled put waits %s, want %s to %s", try, slow, bound/2, bound)
			}
		}
		if high > bound || high < bound/2 || low > bound/2 { // 200 draws leave neither half empty
			t.Fatalf("try %d: pauses from %s to %s, want them spread over 0s to %s", try, low, high, bound)
		}
	}
}

// While the sink was down, pauses grew to many minutes. The first put that succeeds ends those of the others.
func TestASuccessEndsThePausesOfOtherPuts(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.cfg.BufferInterval, w.cfg.Retry = soon, Retry{Initial: time.Second, Max: 24 * time.Hour}
		up := false // the bubble's sleeps order what touches it
		w.main.on(func(_ context.Context, c *Chunk) error {
			if up {
				return nil
			}
			return errDown
		})
		for i := range 3 {
			w.put(0, fmt.Sprint("k", i), "a")
		}
		r := w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		up = true
		w.put(0, "another", "b")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Delivered != 4 {
			t.Errorf("five seconds after a success: %+v", s)
		}
		w.must(r.stop())
	})
}

// SIGTERM lets a put under way end and commits it; what is not sealed stays in the log.
func TestAStopFinishesPutsAndLeavesOpenBuffersToTheLog(t *testing.T) {
	w := newWorld(t, 1)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.main.on(func(context.Context, *Chunk) error {
		close(entered)
		<-leave
		return nil
	})
	w.put(0, "full", numbered(110, 10<<10)...)
	w.put(0, "open", "a")
	r := w.start()
	<-entered
	r.cancel()
	select {
	case <-r.ended:
		t.Fatal("the delivery ends while a put is under way")
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	w.must(r.wait())
	if n := w.main.len(); n != 1 {
		t.Fatalf("%d objects, want the full one", n)
	}
	if c := w.holds(); c.Delivered < 100 || c.Delivered+c.Pending != 111 {
		t.Errorf("%+v", c)
	}
	if names := w.spooled(); len(names) != 0 {
		t.Errorf("the spool holds %v", names)
	}
	w.main.on(nil)
	w.deliverAll()
	w.main.wantLines(t, append(numbered(110, 10<<10), "a"))
}

func TestAStopWaitsForAPutNoLongerThanTheGrace(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.BufferInterval, w.cfg.Grace = soon, 200*time.Millisecond
	entered := make(chan struct{})
	w.main.on(func(ctx context.Context, _ *Chunk) error {
		close(entered)
		<-ctx.Done()
		return fmt.Errorf("put: %w", ctx.Err())
	})
	w.put(0, "k", "a")
	r := w.start()
	<-entered
	began := time.Now()
	w.must(r.stop())
	if took := time.Since(began); took < w.cfg.Grace || took > 10*time.Second {
		t.Errorf("the stop takes %s, the grace is %s", took, w.cfg.Grace)
	}
	w.main.on(nil)
	if s := w.deliverAll(); s.Delivered != 1 || w.main.len() != 1 {
		t.Errorf("%+v", s)
	}
}

// The objects of a sealed destination go there, although the delivery has another one by now.
func TestPendingObjectsGoWhereTheyWereSealedFor(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.BufferInterval = soon
	old := w.main
	old.on(func(context.Context, *Chunk) error { return errDown })
	w.put(0, "k", "a")
	r := w.start()
	eventually(t, "an object is sealed", func() bool { return r.Stats().Retries > 0 })
	w.must(r.stop())
	old.on(nil)

	w.main = &objects{place: "elsewhere"}
	w.cfg.Sink = w.main
	refusals := 0
	w.cfg.Open = func(d Destination) (Sink, error) {
		if d.Kind != "memory" || string(d.Config) != `"main"` {
			return nil, fmt.Errorf("%s %s", d.Kind, d.Config)
		}
		if refusals++; refusals < 3 {
			return nil, errors.New("no credentials")
		}
		return old, nil
	}
	w.put(0, "k", "b")
	s := w.deliverAll()
	if s.Delivered != 2 || !strings.Contains(s.LastError, "no credentials") {
		t.Errorf("%+v", s)
	}
	old.wantLines(t, []string{"a"})
	w.main.wantLines(t, []string{"b"})
}

// spaced tells its destination in another form than a manifest keeps it in.
type spaced struct{ *objects }

func (spaced) Destination() Destination {
	return Destination{Kind: "memory", Config: json.RawMessage(`{ "url": "http://x/?a=1&b=<2>" }`)}
}

func TestADestinationIsRecognizedHoweverItIsWritten(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.BufferInterval, w.cfg.Sink = soon, spaced{w.main}
	w.main.on(func(context.Context, *Chunk) error { return errDown })
	w.put(0, "k", "a")
	r := w.start()
	eventually(t, "an object is sealed", func() bool { return r.Stats().Retries > 0 })
	w.must(r.stop())
	w.main.on(nil)
	w.cfg.Retry.For = time.Second // without Open, it would wait for ever
	if s := w.deliverAll(); s.Delivered != 1 {
		t.Errorf("%+v", s)
	}
}

// Sealed objects are put in the order of their sealing after a restart.
func TestTheOldestObjectsAreTakenUpFirst(t *testing.T) {
	w := newWorld(t, 1)
	w.main.on(func(context.Context, *Chunk) error { return errDown })
	for i := range 20 {
		w.put(0, fmt.Sprint("k", i), "a")
	}
	r := w.start()
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- r.Drain(ctx) }()
	eventually(t, "all objects are sealed", func() bool { return len(w.audit().Unsent) == 20 })
	cancel()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Fatalf("drain while the sink is down: %v", err)
	}
	w.must(r.stop())
	w.cfg.Uploads = 1
	w.main.on(nil)
	w.deliverAll()
	var ids []string
	for _, c := range w.main.chunks {
		ids = append(ids, c.ID)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("%v", ids)
	}
}
