package build

import (
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/observe"
)

// WatchLedgers shows the ledgers of a runner's sinks in the metrics, which may be nil, until stop is called.
func WatchLedgers(m *observe.Metrics, pipeline string, r *engine.Runner) (stop func()) {
	var stops []func()
	for i, sink := range r.Stats() {
		stops = append(stops, m.WatchLedger(pipeline, sink.Sink, func() observe.Ledger {
			n := r.Stats()[i].Counts
			return observe.Ledger{
				In: n.In, Delivered: n.Delivered, Dropped: n.Dropped, Dead: n.Dead, Pending: n.Pending, Expired: n.Expired, Skipped: n.Skipped,
			}
		}))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
