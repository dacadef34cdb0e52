package kinesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// lasting is how long states last in these tests.
const lasting = 10 * time.Second

// status is the state of a stream as a client sees it, empty if there is no such stream.
func (s *server) status(name string) string {
	s.t.Helper()
	for _, sum := range must[ListStreamsOutput](s, "ListStreams", doc{}).StreamSummaries {
		if sum.StreamName != name {
			continue
		}
		if got := s.summary(name).StreamStatus; got != sum.StreamStatus {
			s.t.Errorf("%s is %s in its summary and %s in the list", name, got, sum.StreamStatus)
		}
		return sum.StreamStatus
	}
	return ""
}

// wantStates checks the state of a stream at once, just before and just after it has lasted long enough.
func (s *server) wantStates(name, during, after string) {
	s.t.Helper()
	for _, step := range []struct {
		sleep time.Duration
		want  string
	}{{0, during}, {lasting - time.Millisecond, during}, {2 * time.Millisecond, after}} {
		time.Sleep(step.sleep)
		synctest.Wait()
		if got := s.status(name); got != step.want {
			s.t.Errorf("%s is %q, want %q", name, got, step.want)
		}
	}
}

// bubble runs a test in a synctest bubble. The background of the log must be asleep, not waiting, when the test ends.
func bubble(t *testing.T, cfg Config, test func(t *testing.T, s *server)) {
	synctest.Test(t, func(t *testing.T) { test(t, newServer(t, cfg)) })
}

func TestStatesLastAsLongAsTheFlagSays(t *testing.T) {
	bubble(t, Config{Transition: lasting}, func(t *testing.T, s *server) {
		s.create("a", 1)
		if got := s.summary("a"); got.OpenShardCount != 0 {
			t.Errorf("CREATING with %d shards", got.OpenShardCount)
		}
		if d := must[DescribeStreamOutput](s, "DescribeStream", doc{"StreamName": "a"}).StreamDescription; len(d.Shards) != 0 || d.StreamStatus != "CREATING" {
			t.Errorf("description: %+v", d)
		}
		s.wantStates("a", "CREATING", "ACTIVE")
		arn := s.streamARN("a")
		must[any](s, "UpdateMaxRecordSize", doc{"StreamARN": arn, "MaxRecordSizeInKiB": 2048})
		s.wantStates("a", "UPDATING", "ACTIVE")
		must[any](s, "DeleteStream", doc{"StreamARN": arn})
		s.wantStates("a", "DELETING", "")
		s.create("a", 1)
		s.wantStates("a", "CREATING", "ACTIVE")
	})
}

func TestStatesGoOnAfterARestart(t *testing.T) {
	restarted := func(s *server) {
		time.Sleep(lasting / 2)
		s.restart()
		time.Sleep(lasting/2 - time.Millisecond)
		synctest.Wait()
	}
	bubble(t, Config{Transition: lasting}, func(t *testing.T, s *server) {
		expect := func(during, after string) {
			t.Helper()
			restarted(s)
			if got := s.status("a"); got != during {
				t.Errorf("%q after a restart, want %q", got, during)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if got := s.status("a"); got != after {
				t.Errorf("%q after %s had ended, want %q", got, during, after)
			}
		}
		s.create("a", 1)
		expect("CREATING", "ACTIVE")
		must[any](s, "SplitShard", doc{"StreamName": "a", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "100"})
		expect("UPDATING", "ACTIVE")
		must[any](s, "DeleteStream", doc{"StreamName": "a"})
		expect("DELETING", "")
		if keys := storedMetas(s); len(keys) != 0 {
			t.Errorf("left in the state store: %v", keys)
		}
	})
}

func TestAStateThatWasOverWhileTheServerWasDownEndsAtTheStart(t *testing.T) {
	bubble(t, Config{Transition: lasting}, func(t *testing.T, s *server) {
		s.create("a", 1)
		s.create("b", 1)
		time.Sleep(lasting)
		must[any](s, "DeleteStream", doc{"StreamName": "a"})
		must[any](s, "UpdateMaxRecordSize", doc{"StreamARN": s.streamARN("b"), "MaxRecordSizeInKiB": 2048})
		s.stop()
		time.Sleep(time.Hour)
		s.start()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		if a, b := s.status("a"), s.status("b"); a != "" || b != "ACTIVE" {
			t.Errorf("a is %q, b is %q", a, b)
		}
	})
}

func TestAStateEndsSoonerIfTheFlagSaysSo(t *testing.T) {
	bubble(t, Config{Transition: time.Hour}, func(t *testing.T, s *server) {
		s.create("a", 1)
		s.cfg.Transition = 0
		s.restart()
		if got := s.status("a"); got != "ACTIVE" {
			t.Errorf("a is %s, though states do not last", got)
		}
	})
}

func TestOperationsInTheWrongStateAreRefused(t *testing.T) {
	const (
		creating = "Stream a under account 123456789012 not ACTIVE, instead in state CREATING"
		updating = "Stream a under account 123456789012 not ACTIVE, instead in state UPDATING"
		deleting = "Stream a under account 123456789012 not ACTIVE, instead in state DELETING"
	)
	bubble(t, Config{Transition: lasting}, func(t *testing.T, s *server) {
		arn := s.streamARN("a")
		changes := []struct {
			operation string
			in        doc
		}{
			{"DeleteStream", doc{"StreamName": "a"}},
			{"UpdateMaxRecordSize", doc{"StreamARN": arn, "MaxRecordSizeInKiB": 2048}},
			{"UpdateStreamMode", doc{"StreamARN": arn, "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}}},
			{"UpdateStreamRecordDistributionStrategy", doc{"StreamARN": arn, "RecordDistributionStrategy": "USER_PARTITION_KEY"}},
		}
		refused := func(message string) {
			t.Helper()
			for _, c := range changes {
				s.refused(c.operation, c.in, codeResourceInUse, message)
			}
			s.refused("CreateStream", doc{"StreamName": "a", "ShardCount": 1}, codeResourceInUse, "Stream a under account 123456789012 already exists.")
		}
		s.create("a", 1)
		refused(creating)
		k, _ := s.known("a")
		if k.serving() == nil || k.active() == nil {
			t.Error("a stream in CREATING takes records")
		}
		time.Sleep(lasting)
		must[any](s, changes[1].operation, changes[1].in)
		refused(updating)
		if err := k.serving(); err != nil || k.active() == nil {
			t.Errorf("a stream in UPDATING: %v", err)
		}
		time.Sleep(lasting)
		must[any](s, "DeleteStream", changes[0].in)
		refused(deleting)
		if k.serving() == nil {
			t.Error("a stream in DELETING takes records")
		}
	})
}

func TestFiveStreamsAreCreatedOrDeletedAtATime(t *testing.T) {
	const message = "This request would have exceed the limit on the number of streams that can simultaneously be in CREATING or DELETING for the account 123456789012. Limit: 5."
	bubble(t, Config{Transition: lasting}, func(t *testing.T, s *server) {
		for i := range 5 {
			s.create(fmt.Sprintf("s%d", i), 1)
		}
		s.refused("CreateStream", doc{"StreamName": "sixth", "ShardCount": 1}, codeLimitExceeded, message)
		time.Sleep(lasting)
		s.create("sixth", 1)
		for i := range 4 {
			must[any](s, "DeleteStream", doc{"StreamName": fmt.Sprintf("s%d", i)})
		}
		s.refused("CreateStream", doc{"StreamName": "seventh", "ShardCount": 1}, codeLimitExceeded, message)
		time.Sleep(lasting)
		synctest.Wait()
		s.create("seventh", 1)
	})
}

func TestOneTransitionHappensAtATime(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	k, _ := s.known("a")
	inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- k.transition(t.Context(), statusUpdating, func() error {
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	if got := s.status("a"); got != "UPDATING" {
		t.Errorf("a is %s", got)
	}
	s.refused("DeleteStream", doc{"StreamName": "a"}, codeResourceInUse, "Stream a under account 123456789012 not ACTIVE, instead in state UPDATING")
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := s.status("a"); got != "ACTIVE" {
		t.Errorf("a is %s", got)
	}
}

func TestAFailedTransitionLeavesTheStreamActive(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	s.API.cfg.Transition = time.Hour
	k, _ := s.known("a")
	failed := errors.New("failed")
	if err := k.transition(t.Context(), statusUpdating, func() error { return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	if got := s.status("a"); got != "ACTIVE" {
		t.Errorf("a is %s", got)
	}
}

func TestADeletionThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := newServerOn(t, mem, Config{Transition: lasting})
		defer s.stop()
		s.create("a", 1)
		time.Sleep(lasting)
		must[any](s, "DeleteStream", doc{"StreamName": "a"})
		mem.SetCapacity(1)
		for size := 1 << 20; size > 0; { // what is preallocated is spent too
			err := s.API.cfg.State.Update(t.Context(), func(tx *state.Tx) error {
				tx.Put("filler", make([]byte, size))
				return nil
			})
			if err != nil {
				size /= 2
			}
		}
		time.Sleep(lasting + time.Second)
		if got := s.status("a"); got != "DELETING" {
			t.Errorf("a is %q on a full disk", got)
		}
		mem.SetCapacity(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.status("a"); got != "" {
			t.Errorf("a is %q", got)
		}
	})
}

// TestACreationOrDeletionIsThereAsAWholeOrNotAtAll lets the power fail before each operation on the file system: a stream
// is never there without its tags and its state, and nothing of it stays without the stream.
func TestACreationOrDeletionIsThereAsAWholeOrNotAtAll(t *testing.T) {
	created, deleted := 0, 0
	for dieAt := 1; ; dieAt++ {
		if dieAt > 500 {
			t.Fatal("a creation and a deletion take more than 500 operations")
		}
		mem := vfs.NewMem()
		var armed atomic.Bool
		var ops atomic.Int64
		fsys := vfs.NewErrors(mem, func(vfs.Op, string, int) vfs.Fault {
			if armed.Load() && ops.Add(1) == int64(dieAt) {
				mem.Freeze()
			}
			return vfs.Fault{}
		})
		cfg := Config{Transition: time.Hour, Now: newClock().now}
		s := newServerOn(t, fsys, cfg)
		armed.Store(true)
		createErr := s.call("CreateStream", doc{"StreamName": "a", "ShardCount": 1, "Tags": doc{"x": "y"}}, nil)
		var deleteErr error
		if k, err := s.known("a"); err == nil {
			deleteErr = k.remove(t.Context())
		}
		finished := ops.Load() < int64(dieAt)
		_ = errors.Join(s.Close(), s.API.cfg.Streams.Close(), s.API.cfg.State.Close()) // on a disk that is frozen or not

		after := newServerOn(t, mem.Crash(rand.New(rand.NewPCG(uint64(dieAt), 0)), 50), cfg)
		k, err := after.known("a")
		switch {
		case err == nil:
			created++
			if k.meta().Tags["x"] != "y" || k.status() != statusCreating || len(storedMetas(after)) != 1 {
				t.Errorf("power failure at %d: the stream has the meta %+v", dieAt, k.meta())
			}
			if deleteErr == nil && finished {
				t.Errorf("power failure at %d: the stream is there after its deletion", dieAt)
			}
		case len(storedMetas(after)) != 0:
			t.Errorf("power failure at %d: there is no stream, but %v", dieAt, storedMetas(after))
		case createErr == nil:
			deleted++
		}
		after.stop()
		if finished {
			break
		}
	}
	if created == 0 || deleted == 0 {
		t.Errorf("the stream was found %d times, and deleted %d times: nothing was shown", created, deleted)
	}
}
