package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

func TestADeliveryBeginsWhereItIsTold(t *testing.T) {
	w := newWorld(t, 2)
	w.put(0, "k", "old0")
	w.put(1, "k", "old1")
	time.Sleep(2 * time.Millisecond)
	at := time.Now()
	w.put(0, "k", "new0")
	for _, c := range []struct {
		name string
		from From
		want []string
	}{
		{"trim", From{}, []string{"old0", "old1", "new0", "later0", "later1"}},
		{"at", From{At: at}, []string{"new0", "later0", "later1"}},
		{"latest", From{Latest: true}, []string{"later0", "later1"}},
	} {
		w.main = &objects{place: c.name}
		w.cfg.Name, w.cfg.Sink, w.cfg.From, w.cfg.Spool = c.name, w.main, c.from, "/data/spool-"+c.name
		if _, err := New(t.Context(), w.cfg); err != nil {
			t.Fatal(err)
		}
	}
	w.put(0, "k", "later0")
	w.put(1, "k", "later1")
	for _, c := range []struct {
		name string
		want []string
	}{
		{"trim", []string{"old0", "old1", "new0", "later0", "later1"}},
		{"at", []string{"new0", "later0", "later1"}},
		{"latest", []string{"later0", "later1"}},
	} {
		main := &objects{place: c.name}
		w.cfg.Name, w.cfg.Sink, w.cfg.Spool = c.name, main, "/data/spool-"+c.name
		w.cfg.From = From{Latest: true} // where it began once counts, not what is configured now
		w.deliverAll()
		main.wantLines(t, c.want)
		if sum := w.holds(); sum.In != uint64(len(c.want)) || sum.Delivered != sum.In {
			t.Errorf("%s: %+v", c.name, sum)
		}
	}
}

// A stream that was deleted and created again has another incarnation: nothing of the old one's state applies.
func TestAStreamThatIsMadeAgainStartsAnew(t *testing.T) {
	w := newWorld(t, 1)
	w.put(0, "k", "a", "b", "c")
	w.deliverAll()
	again := newWorld(t, 1)
	again.put(0, "k", "d")
	w.cfg.Source.Log, w.cfg.Source.Incarnation = again.log, "second"
	w.deliverAll()
	w.main.wantLines(t, []string{"a", "b", "c", "d"})
	ids := List(w.state, "p")
	if len(ids) != 2 {
		t.Errorf("%v", ids)
	}
}

// What expires before it is read is counted, also while the delivery is not running, and what is covered already is not.
func TestWhatExpiresUnreadIsCounted(t *testing.T) {
	w := newWorld(t, 1)
	w.put(0, "quiet", "a")
	w.put(0, "hot", numbered(110, 10<<10)...)
	r := w.start()
	eventually(t, "the hot group is delivered", func() bool { return w.main.len() > 0 && r.Stats().Unsent == 0 })
	w.must(r.stop())
	delivered := w.holds().Delivered
	w.expire(0, func() bool { st, _ := w.log.State(0); return st.TrimHorizon > 112 })
	w.restart()
	seen := &expiries{}
	w.cfg.Observer = seen
	w.deliverAll()
	c := w.holds()
	st, _ := w.log.State(0)
	if want := st.TrimHorizon - 1 - delivered; c.Expired != want || uint64(seen.n) != want || c.Pending != 0 {
		t.Errorf("%+v, and %d told: want %d expired", c, seen.n, want)
	}
}

type expiries struct {
	unobserved
	n int64
}

func (e *expiries) Expired(n int64) { e.n += n }

// Shards are split and merged while they are delivered.
func TestSplitsAndMergesUnderDelivery(t *testing.T) {
	w := newWorld(t, 2)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	w.cfg.BufferInterval = soon
	r := w.start()
	open, next, want := []record.ShardID{0, 1}, record.ShardID(2), []string{}
	for i := range 300 {
		s := rng.IntN(len(open))
		want = append(want, fmt.Sprint(i))
		w.put(open[s], fmt.Sprint("k", i%3), fmt.Sprint(i))
		switch rng.IntN(10) {
		case 0: // split
			w.must(w.log.Reshard(t.Context(), []record.ShardID{open[s]}, []shardlog.Shard{{ID: next}, {ID: next + 1}}))
			open[s] = next
			open = append(open, next+1)
			next += 2
		case 1: // merge
			if o := rng.IntN(len(open)); o != s {
				w.must(w.log.Reshard(t.Context(), []record.ShardID{open[s], open[o]}, []shardlog.Shard{{ID: next}}))
				open[s] = next
				open = append(open[:o], open[o+1:]...)
				next++
			}
		}
		if i == 150 {
			w.must(r.stop())
			w.crash()
			w.cfg.BufferInterval = soon
			r = w.start()
		}
	}
	r.drain()
	w.must(r.stop())
	w.main.wantLines(t, want)
	if c := w.holds(); c.Delivered != 300 || c.In != 300 {
		t.Errorf("%+v", c)
	}
}

func TestAThousandShards(t *testing.T) {
	const shards, each = 1000, 3
	w := newWorld(t, shards)
	var want []string
	for i := range each {
		var runs []shardlog.Run
		for s := range record.ShardID(shards) {
			datum := fmt.Sprintf("%d.%d", s, i)
			want = append(want, datum)
			runs = append(runs, shardlog.Run{Shard: s, Entries: []shardlog.Entry{{Key: fmt.Sprint("k", s%7), Data: []byte(datum)}}})
		}
		_, err := w.log.Append(context.Background(), runs, nil)
		w.must(err)
	}
	w.deliverAll()
	w.main.wantLines(t, want)
	if n := w.main.len(); n != 7 {
		t.Errorf("%d objects, want 7", n)
	}
	report := w.audit()
	if report.Total.Delivered != shards*each || len(report.Shards) != shards || len(report.Problems) > 0 {
		t.Errorf("%+v in %d shards, %v", report.Total, len(report.Shards), report.Problems)
	}
	for _, l := range report.Shards {
		if l.Checkpoint != each+1 {
			t.Fatalf("%+v", l)
		}
	}
}

// A drain is answered although records keep coming: it is about those that were there when it was asked for.
func TestADrainEndsWhileRecordsKeepComing(t *testing.T) {
	w := newWorld(t, 1)
	stop, stopped := make(chan struct{}), make(chan struct{})
	w.cfg.BufferInterval = soon
	w.main.on(func(context.Context, *Chunk) error { time.Sleep(5 * time.Millisecond); return nil }) // always one under way
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				w.put(0, fmt.Sprint("k", i%20), fmt.Sprint(i))
				time.Sleep(200 * time.Microsecond)
			}
		}
	}()
	r := w.start()
	time.Sleep(50 * time.Millisecond)
	before := r.Stats().In
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := r.Drain(ctx)
	if done := r.Stats().Delivered; err != nil || done < before {
		t.Errorf("%v; %d of %d are delivered", err, done, before)
	}
	close(stop)
	<-stopped
	w.must(r.stop())
}
