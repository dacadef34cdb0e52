package kinesis

import (
	"context"
	"time"
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
	switch m := k.meta(); {
	case m.Status == statusDeleting: // until it is gone
		return statusDeleting
	case m.Status != "" && k.api.cfg.Now().Before(m.Until):
		return m.Status
	}
	return statusActive
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
	if s := k.status(); s != statusActive {
		return k.notActive(s)
	}
	if !k.busy.CompareAndSwap(nil, &to) {
		return k.notActive(k.status())
	}
	defer k.busy.Store(nil)
	if k.api.cfg.Transition > 0 {
		if err := k.enter(ctx, to); err != nil {
			return err
		}
	}
	err := work()
	if err != nil && k.api.cfg.Transition > 0 {
		// The state ends by itself: that this could not be stored changes nothing else.
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
