package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
)

// put is an uploader: it puts sealed objects until they are there. It starts no put after run is done; those under way
// may go on until puts is done. What is not put by then is put by the next run.
func (d *Delivery) put(run, puts context.Context) {
	for m := range d.puts {
		if run.Err() != nil || d.broken() {
			continue
		}
		if err := d.attempt(run, puts, m); err != nil {
			if !isStop(err) || run.Err() == nil {
				d.fail(err)
			}
			continue
		}
		kind := kindDelivered
		if m.Dead {
			kind = kindDead
		}
		d.seams.Step("put")
		d.totals.objects.Add(1) // before the commit, so that whoever waits for that finds it
		d.totals.raw.Add(m.Raw)
		d.totals.stored.Add(m.Size)
		if !d.seams.CommitBeforePut {
			d.ends <- m.outcome(kind)
		}
		d.cfg.Observer.Delivered(m.Records, m.Raw, m.Size, time.Since(m.Oldest), m.Dead)
		d.log.Info("delivered", "key", m.Key, "records", m.Records, "bytes", m.Raw, "stored", m.Size, "dead", m.Dead)
	}
}

// attempt puts one object, again and again. It returns nil once the object is at its destination.
func (d *Delivery) attempt(run, puts context.Context, m *manifest) error {
	first := time.Now()
	for try := 0; ; try++ {
		d.seams.Step("putting")
		if d.seams.CommitBeforePut && try == 0 {
			d.ends <- m.outcome(kindDelivered)
		}
		started := time.Now()
		err := d.deliver(puts, m)
		d.cfg.Observer.Put(time.Since(started), err)
		if err == nil {
			d.revival.happened(m.Destination.name())
			if try > 0 {
				d.complaints.Over(d.log, "", "puts succeed again")
			}
			return nil
		}
		if puts.Err() != nil {
			return puts.Err()
		}
		code, class := fault.CodeOf(err), fault.ClassOf(err)
		if code == CodeConflict || code == CodeBodyChanged || code == codeSpoolDamaged {
			return err // a person has to look at it: neither trying again nor the dead letters would help
		}
		msg := err.Error()
		d.totals.lastError.Store(&msg)
		d.totals.retries.Add(1)
		spent := d.cfg.Retry.For > 0 && time.Since(first) >= d.cfg.Retry.For
		if !m.Dead && (class == fault.Permanent || spent) {
			d.log.Error("object goes to the dead letters", "key", m.Key, "records", m.Records, "class", class, "code", code, "error", err)
			if err := d.giveUp(m, err); err != nil {
				return err
			}
			try = -1
			continue
		}
		pause := d.backOff(try, class)
		var revived chan struct{}
		if (class == fault.Unavailable || class == fault.Unauthorized) && pause > d.cfg.Retry.Initial {
			revived = d.revival.next(m.Destination.name())
		}
		d.complaints.Log(d.log, slog.LevelWarn, "", "put failed and is tried again", err, d.tries(m, first, pause)...)
		select {
		case <-time.After(pause):
		case <-revived:
			try = -1
		case <-run.Done():
			return run.Err()
		case <-d.failed:
			return context.Canceled
		}
	}
}

// tries says what is done about a put that failed: when its object is put again, and how long at most until it is given up.
func (d *Delivery) tries(m *manifest, first time.Time, pause time.Duration) []slog.Attr {
	attrs := []slog.Attr{slog.String("key", m.Key), slog.Duration("again_in", pause.Round(time.Millisecond))}
	if d.cfg.Retry.For > 0 && !m.Dead {
		attrs = append(attrs, slog.Duration("dead_letters_in", max(0, d.cfg.Retry.For-time.Since(first)).Round(time.Second)))
	}
	return attrs
}

// backOff is the pause after a failed try: full jitter below a bound that doubles. Whoever asks for a slower pace gets at
// least half of the bound.
func (d *Delivery) backOff(try int, class fault.Class) time.Duration {
	bound := d.cfg.Retry.Initial << min(try, 30)
	if bound <= 0 || bound > d.cfg.Retry.Max {
		bound = d.cfg.Retry.Max
	}
	pause := rand.N(bound + 1)
	if class == fault.Throttled {
		pause = bound/2 + pause/2
	}
	return pause
}

// revival lets a put that succeeds end the pauses of those that found the same destination unavailable or were refused there: once it is
// back, they need not wait for as long as it was away.
type revival struct {
	mu   sync.Mutex
	ends map[string]chan struct{} // by destination, where somebody waits
}

// next is closed with the next put to a destination that succeeds.
func (r *revival) next(destination string) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ends == nil {
		r.ends = map[string]chan struct{}{}
	}
	if r.ends[destination] == nil {
		r.ends[destination] = make(chan struct{})
	}
	return r.ends[destination]
}

func (r *revival) happened(destination string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end := r.ends[destination]; end != nil {
		close(end)
		delete(r.ends, destination)
	}
}

// deliver puts an object once.
func (d *Delivery) deliver(ctx context.Context, m *manifest) error {
	sink, err := d.opened.get(m)
	if err != nil {
		return err
	}
	return sink.Put(ctx, m.chunk(d.spool))
}

func (m *manifest) chunk(s *spool) *Chunk {
	return &Chunk{
		ID: m.ID, Key: m.Key, Size: m.Size, SHA256: [32]byte(m.SHA256), Records: m.Records,
		ContentType: m.ContentType, ContentEncoding: m.Encoding,
		Open: func() (Body, error) { return s.body(m) },
	}
}

// giveUp redirects an object, as it is, to the dead letters: durably, before it is put there.
func (d *Delivery) giveUp(m *manifest, cause error) error {
	prefix, err := d.cfg.DeadLetters.Prefix(deliveryFailed, m.Oldest)
	if err != nil {
		return err
	}
	dead := *m
	dead.Dead, dead.Failed = true, cause.Error()
	dead.Key = prefix + m.Key
	dead.Destination = destination(d.cfg.DeadLetters.Sink)
	err = d.cfg.State.Update(context.Background(), func(tx *state.Tx) error { return putManifest(tx, d.prefix, &dead, nil) })
	if err != nil {
		return fault.New(fault.ClassOf(err), "delivery.state_failed", "store that object %s is dead: %w", m.ID, err)
	}
	*m = dead
	return nil
}
