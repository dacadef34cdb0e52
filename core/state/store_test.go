package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dir = "/data/state"

func open(t testing.TB, fsys vfs.FS, opts Options) *Store {
	t.Helper()
	s, err := Open(fsys, dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, s *Store, key, value string) {
	t.Helper()
	if err := s.Update(context.Background(), func(tx *Tx) error { tx.Put(key, []byte(value)); return nil }); err != nil {
		t.Fatal(err)
	}
}

// contents returns all keys and values that View shows.
func contents(s *Store) map[string]string {
	all := map[string]string{}
	s.View(func(tx *Tx) {
		tx.Scan("", func(key string, value []byte) bool { all[key] = string(value); return true })
	})
	return all
}

func TestTransactionsReadTheirOwnWrites(t *testing.T) {
	s := open(t, vfs.NewMem(), Options{})
	defer closeStore(t, s)
	put(t, s, "a/1", "one")
	put(t, s, "a/2", "two")
	put(t, s, "b/1", "other")
	err := s.Update(t.Context(), func(tx *Tx) error {
		tx.Put("a/3", []byte("three"))
		tx.Delete("a/1")
		tx.Put("a/2", []byte("2"))
		var seen []string
		tx.Scan("a/", func(key string, value []byte) bool {
			tx.Put("a/9", []byte("written while scanning"))
			seen = append(seen, key+"="+string(value))
			return true
		})
		if want := []string{"a/2=2", "a/3=three"}; !slices.Equal(seen, want) {
			t.Errorf("scan %q, want %q", seen, want)
		}
		if _, ok := tx.Get("a/1"); ok {
			t.Error("a deleted key is still there")
		}
		if v, ok := tx.Get("a/9"); !ok || string(v) != "written while scanning" {
			t.Errorf("Get: %q, %t", v, ok)
		}
		if got := contents(s); got["a/1"] != "one" || got["a/3"] != "" {
			t.Error("a view shows what is not durable")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a/2": "2", "a/3": "three", "a/9": "written while scanning", "b/1": "other"}
	if diff := cmp.Diff(want, contents(s)); diff != "" {
		t.Error(diff)
	}
}

func TestFailedTransactionsDoNothing(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{maxBytes: 1000})
	put(t, s, "k", "v")
	cause := errors.New("cause")
	tests := map[string]struct {
		fn   func(tx *Tx) error
		code string
	}{
		"fn fails":     {func(tx *Tx) error { return cause }, "internal"},
		"empty key":    {func(tx *Tx) error { tx.Put("", nil); return nil }, "state.bad_key"},
		"long key":     {func(tx *Tx) error { tx.Put(strings.Repeat("x", MaxKey+1), nil); return nil }, "state.bad_key"},
		"too large":    {func(tx *Tx) error { tx.Put("x", make([]byte, MaxTransaction)); return nil }, "state.too_large"},
		"store's size": {func(tx *Tx) error { tx.Put("x", make([]byte, 1000)); return nil }, "state.full"},
	}
	for name, test := range tests {
		err := s.Update(t.Context(), func(tx *Tx) error {
			tx.Put("k", []byte("changed"))
			tx.Put("other", nil)
			return test.fn(tx)
		})
		if err == nil || fault.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %s", name, err, test.code)
		}
	}
	func() {
		defer func() { recover() }()
		s.Update(t.Context(), func(tx *Tx) error { tx.Put("k", nil); panic("x") })
	}()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Update(canceled, func(tx *Tx) error { tx.Put("k", nil); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	want := map[string]string{"k": "v"}
	if diff := cmp.Diff(want, contents(s)); diff != "" {
		t.Error(diff)
	}
	closeStore(t, s)
	if err := s.Update(t.Context(), func(tx *Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("update of a closed store: %v", err)
	}
	s = open(t, fsys, Options{})
	defer closeStore(t, s)
	if diff := cmp.Diff(want, contents(s)); diff != "" {
		t.Error(diff)
	}
}

func TestValuesDoNotAlias(t *testing.T) {
	s := open(t, vfs.NewMem(), Options{})
	defer closeStore(t, s)
	in := []byte("value")
	err := s.Update(t.Context(), func(tx *Tx) error {
		tx.Put("k", in)
		in[0] = 'X'
		v, _ := tx.Get("k")
		v[1] = 'X'
		tx.Scan("", func(_ string, v []byte) bool { v[2] = 'X'; return true })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.View(func(tx *Tx) {
		v, _ := tx.Get("k")
		v[3] = 'X'
	})
	if got := contents(s)["k"]; got != "value" {
		t.Errorf("value %q was changed through an alias", got)
	}
}

func TestOnlyOneProcessOpensAStore(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	defer closeStore(t, s)
	if _, err := Open(fsys, dir, Options{}); !errors.Is(err, vfs.ErrLocked) || fault.CodeOf(err) != "state.locked" {
		t.Errorf("second open: %v", err)
	}
}

func TestLargeTransactionsSurvive(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{})
	large := bytes.Repeat([]byte("0123456789abcdef"), (20<<20)/16)
	put(t, s, "large", string(large))
	put(t, s, "small", "x")
	closeStore(t, s)
	s = open(t, fsys, Options{})
	defer closeStore(t, s)
	if got := contents(s); got["large"] != string(large) || got["small"] != "x" {
		t.Errorf("%d bytes of %d, small %q", len(got["large"]), len(large), got["small"])
	}
}

func TestConcurrentUpdatesShareSyncs(t *testing.T) {
	syncs := 0
	fsys := vfs.NewErrors(vfs.NewMem(), func(op vfs.Op, _ string, _ int) vfs.Fault {
		if op == vfs.OpSync {
			syncs++
			time.Sleep(200 * time.Microsecond)
		}
		return vfs.Fault{}
	})
	s := open(t, fsys, Options{})
	defer closeStore(t, s)
	const writers, each = 32, 20
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				put(t, s, fmt.Sprintf("%d/%d", w, i), "x")
			}
		})
	}
	all.Wait()
	if n := len(contents(s)); n != writers*each {
		t.Errorf("%d keys, want %d", n, writers*each)
	}
	if syncs > writers*each/4 {
		t.Errorf("%d syncs for %d transactions", syncs, writers*each)
	}
}

func TestUpdatesAreSerial(t *testing.T) {
	s := open(t, vfs.NewMem(), Options{})
	defer closeStore(t, s)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				err := s.Update(t.Context(), func(tx *Tx) error {
					v, _ := tx.Get("counter")
					tx.Put("counter", append(v, 'x'))
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := len(contents(s)["counter"]); n != 400 {
		t.Errorf("counted to %d, want 400", n)
	}
}

func TestSnapshotsReplaceTheJournal(t *testing.T) {
	fsys := vfs.NewMem()
	opts := Options{snapshotBytes: 64 << 10, segmentSize: 256 << 10, journalSlack: 512 << 10}
	s := open(t, fsys, opts)
	value := strings.Repeat("v", 4000)
	for i := range 2000 { // 8 MB
		put(t, s, fmt.Sprintf("key%03d", i%50), fmt.Sprint(i)+value)
	}
	s.snapshots.running.Wait()
	want := contents(s)
	waitUntil(t, func() bool { return s.journal.Size() <= 4<<20 })
	closeStore(t, s)
	s = open(t, fsys, opts)
	defer closeStore(t, s)
	if diff := cmp.Diff(want, contents(s)); diff != "" {
		t.Error(diff)
	}
}

// TestModel compares a store with a map over random transactions, snapshots and restarts.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fsys := vfs.NewMem()
		opts := Options{snapshotBytes: 200, segmentSize: 256 << 10}
		openModel := func() *Store {
			s, err := Open(fsys, dir, opts)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := openModel()
		defer func() { s.Close() }()
		model := map[string]string{}
		keys := rapid.StringMatching(`[ab]{1,3}`)
		check := func() {
			if diff := cmp.Diff(model, contents(s)); diff != "" {
				t.Fatal(diff)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"update": func(t *rapid.T) {
				next := maps.Clone(model)
				fails := rapid.IntRange(0, 5).Draw(t, "fails") == 0
				err := s.Update(context.Background(), func(tx *Tx) error {
					for range rapid.IntRange(0, 6).Draw(t, "operations") {
						key := keys.Draw(t, "key")
						switch rapid.IntRange(0, 3).Draw(t, "kind") {
						case 0:
							value := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "value")
							tx.Put(key, value)
							next[key] = string(value)
						case 1:
							tx.Delete(key)
							delete(next, key)
						case 2:
							v, ok := tx.Get(key)
							if w, has := next[key]; ok != has || string(v) != w {
								t.Fatalf("Get(%s) = %q, %t; want %q, %t", key, v, ok, w, has)
							}
						case 3:
							var want, got []string
							for _, k := range slices.Sorted(maps.Keys(next)) {
								if strings.HasPrefix(k, key) {
									want = append(want, k+next[k])
								}
							}
							tx.Scan(key, func(k string, v []byte) bool { got = append(got, k+string(v)); return true })
							if !slices.Equal(got, want) {
								t.Fatalf("Scan(%s) = %q, want %q", key, got, want)
							}
						}
					}
					if fails {
						return errors.New("no")
					}
					return nil
				})
				if fails != (err != nil) {
					t.Fatalf("update: %v, to fail: %t", err, fails)
				}
				if !fails {
					model = next
				}
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = openModel()
			},
			"crash": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				fsys.Freeze()
				s.Close()
				fsys = fsys.Crash(rand.New(rand.NewPCG(seed, 0)), 50)
				s = openModel()
			},
			"": func(*rapid.T) { check() },
		})
	})
}

func waitUntil(t testing.TB, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !what(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it has not happened in a minute")
		}
	}
}
