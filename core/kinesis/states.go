package kinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// status is the state of a stream.
type status string

const (
	statusCreating status = "CREATING"
	statusActive   status = "ACTIVE"
	statusUpdating status = "UPDATING"
	statusDeleting status = "DELETING"
)

// status is the stream's state now: that of work under way, or the one that its last change put it into for the time of
// [Config].Transition.
func (k *known) status() status {
	if s := k.busy.Load(); s != nil {
		return *s
	}
	return k.storedStatus()
}

func (k *known) storedStatus() status {
	m := k.meta()
	if m.Status == statusDeleting { // until it is gone
		return statusDeleting
	}
	if m.Status != "" && k.api.lasts(m.Until) {
		return m.Status
	}
	return statusActive
}

// lasts tells whether a state is not over that was stored with its end. An end that is further away than states last was
// stored with a longer [Config].Transition or by a clock that went ahead.
func (a *API) lasts(until time.Time) bool {
	left := until.Sub(a.cfg.Now())
	return left > 0 && left <= a.cfg.Transition
}

// active fails unless the stream is ACTIVE, which operations need that change it.
func (k *known) active() error {
	if s := k.status(); s != statusActive {
		return k.notActive(s)
	}
	return nil
}

// serving fails unless the stream takes and gives records: ACTIVE or UPDATING. To operations on records the others do not
// exist, as in the service.
func (k *known) serving() error {
	if s := k.status(); s != statusActive && s != statusUpdating {
		return k.api.noStream(k.Name())
	}
	return nil
}

func (k *known) notActive(s status) error {
	return fail(codeResourceInUse, "Stream %s under account %s not ACTIVE, instead in state %s", k.Name(), k.api.cfg.Account, s)
}

// transition does work on an ACTIVE stream, which is in the state to meanwhile and for at least [Config].Transition in
// all, also over a restart. One transition of a stream happens at a time; others are refused. If work fails, the stream is
// ACTIVE again and transition returns its error.
//
// What a crash interrupts is not done again: work of several steps stores its goal itself.
func (k *known) transition(ctx context.Context, to status, work func() error) error {
	if !k.busy.CompareAndSwap(nil, &to) {
		return k.notActive(k.status())
	}
	defer k.busy.Store(nil)
	if s := k.storedStatus(); s != statusActive {
		return k.notActive(s)
	}
	lasting := k.api.cfg.Transition > 0
	if lasting {
		if err := k.enter(ctx, to); err != nil {
			return err
		}
	}
	err := work()
	if err != nil && lasting {
		// The state ends by itself: that its early end could not be stored does not matter more.
		_ = k.update(context.WithoutCancel(ctx), func(m *meta) error {
			m.Status, m.Until = "", time.Time{}
			return nil
		})
	}
	return err
}

// enter stores a state with its end.
func (k *known) enter(ctx context.Context, to status) error {
	return k.update(ctx, func(m *meta) error {
		m.Status, m.Until = to, k.api.cfg.Now().Add(k.api.cfg.Transition)
		return nil
	})
}

// deletionRetry is the pause before a deletion that failed, for example on a full disk, is tried again.
const deletionRetry = 5 * time.Second

// deleteLater deletes a stream that is DELETING once that state has lasted long enough.
func (a *API) deleteLater(k *known) {
	wait := min(k.meta().Until.Sub(a.cfg.Now()), a.cfg.Transition)
	a.background.Go(func() {
		for {
			select {
			case <-time.After(wait):
			case <-a.life.Done():
				return
			}
			err := k.remove(a.life)
			if err == nil || fault.CodeOf(err) == "stream.not_found" || a.life.Err() != nil {
				return
			}
			a.cfg.Logger.Warn("deleting a stream; trying again", "stream", k.Name(), "pause", deletionRetry, "error", err)
			wait = deletionRetry
		}
	})
}

// resumeDeletions goes on with the deletions that were under way when the process ended.
func (a *API) resumeDeletions() {
	for _, name := range a.cfg.Streams.List() {
		k, err := a.known(name)
		if err == nil && k.meta().Status == statusDeleting {
			a.deleteLater(k)
		}
	}
}
