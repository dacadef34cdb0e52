package stream

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// crashAtEach runs action on a world that was set up, and lets the machine die before the action's k-th operation on the
// file system, for each k until the action comes through. check sees the world after the restart and whether the action
// was acked.
func crashAtEach(t failer, seams seams, setUp func(*world), action func(*world) error, check func(w *world, acked bool)) {
	t.Helper()
	for _, unsynced := range []int{0, 50, 100} {
		for k := 1; ; k++ {
			mem, clock := vfs.NewMem(), newClock()
			var armed, hit atomic.Bool
			left := k
			fsys := vfs.NewErrors(mem, func(vfs.Op, string, int) vfs.Fault {
				if armed.Load() {
					if left--; left == 0 {
						mem.Freeze()
						hit.Store(true)
					}
				}
				return vfs.Fault{}
			})
			w := mustOpen(t, fsys, clock, seams)
			setUp(w)
			armed.Store(true)
			acked := action(w) == nil
			armed.Store(false)
			died := hit.Load()
			mem.Freeze()
			_ = w.close()
			after := mem.Crash(rand.New(rand.NewPCG(uint64(k), uint64(unsynced))), unsynced)
			func() {
				w := mustOpen(t, after, clock)
				defer func() {
					if err := w.close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}()
				check(w, acked)
				wantOnlyKnownFolders(t, after, w)
			}()
			if t.Failed() {
				t.Fatalf("died at operation %d with %d %% of what was not synced", k, unsynced)
			}
			if !died {
				break
			}
			if !testenv.Full() && k > 20 {
				k += k / 8 // quick: only some of the many operations late in an action
			}
		}
	}
}

// wantOnlyKnownFolders waits until the garbage of crashes is removed.
func wantOnlyKnownFolders(t failer, fsys vfs.FS, w *world) {
	t.Helper()
	known := map[string]bool{"LOCK": true}
	for _, name := range w.List() {
		s, err := w.Get(name)
		if err != nil {
			t.Fatalf("%v", err)
		}
		known[s.Incarnation().String()] = true
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		entries, err := fsys.ReadDir("/data/streams")
		if err != nil {
			t.Fatalf("%v", err)
		}
		i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return !known[e.Name()] })
		if i < 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s was never removed", filepath.Join("/data/streams", entries[i].Name()))
		}
	}
}

// keep is a stream that nothing may happen to.
func keep(t failer) func(*world) {
	return func(w *world) { put(t, w.mustCreate(t, "keep", Config{Shards: 2}), "a", "b", "c") }
}

func wantKept(t failer, w *world) {
	t.Helper()
	s, err := w.Get("keep")
	if err != nil {
		t.Fatalf("%v", err)
	}
	wantThree(t, s)
}

// wantThree checks that the first two shards of a stream have the records that a set-up put there.
func wantThree(t failer, s *Stream) {
	t.Helper()
	n := 0
	for id := range record.ShardID(2) {
		data, _ := readAll(t, s, id)
		n += len(data)
	}
	if n != 3 {
		t.Errorf("%d records are left of 3 in stream %s", n, s.Name())
	}
}

func TestCreationIsWholeOrNotThereAfterACrash(t *testing.T) { checkCreation(t, seams{}) }

func checkCreation(t failer, seams seams) {
	crashAtEach(t, seams, keep(t), func(w *world) error {
		_, err := w.Create(context.Background(), "new", Config{Shards: 3})
		return err
	}, func(w *world, acked bool) {
		wantKept(t, w)
		s, err := w.Get("new")
		if fault.CodeOf(err) == "stream.not_found" && !acked {
			s, err = w.Create(context.Background(), "new", Config{Shards: 3})
		}
		if err != nil || s.OpenShards() != 3 {
			t.Fatalf("stream after the crash: %v (creation acked: %v)", err, acked)
		}
		put(t, s, "x", "y")
	})
}

func TestDeletionIsWholeOrNotDoneAfterACrash(t *testing.T) { checkDeletion(t, seams{}) }

func checkDeletion(t failer, seams seams) {
	setUp := func(w *world) {
		keep(t)(w)
		put(t, w.mustCreate(t, "old", Config{Shards: 2}), "a", "b", "c")
	}
	crashAtEach(t, seams, setUp, func(w *world) error {
		return w.Delete(context.Background(), "old")
	}, func(w *world, acked bool) {
		wantKept(t, w)
		s, err := w.Get("old")
		if acked || err != nil {
			wantCode(t, err, fault.Permanent, "stream.not_found")
			return
		}
		wantThree(t, s)
	})
}

func TestReshardIsWholeOrNotDoneAfterACrash(t *testing.T) { checkReshard(t, seams{}) }

func checkReshard(t failer, seams seams) {
	crashAtEach(t, seams, keep(t), func(w *world) error {
		s, err := w.Get("keep")
		if err != nil {
			return err
		}
		return s.UpdateShardCount(context.Background(), 5)
	}, func(w *world, acked bool) {
		wantKept(t, w)
		s, err := w.Get("keep")
		if err != nil {
			t.Fatalf("%v", err)
		}
		if acked && s.OpenShards() != 5 {
			t.Errorf("%d shards, but an update to 5 was acked", s.OpenShards())
		}
		if err := s.UpdateShardCount(context.Background(), 5); err != nil || s.OpenShards() != 5 {
			t.Errorf("finishing the update: %v", err)
		}
		put(t, s, "x", "y", "z")
	})
}
