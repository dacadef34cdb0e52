package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// eachFS runs a test on every file system, in a directory that exists.
func eachFS(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		must(t, m.MkdirAll("/data"))
		test(t, m, "/data")
	})
	t.Run("overlay", func(t *testing.T) {
		m := NewMem()
		must(t, m.MkdirAll("/data"))
		test(t, NewOverlay(m), "/data")
		if left := names(t, m, "/data"); len(left) > 0 {
			t.Errorf("changes of an overlay reached its base: %v", left)
		}
	})
	t.Run("errors", func(t *testing.T) {
		m := NewMem()
		must(t, m.MkdirAll("/data"))
		test(t, NewErrors(m, func(Op, string, int) Fault { return Fault{} }), "/data")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, fsys FS, name, text string) {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func readFile(t *testing.T, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.OpenRead(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	p := make([]byte, size)
	if n, err := f.ReadAt(p, 0); n != len(p) {
		t.Fatalf("read %s: %d of %d bytes: %v", name, n, len(p), err)
	}
	return string(p)
}

func names(t *testing.T, fsys FS, dir string) []string {
	t.Helper()
	list, err := fsys.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestCreateWritesAndReadsBack(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		f, err := fsys.Create(name)
		must(t, err)
		if f.Name() != name {
			t.Errorf("Name %q, want %q", f.Name(), name)
		}
		_, err = f.WriteAt([]byte("tail"), 9000)
		must(t, err)
		_, err = f.WriteAt([]byte("head"), 0)
		must(t, err)
		must(t, f.Sync())
		p := make([]byte, 9010)
		n, err := f.ReadAt(p, 0)
		if n != 9004 || !errors.Is(err, io.EOF) {
			t.Fatalf("read past the end: %d, %v; want 9004, EOF", n, err)
		}
		if want := append(append([]byte("head"), make([]byte, 8996)...), "tail"...); !bytes.Equal(p[:n], want) {
			t.Error("bytes differ from what was written, with zeros between")
		}
		if _, err := f.ReadAt(p, 10000); !errors.Is(err, io.EOF) {
			t.Errorf("read beyond the end: %v, want EOF", err)
		}
		must(t, f.Close())
		if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("write to a closed file: %v, want fs.ErrClosed", err)
		}
	})
}

func TestErrorsOfNames(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		writeFile(t, fsys, name, "x")
		missing := filepath.Join(dir, "none")
		check := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		_, err := fsys.Create(name)
		check("create of what exists", err, fs.ErrExist)
		_, err = fsys.Open(missing)
		check("open", err, fs.ErrNotExist)
		_, err = fsys.OpenRead(missing)
		check("open to read", err, fs.ErrNotExist)
		_, err = fsys.Stat(missing)
		check("stat", err, fs.ErrNotExist)
		_, err = fsys.ReadDir(missing)
		check("list", err, fs.ErrNotExist)
		_, err = fsys.Usage(missing)
		check("usage", err, fs.ErrNotExist)
		check("remove", fsys.Remove(missing), fs.ErrNotExist)
		check("rename", fsys.Rename(missing, name), fs.ErrNotExist)
		check("sync of a directory", fsys.SyncDir(missing), fs.ErrNotExist)
		_, err = fsys.Create(filepath.Join(missing, "f"))
		check("create in a missing directory", err, fs.ErrNotExist)
		check("mkdir over a file", fsys.MkdirAll(name), syscall.ENOTDIR)
		must(t, fsys.MkdirAll(filepath.Join(dir, "full")))
		writeFile(t, fsys, filepath.Join(dir, "full", "f"), "x")
		check("remove of a full directory", fsys.Remove(filepath.Join(dir, "full")), syscall.ENOTEMPTY)
	})
}

func TestRenameReplaces(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		must(t, fsys.MkdirAll(filepath.Join(dir, "a", "b")))
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "a", "b", "to")
		writeFile(t, fsys, from, "new")
		writeFile(t, fsys, to, "old")
		must(t, fsys.Rename(from, to))
		must(t, fsys.SyncDir(dir))
		if got := readFile(t, fsys, to); got != "new" {
			t.Errorf("after the rename: %q, want new", got)
		}
		if got := names(t, fsys, dir); !slices.Equal(got, []string{"a"}) {
			t.Errorf("directory has %v, want a alone", got)
		}
	})
}

func TestReadDirIsSortedAndTellsDirectories(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		for _, name := range []string{"c", "a", "b"} {
			writeFile(t, fsys, filepath.Join(dir, name), name+name)
		}
		must(t, fsys.MkdirAll(filepath.Join(dir, "bb")))
		must(t, fsys.Remove(filepath.Join(dir, "a")))
		if got := names(t, fsys, dir); !slices.Equal(got, []string{"b", "bb", "c"}) {
			t.Errorf("directory has %v", got)
		}
		info, err := fsys.Stat(filepath.Join(dir, "bb"))
		must(t, err)
		if !info.IsDir() {
			t.Error("bb is not a directory")
		}
		info, err = fsys.Stat(filepath.Join(dir, "b"))
		must(t, err)
		if info.IsDir() || info.Size() != 2 || info.Name() != "b" {
			t.Errorf("b: %v, %d bytes, name %s", info.Mode(), info.Size(), info.Name())
		}
	})
}

func TestTruncateAndAllocate(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		f, err := fsys.Create(filepath.Join(dir, "f"))
		must(t, err)
		defer f.Close()
		size := func(want int64) {
			t.Helper()
			if got, err := f.Size(); err != nil || got != want {
				t.Fatalf("size %d, %v; want %d", got, err, want)
			}
		}
		_, err = f.WriteAt(bytes.Repeat([]byte("x"), 5000), 0)
		must(t, err)
		must(t, f.Allocate(1<<20))
		size(1 << 20)
		must(t, f.Allocate(100))
		size(1 << 20)
		must(t, f.Truncate(100))
		size(100)
		must(t, f.Truncate(5000))
		size(5000)
		f.Prefetch(0, 5000)
		p := make([]byte, 5000)
		_, err = f.ReadAt(p, 0)
		must(t, err)
		if want := append(bytes.Repeat([]byte("x"), 100), make([]byte, 4900)...); !bytes.Equal(p, want) {
			t.Error("what was cut off came back")
		}
		must(t, f.Sync())
	})
}

func TestReadOnlyFileTakesNoWrites(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		writeFile(t, fsys, name, "x")
		f, err := fsys.OpenRead(name)
		must(t, err)
		defer f.Close()
		if _, err := f.WriteAt([]byte("y"), 0); err == nil {
			t.Error("a file opened for reading was written")
		}
	})
}

func TestRemovedFileStaysReadableWhileOpen(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		writeFile(t, fsys, name, "x")
		f, err := fsys.Open(name)
		must(t, err)
		defer f.Close()
		must(t, fsys.Remove(name))
		writeFile(t, fsys, name, "y")
		p := make([]byte, 1)
		_, err = f.ReadAt(p, 0)
		must(t, err)
		if p[0] != 'x' {
			t.Errorf("read %q from the removed file", p)
		}
	})
}

func TestLockExcludes(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "lock")
		lock, err := fsys.Lock(name)
		must(t, err)
		if _, err := fsys.Lock(name); !errors.Is(err, ErrLocked) {
			t.Fatalf("second lock: %v, want ErrLocked", err)
		}
		must(t, lock.Close())
		lock, err = fsys.Lock(name)
		must(t, err)
		must(t, lock.Close())
	})
}

func TestMkdirAllTwice(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		deep := filepath.Join(dir, "a", "b", "c")
		must(t, fsys.MkdirAll(deep))
		must(t, fsys.MkdirAll(deep))
		writeFile(t, fsys, filepath.Join(deep, "f"), "x")
	})
}

func TestUsageIsPlausible(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		u, err := fsys.Usage(dir)
		must(t, err)
		if u.Total == 0 || u.Free > u.Total {
			t.Errorf("usage %+v", u)
		}
	})
}
