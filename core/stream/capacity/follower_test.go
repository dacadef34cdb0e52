package capacity

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

func TestMain(m *testing.M) {
	if raced() {
		if err := flag.Set("rapid.checks", "2"); err != nil { // of models that have one goroutine
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// follow runs a test with a follower of the stream "s" of a world, in which time passes at once.
func follow(t *testing.T, cfg Config, test func(*testing.T, *world, *testenv.Log)) {
	synctest.Test(t, func(t *testing.T) {
		w := openWorld(t, vfs.NewMem())
		defer w.close(t)
		log := new(testenv.Log)
		cfg.Streams, cfg.State, cfg.Logger = w.streams, w.state, slog.New(slog.NewTextHandler(log, nil))
		f := Follow(cfg)
		defer f.Close()
		time.Sleep(time.Second) // what the test does is never at the very moment of a step
		test(t, w, log)
	})
}

// busy stores a load, in shards' worth, over some minutes.
func (w *world) busy(t *testing.T, load float64, minutes int) (refused float64) {
	t.Helper()
	for range minutes {
		refused += w.put(t, load, rand.New(rand.NewPCG(1, 1)))
		time.Sleep(time.Minute)
	}
	return refused
}

// histories are the keys of the stored histories.
func (w *world) histories() (keys []string) {
	w.state.View(func(tx *state.Tx) {
		tx.Scan(prefix, func(key string, _ []byte) bool {
			keys = append(keys, key)
			return true
		})
	})
	return keys
}

func wantShards(t *testing.T, s *stream.Stream, want int) {
	t.Helper()
	if n := s.OpenShards(); n != want {
		t.Fatalf("there are %d shards, want %d", n, want)
	}
}

func setMode(t *testing.T, s *stream.Stream, m stream.Mode) {
	t.Helper()
	if err := s.Update(context.Background(), func(c *stream.Config) error { c.Mode = m; return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestAHotShardIsSplitWhereItsLoadIs puts nine tenths of what a shard takes into a twentieth of its range.
func TestAHotShardIsSplitWhereItsLoadIs(t *testing.T) {
	follow(t, Config{}, func(t *testing.T, w *world, log *testenv.Log) {
		quarter := w.stream.Loads()[1].Hash
		keys := spread(quarter, 20, 0.90, 0.95)
		for second := range 180 {
			entry := stream.Entry{Key: "k", ExplicitHashKey: keys[second%20].String(), Data: zeros[:shardRate*9/10-1]}
			if res, err := w.stream.Put(context.Background(), []stream.Entry{entry}); err != nil || res[0].Err != nil {
				t.Fatal(err, res[0].Err)
			}
			time.Sleep(time.Second)
		}
		wantShards(t, w.stream, 5)
		share := width(w.stream.Loads()[1].Hash) / width(quarter)
		if share < 0.9 || share > 0.95 {
			t.Errorf("the shard was split at %.3f of its range, its load is from 0.90 to 0.95\n%s", share, log)
		}
		checkCover(t, w.stream)
	})
}

// TestAHotKeyIsNotChased puts more than a shard takes at one hash key: no split would help.
func TestAHotKeyIsNotChased(t *testing.T) {
	follow(t, Config{}, func(t *testing.T, w *world, _ *testenv.Log) {
		refused := 0
		for range 300 {
			entry := stream.Entry{Key: "k", Data: zeros[:2*shardRate-1]}
			res, err := w.stream.Put(context.Background(), []stream.Entry{entry})
			if err != nil {
				t.Fatal(err)
			}
			if res[0].Err != nil {
				refused++
			}
			time.Sleep(time.Second)
		}
		if wantShards(t, w.stream, 4); refused < 100 {
			t.Errorf("%d of 300 records were refused", refused)
		}
	})
}

func TestTheQuotaOfOnDemandStreamsHoldsGrowthBack(t *testing.T) {
	follow(t, Config{Quota: 10}, func(t *testing.T, w *world, log *testenv.Log) {
		if _, err := w.streams.Create(context.Background(), "provisioned", stream.Config{Shards: 3}); err != nil {
			t.Fatal(err)
		}
		w.busy(t, 20, 5)
		wantShards(t, w.stream, 10)
		if n := strings.Count(log.String(), "needs more shards than it may have"); n != 1 {
			t.Errorf("the log tells %d times that there are too few:\n%s", n, log)
		}

		// Streams that grow in the same step share what is left.
		other, err := w.streams.Create(context.Background(), "other", w.stream.Config())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if wantShards(t, other, 4); w.stream.OpenShards() != 10 {
			t.Errorf("a stream beyond the quota has %d shards", w.stream.OpenShards())
		}
	})
	warm := func(*stream.Stream) int { return 20 }
	follow(t, Config{Quota: 11, Warm: warm}, func(t *testing.T, w *world, _ *testenv.Log) {
		other, err := w.streams.Create(context.Background(), "other", w.stream.Config())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if n := other.OpenShards() + w.stream.OpenShards(); n != 11 {
			t.Errorf("both streams have %d shards, the quota is 11", n)
		}
	})
}

func TestAWarmThroughputRaisesTheFloorAndTheCeiling(t *testing.T) {
	var warm atomic.Int32
	follow(t, Config{Warm: func(*stream.Stream) int { return int(warm.Load()) }}, func(t *testing.T, w *world, _ *testenv.Log) {
		time.Sleep(5 * time.Minute)
		wantShards(t, w.stream, 4)
		warm.Store(10)
		time.Sleep(2 * time.Minute)
		wantShards(t, w.stream, 10)
		warm.Store(250)
		time.Sleep(10 * time.Minute)
		wantShards(t, w.stream, 250)
		checkCover(t, w.stream)
	})
}

func TestAStreamOnlyGrowsToTheDefaultCeiling(t *testing.T) {
	follow(t, Config{}, func(t *testing.T, w *world, _ *testenv.Log) {
		if refused := w.busy(t, 180, 12); refused == 0 {
			t.Error("nothing was refused on the way")
		}
		wantShards(t, w.stream, DefaultCeiling)
	})
}

func TestSwitchingTheModeKeepsTheShards(t *testing.T) {
	follow(t, Config{}, func(t *testing.T, w *world, _ *testenv.Log) {
		w.busy(t, 5, 3)
		time.Sleep(3 * time.Minute)
		wantShards(t, w.stream, 10)
		if h := w.histories(); len(h) != 1 {
			t.Fatalf("histories are %q", h)
		}
		setMode(t, w.stream, stream.Provisioned)
		for range 3 {
			if _, err := w.stream.Put(context.Background(), []stream.Entry{{Key: "k", Data: zeros[:600]}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		wantShards(t, w.stream, 10)
		if h := w.histories(); len(h) != 0 {
			t.Fatalf("of a provisioned stream there are histories %q", h)
		}
		setMode(t, w.stream, stream.OnDemand)
		time.Sleep((window - 1) * 24 * time.Hour)
		wantShards(t, w.stream, 10)
		time.Sleep(3 * 24 * time.Hour)
		wantShards(t, w.stream, 4)
	})
}

func TestCountsThatBeganAnewAreNotTakenForALoad(t *testing.T) {
	k := &followed{seen: map[record.ShardID]stream.ShardLoad{0: {Bytes: 1000, Records: 2, Refused: 3}}}
	loads := k.rates([]stream.ShardLoad{{Bytes: 600, Records: 6, Refused: 4}}, time.Second)
	if l := loads[0]; l.Bytes != 600 || l.Records != 6 || !l.Refused {
		t.Errorf("load is %+v", l)
	}
}

func TestHistoriesGoWithTheirStreams(t *testing.T) {
	follow(t, Config{}, func(t *testing.T, w *world, _ *testenv.Log) {
		time.Sleep(time.Minute)
		if h := w.histories(); fmt.Sprint(h) != fmt.Sprintf("[%s%s]", prefix, w.stream.Incarnation()) {
			t.Fatalf("histories are %q", h)
		}
		if err := w.streams.Delete(context.Background(), "s"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if h := w.histories(); len(h) != 0 {
			t.Fatalf("histories are %q", h)
		}
	})
}

func TestADamagedHistoryIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openWorld(t, vfs.NewMem())
		defer w.close(t)
		key := prefix + w.stream.Incarnation().String()
		err := w.state.Update(context.Background(), func(tx *state.Tx) error { tx.Put(key, []byte{1, 2, 3}); return nil })
		if err != nil {
			t.Fatal(err)
		}
		log := new(testenv.Log)
		f := Follow(Config{Streams: w.streams, State: w.state, Logger: slog.New(slog.NewTextHandler(log, nil))})
		time.Sleep(Interval + time.Second)
		f.Close()
		if !strings.Contains(log.String(), "begins a new history") {
			t.Errorf("the log does not say so:\n%s", log)
		}
		w.state.View(func(tx *state.Tx) {
			stored, _ := tx.Get(key)
			if _, err := decodeHistory(stored); err != nil {
				t.Errorf("the stored history is % x: %v", stored, err)
			}
		})
	})
}

// TestAFullDiskIsToldOnceAndTheHistorySavedLater checks that a history which cannot be saved is saved later, and that the log says it once.
func TestAFullDiskIsToldOnceAndTheHistorySavedLater(t *testing.T) {
	follow(t, Config{}, func(t *testing.T, w *world, log *testenv.Log) {
		w.fs.SetCapacity(1)
		time.Sleep(5 * time.Minute)
		if n := strings.Count(log.String(), "cannot be saved"); n != 1 {
			t.Errorf("the log tells %d times that the history cannot be saved:\n%s", n, log)
		}
		w.fs.SetCapacity(0)
		time.Sleep(5 * time.Minute)
		if h := w.histories(); len(h) != 1 {
			t.Errorf("histories are %q", h)
		}
	})
}
