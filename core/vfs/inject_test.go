package vfs

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

const errNoSpace = syscall.ENOSPC

func TestFaultHitsTheKthOperationOfItsKind(t *testing.T) {
	e := NewErrors(NewMem(), AtOp(2, Fault{Err: syscall.EIO, Bytes: 3}, OpWrite))
	f, err := e.Create("/f")
	must(t, err)
	_, err = f.WriteAt([]byte("aaaaa"), 0)
	must(t, err)
	n, err := f.WriteAt([]byte("bbbbb"), 0)
	if n != 3 || !errors.Is(err, syscall.EIO) {
		t.Fatalf("second write: %d, %v; want a short write of 3 and EIO", n, err)
	}
	_, err = f.WriteAt([]byte("c"), 0)
	must(t, err)
	if got := readFile(t, e, "/f"); got != "cbbaa" {
		t.Errorf("file has %q, want cbbaa", got)
	}
}

func TestFaultMayTakeEffect(t *testing.T) {
	for _, done := range []bool{false, true} {
		m := NewMem()
		e := NewErrors(m, AtOp(1, Fault{Err: io.ErrUnexpectedEOF, Done: done}, OpRename))
		writeFile(t, e, "/a", "x")
		if err := e.Rename("/a", "/b"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("rename: %v", err)
		}
		if exists(m, "/b") != done {
			t.Errorf("done=%t, and renamed is %t", done, exists(m, "/b"))
		}
	}
}

func TestEveryOperationCanFail(t *testing.T) {
	var seen []Op
	failing := false
	e := NewErrors(NewMem(), func(op Op, name string, n int) Fault {
		if !failing {
			return Fault{}
		}
		seen = append(seen, op)
		return Fault{Err: errNoSpace}
	})
	f, err := e.Create("/f")
	must(t, err)
	failing = true
	calls := []func() error{
		func() error { _, err := e.Create("/g"); return err },
		func() error { _, err := e.Open("/f"); return err },
		func() error { return e.MkdirAll("/d") },
		func() error { return e.Remove("/f") },
		func() error { return e.Rename("/f", "/g") },
		func() error { _, err := e.ReadDir("/"); return err },
		func() error { _, err := e.Stat("/f"); return err },
		func() error { return e.SyncDir("/") },
		func() error { _, err := e.Lock("/l"); return err },
		func() error { _, err := e.Usage("/"); return err },
		func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		func() error { _, err := f.WriteAt(make([]byte, 1), 0); return err },
		func() error { return f.Sync() },
		func() error { return f.Truncate(1) },
		func() error { return f.Allocate(1) },
		func() error { _, err := f.Size(); return err },
		func() error { return f.Close() },
	}
	for i, call := range calls {
		if err := call(); !errors.Is(err, errNoSpace) {
			t.Errorf("%s: %v, want the injected error", Op(i), err)
		}
	}
	for i, op := range seen {
		if op != Op(i) {
			t.Fatalf("call %d was seen as %s, want %s", i, op, Op(i))
		}
	}
	if len(seen) != len(opNames) {
		t.Errorf("%d kinds seen, %d named", len(seen), len(opNames))
	}
	failing = false
	if got := names(t, e, "/"); !slices.Equal(got, []string{"f"}) {
		t.Errorf("failed operations left %v", got)
	}
}

// TestFailedSyncLosesBytesForGood is what makes retrying a failed sync wrong.
func TestFailedSyncLosesBytesForGood(t *testing.T) {
	m := NewMem()
	e := NewErrors(m, AtOp(1, Fault{Err: syscall.EIO}, OpSync))
	f, err := e.Create("/f")
	must(t, err)
	must(t, e.SyncDir("/"))
	_, err = f.WriteAt([]byte("x"), 0)
	must(t, err)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	must(t, f.Sync())
	if got := readFile(t, m, "/f"); got != "x" {
		t.Errorf("before the crash: %q, want x", got)
	}
	if got := readFile(t, m.Crash(rand.New(rand.NewPCG(1, 1)), 100), "/f"); got == "x" {
		t.Error("a later sync made durable what a failed one had covered")
	}
}

func TestAllocateWithoutTheSystemsHelpWritesZeros(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(name, []byte("x"), 0o600))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	must(t, writeZeros(f, 600<<10))
	p, err := os.ReadFile(name)
	must(t, err)
	if len(p) != 600<<10 || p[0] != 'x' || slices.Max(p[1:]) != 0 {
		t.Errorf("%d bytes, first %q", len(p), p[0])
	}
}
