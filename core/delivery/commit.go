package delivery

import (
	"context"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
)

// commit is the committer: it makes outcomes durable, as many at once as wait, and then removes their spool files.
func (d *Delivery) commit() {
	for o := range d.ends {
		outcomes := []outcome{o}
		for more := true; more && len(outcomes) < maxPending; {
			select {
			case o, ok := <-d.ends:
				if more = ok; ok {
					outcomes = append(outcomes, o)
				}
			default:
				more = false
			}
		}
		if d.broken() {
			continue
		}
		if err := d.commitAll(outcomes); err != nil {
			d.fail(err)
		}
	}
}

func (d *Delivery) commitAll(outcomes []outcome) error {
	d.seams.Step("committing")
	for i := range outcomes {
		outcomes[i].covers.flush()
	}
	err := d.cfg.State.Update(context.Background(), func(tx *state.Tx) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.tracker.commit(tx, outcomes)
	})
	if err != nil {
		return fault.New(fault.ClassOf(err), "delivery.state_failed", "commit %d objects: %w", len(outcomes), err)
	}
	d.seams.Step("committed")
	d.mu.Lock()
	d.backlog.covered.Store(d.tracker.size())
	d.mu.Unlock()
	for _, o := range outcomes {
		if o.object == "" {
			d.backlog.end(o.epoch)
			continue
		}
		if err := d.spool.remove(o.object); err != nil {
			return err
		}
		d.backlog.objects.Add(-1)
		d.backlog.bytes.Add(-o.size)
		d.backlog.promised.Add(-o.covers.size())
		d.backlog.end(o.epoch)
	}
	d.backlog.committed()
	d.pin()
	return nil
}
