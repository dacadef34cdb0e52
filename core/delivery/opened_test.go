package delivery

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// expire appends to a shard until what is before has expired.
func (w *world) expire(filler record.ShardID, gone func() bool) {
	w.t.Helper()
	w.log.SetRetention(shardlog.Retention{Age: time.Nanosecond})
	eventually(w.t, "records expire", func() bool {
		w.put(filler, "filler", numbered(40, 20<<10)...)
		return gone()
	})
	w.log.SetRetention(shardlog.Retention{})
}

func (w *world) trimmed(id record.ShardID) bool {
	st, ok := w.log.State(id)
	return !ok || st.TrimHorizon > 1
}

// While no delivery runs, a stream is split, and records of the children expire. They are counted, not passed over.
func TestRecordsOfNewShardsThatExpireUnreadAreCounted(t *testing.T) {
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			w := newWorld(t, 1)
			w.put(0, "k", "a")
			w.deliverAll()
			ctx := context.Background()
			w.must(w.log.Reshard(ctx, []record.ShardID{0}, []shardlog.Shard{{ID: 1}, {ID: 2}}))
			w.put(1, "k", numbered(100, 100)...)
			if closed { // the shard itself is forgotten with its records
				w.must(w.log.Reshard(ctx, []record.ShardID{1}, []shardlog.Shard{{ID: 3}}))
			}
			w.expire(2, func() bool { return w.trimmed(1) })
			w.restart()
			w.deliverAll()
			c := w.holds()
			if c.Expired < 100 || c.Pending != 0 {
				t.Errorf("%+v: want at least 100 expired and nothing pending", c)
			}
			for _, l := range w.audit().Shards {
				if l.Shard == 1 && (l.In != 100 || l.Expired != 100 || l.Checkpoint != 101) {
					t.Errorf("%+v: want 100 expired", l)
				}
			}
		})
	}
}

// A closed shard whose records have all expired is no part of the log any more. What was delivered of it still counts.
func TestTheLedgerHoldsForShardsThatTheLogHasForgotten(t *testing.T) {
	w := newWorld(t, 1)
	w.put(0, "quiet", "a")
	w.put(0, "hot", numbered(200, 10<<10)...)
	r := w.start()
	eventually(t, "the hot group is delivered", func() bool { return w.main.len() > 0 && r.Stats().Unsent == 0 })
	w.must(r.stop())
	w.must(w.log.Reshard(t.Context(), []record.ShardID{0}, []shardlog.Shard{{ID: 1}}))
	w.expire(1, func() bool { _, ok := w.log.State(0); return !ok })
	c := w.holds()
	if c.Delivered == 0 {
		t.Fatalf("%+v", c)
	}
	w.deliverAll()
	if c := w.holds(); c.Expired == 0 || c.Pending != 0 {
		t.Errorf("%+v", c)
	}
}

// A log that has lost its end is shorter than what was delivered of it. Going on would pass new records over.
func TestADeliveryRefusesALogThatIsShorterThanWhatItDelivered(t *testing.T) {
	w := newWorld(t, 1)
	w.put(0, "quiet", "a")
	w.put(0, "hot", numbered(200, 10<<10)...)
	r := w.start()
	eventually(t, "the hot group is delivered", func() bool { return w.main.len() > 0 && r.Stats().Unsent == 0 })
	w.must(r.stop())
	other := newWorld(t, 1) // a log from an old backup
	other.put(0, "quiet", "a", "b")
	w.cfg.Source.Log = other.log
	_, err := New(t.Context(), w.cfg)
	if fault.CodeOf(err) != "delivery.log_behind" || fault.ClassOf(err) != fault.Permanent {
		t.Errorf("%v", err)
	}
	id := ID{Pipeline: "p", Sink: "s", Incarnation: "i"}
	report, err := Audit(w.state, id, other.log.Shards(), w.fs, "")
	w.must(err)
	if len(report.Problems) == 0 {
		t.Errorf("the audit finds nothing: %+v", report)
	}
}
