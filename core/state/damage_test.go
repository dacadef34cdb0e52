package state

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
)

// filled returns a file system with a store that has a snapshot, and the store's contents.
func filled(t *testing.T) (*vfs.Mem, map[string]string) {
	t.Helper()
	fsys := vfs.NewMem()
	s := open(t, fsys, Options{snapshotBytes: 500})
	for i := range 50 {
		put(t, s, fmt.Sprintf("key%d", i), strings.Repeat("v", i))
	}
	s.snapshots.running.Wait()
	want := contents(s)
	closeStore(t, s)
	return fsys, want
}

func TestEveryBitFlipInASnapshotIsFound(t *testing.T) {
	fsys, _ := filled(t)
	f, err := fsys.Open(dir + "/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	for bit := range size * 8 {
		off, mask := bit/8, byte(1)<<(bit%8)
		if _, err := f.ReadAt(b, off); err != nil {
			t.Fatal(err)
		}
		b[0] ^= mask
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
		_, _, _, err := readSnapshot(fsys, dir)
		if fault.CodeOf(err) != "state.snapshot_damaged" || !strings.Contains(err.Error(), dir+"/snapshot") {
			t.Fatalf("bit %d: %v", bit, err)
		}
		b[0] ^= mask
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	for _, length := range []int64{0, 1, snapshotHeader - 1, snapshotHeader, size - 1, size + 1} {
		if err := f.Truncate(length); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(fsys, dir, Options{}); fault.CodeOf(err) != "state.snapshot_damaged" {
			t.Errorf("cut to %d bytes: %v", length, err)
		}
	}
}

func TestMissingFilesAreNoticed(t *testing.T) {
	fsys, _ := filled(t)
	list, err := fsys.ReadDir(dir + "/journal")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := fsys.Remove(dir + "/journal/" + e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(fsys, dir, Options{}); fault.CodeOf(err) != "state.journal_mismatch" {
		t.Errorf("without a journal: %v", err)
	}
}

// TestErrorAtEveryOperation injects an error, a short write and a full disk at each operation in turn. Whatever happens,
// what was acked is there afterwards, and the store says that it is broken or goes on.
func TestErrorAtEveryOperation(t *testing.T) {
	for _, fault := range []vfs.Fault{{Err: syscall.EIO}, {Err: syscall.EIO, Done: true}, {Err: syscall.EIO, Bytes: 100}, {Err: syscall.ENOSPC}} {
		for k := 1; k <= 500; k++ {
			ops := errorRun(t, k, fault)
			if t.Failed() {
				t.Fatalf("operation %d, fault %+v", k, fault)
			}
			if ops < k {
				break
			}
		}
	}
}

func errorRun(t *testing.T, k int, injected vfs.Fault) (ops int) {
	mem := vfs.NewMem()
	fsys := vfs.NewErrors(mem, vfs.AtOp(k, injected))
	acked := map[string]string{}
	opts := Options{snapshotBytes: 2000, segmentSize: 64 << 10, journalSlack: 64 << 10}
	s, err := Open(fsys, dir, opts)
	if err == nil {
		for i := range 30 {
			key, value := fmt.Sprintf("k%d", i%7), fmt.Sprint(i, strings.Repeat("x", 500))
			err := s.Update(context.Background(), func(tx *Tx) error { tx.Put(key, []byte(value)); return nil })
			if err == nil {
				acked[key] = value
				continue
			}
			switch fault.CodeOf(err) {
			case "state.full":
			case "state.broken":
				again := s.Update(context.Background(), func(tx *Tx) error { tx.Put("x", nil); return nil })
				if fault.CodeOf(again) != "state.broken" || s.Err() == nil {
					t.Errorf("a broken store took an update: %v, Err %v", again, s.Err())
				}
			default:
				t.Errorf("update: %v", err)
			}
		}
		if diff := cmp.Diff(acked, contents(s)); diff != "" {
			t.Errorf("view after the error: %s", diff)
		}
		s.Close() // its error may be the injected one
	}
	ops = fsys.Ops()
	s, err = Open(mem.Kill(), dir, opts)
	if err != nil {
		t.Errorf("open afterwards: %v", err)
		return ops
	}
	defer closeStore(t, s)
	got := contents(s)
	for key, value := range acked {
		// An update that failed may be found stored, over one that was acked.
		if got[key] < value && len(got[key]) <= len(value) {
			t.Errorf("key %s: %.10q, acked %.10q", key, got[key], value)
		}
	}
	return ops
}

func TestFullDiskRefusesAndGoesOn(t *testing.T) {
	fsys := vfs.NewMem()
	fsys.SetCapacity(4 << 20)
	s := open(t, fsys, Options{segmentSize: 256 << 10})
	defer closeStore(t, s)
	put(t, s, "k", "v")
	var err error
	for i := 0; err == nil && i < 10_000; i++ {
		err = s.Update(t.Context(), func(tx *Tx) error { tx.Put(fmt.Sprint(i), make([]byte, 10_000)); return nil })
	}
	if fault.CodeOf(err) != "state.full" || fault.ClassOf(err) == fault.Permanent {
		t.Fatalf("on a full disk: %v", err)
	}
	if contents(s)["k"] != "v" || s.Err() == nil {
		t.Errorf("reads go on, and Err tells: %v", s.Err())
	}
	fsys.SetCapacity(64 << 20)
	waitUntil(t, func() bool {
		return s.Update(t.Context(), func(tx *Tx) error { tx.Put("after", nil); return nil }) == nil
	})
}

func TestAStoreOfAnotherUserIsRefusedWithAHint(t *testing.T) {
	base, _ := filled(t)
	fsys := vfs.NewErrors(base, func(op vfs.Op, name string, _ int) vfs.Fault {
		if op == vfs.OpOpen || op == vfs.OpStat || op == vfs.OpLock {
			return vfs.Fault{Err: &fs.PathError{Op: op.String(), Path: name, Err: fs.ErrPermission}}
		}
		return vfs.Fault{}
	})
	for name, open := range map[string]func() (*Store, error){
		"for reading": func() (*Store, error) { return OpenReadOnly(fsys, dir) },
		"for writing": func() (*Store, error) { return Open(fsys, dir, Options{}) },
	} {
		if _, err := open(); fault.CodeOf(err) != "state.permission" || !strings.Contains(err.Error(), "the user who owns") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadOnlyWhileAnotherWrites(t *testing.T) {
	fsys := vfs.NewMem()
	if _, err := OpenReadOnly(fsys, dir); fault.CodeOf(err) != "state.open" {
		t.Errorf("a store that does not exist: %v", err)
	}
	s := open(t, fsys, Options{snapshotBytes: 100_000, segmentSize: 256 << 10, journalSlack: 8 << 20})
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			err := s.Update(context.Background(), func(tx *Tx) error {
				tx.Put("a", fmt.Append(nil, i, strings.Repeat("x", 700)))
				tx.Put("b", fmt.Append(nil, i, strings.Repeat("x", 700)))
				return nil
			})
			if err != nil && fault.CodeOf(err) != "state.full" {
				t.Error(err)
				return
			}
		}
	})
	for range 20 {
		r, err := OpenReadOnly(fsys, dir)
		if err != nil {
			t.Error(err)
			break
		}
		got := contents(r)
		if got["a"] != got["b"] {
			t.Error("half a transaction is seen")
		}
		if err := r.Update(t.Context(), func(*Tx) error { return nil }); fault.CodeOf(err) != "state.read_only" {
			t.Errorf("update: %v", err)
		}
		closeStore(t, r)
	}
	close(stop)
	writer.Wait()
	want := contents(s)
	closeStore(t, s)
	before := len(mustList(t, fsys))
	r, err := OpenReadOnly(fsys, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, contents(r)); diff != "" {
		t.Error(diff)
	}
	if after := len(mustList(t, fsys)); after != before {
		t.Errorf("reading left %d files of %d", after, before)
	}
}

func mustList(t *testing.T, fsys vfs.FS) []string {
	t.Helper()
	var names []string
	for _, d := range []string{dir, dir + "/journal"} {
		list, err := fsys.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
	}
	return names
}
