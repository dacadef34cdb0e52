package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
)

// crashes calls check with the file systems after many power failures of the one that build makes.
func crashes(t *testing.T, build func(t *testing.T) *Mem, percent int, check func(t *testing.T, after *Mem)) {
	t.Helper()
	before := build(t)
	for seed := range uint64(testenv.Count(300, 3000)) {
		after := before.Crash(rand.New(rand.NewPCG(seed, 0)), percent)
		check(t, after)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func exists(fsys FS, name string) bool {
	_, err := fsys.Stat(name)
	return err == nil
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	crashes(t, func(t *testing.T) *Mem {
		m := NewMem()
		must(t, m.MkdirAll("/a/b"))
		writeFile(t, m, "/a/b/f", "synced")
		must(t, m.SyncDir("/a/b"))
		f, err := m.Open("/a/b/f")
		must(t, err)
		_, err = f.WriteAt([]byte(" and not"), 6)
		must(t, err)
		return m
	}, 50, func(t *testing.T, after *Mem) {
		if got := readFile(t, after, "/a/b/f"); got[:6] != "synced" {
			t.Errorf("%q after the crash", got)
		}
	})
}

// TestCrashOutcomes checks that the outcomes of a crash are exactly the possible ones: none is impossible and none is
// missing.
func TestCrashOutcomes(t *testing.T) {
	old, young := string(bytes.Repeat([]byte("o"), 1024)), string(bytes.Repeat([]byte("y"), 1024))
	base := func(t *testing.T) *Mem {
		m := NewMem()
		writeFile(t, m, "/f", old)
		must(t, m.SyncDir("/"))
		return m
	}
	edit := func(t *testing.T, m *Mem, edit func(f File) error) *Mem {
		f, err := m.Open("/f")
		must(t, err)
		must(t, edit(f))
		return m
	}
	content := func(after *Mem, name string) string {
		if !exists(after, name) {
			return "none"
		}
		f, _ := after.Open(name)
		size, _ := f.Size()
		p := make([]byte, size)
		f.ReadAt(p, 0)
		// One letter for the first byte of each sector.
		text := ""
		for off := 0; off < len(p); off += sectorSize {
			text += string(max('.', rune(p[off])))
		}
		return text
	}
	tests := []struct {
		name  string
		build func(t *testing.T) *Mem
		look  func(after *Mem) string
		want  []string
	}{
		{"write", func(t *testing.T) *Mem {
			return edit(t, base(t), func(f File) error { _, err := f.WriteAt([]byte(young), 0); return err })
		}, func(after *Mem) string { return content(after, "/f") }, []string{"oo", "oy", "yo", "yy"}},
		{"two writes to one sector", func(t *testing.T) *Mem {
			return edit(t, base(t), func(f File) error {
				_, err := f.WriteAt([]byte("1"), 0)
				if err == nil {
					_, err = f.WriteAt([]byte("2"), 0)
				}
				return err
			})
		}, func(after *Mem) string { return content(after, "/f") }, []string{"1o", "2o", "oo"}},
		{"append", func(t *testing.T) *Mem {
			return edit(t, base(t), func(f File) error { _, err := f.WriteAt([]byte("y"), 1024); return err })
		}, func(after *Mem) string { return content(after, "/f") }, []string{"oo", "oo.", "ooy"}},
		{"truncate", func(t *testing.T) *Mem {
			return edit(t, base(t), func(f File) error { return f.Truncate(512) })
		}, func(after *Mem) string { return content(after, "/f") }, []string{"o", "oo"}},
		{"create without a sync of the directory", func(t *testing.T) *Mem {
			m := NewMem()
			writeFile(t, m, "/f", young)
			return m
		}, func(after *Mem) string { return content(after, "/f") }, []string{"none", "yy"}},
		{"create with a sync of the directory alone", func(t *testing.T) *Mem {
			m := NewMem()
			f, err := m.Create("/f")
			must(t, err)
			_, err = f.WriteAt([]byte("y"), 0)
			must(t, err)
			must(t, m.SyncDir("/"))
			return m
		}, func(after *Mem) string { return content(after, "/f") }, []string{"", ".", "y"}},
		{"remove", func(t *testing.T) *Mem {
			m := base(t)
			must(t, m.Remove("/f"))
			return m
		}, func(after *Mem) string { return content(after, "/f") }, []string{"none", "oo"}},
		{"replace by rename", func(t *testing.T) *Mem {
			m := base(t)
			writeFile(t, m, "/tmp", young)
			must(t, m.Rename("/tmp", "/f"))
			return m
		}, func(after *Mem) string { return content(after, "/f") + " " + content(after, "/tmp") },
			[]string{"oo none", "oo yy", "yy none"}},
		{"replace by rename of what was not synced", func(t *testing.T) *Mem {
			m := base(t)
			f, err := m.Create("/tmp")
			must(t, err)
			_, err = f.WriteAt([]byte("y"), 0)
			must(t, err)
			must(t, m.Rename("/tmp", "/f"))
			must(t, m.SyncDir("/"))
			return m
		}, func(after *Mem) string { return content(after, "/f") }, []string{"", ".", "y"}},
		{"rename of the old away, then of the new in", func(t *testing.T) *Mem {
			m := base(t)
			writeFile(t, m, "/tmp", young)
			must(t, m.SyncDir("/"))
			must(t, m.Rename("/f", "/old"))
			must(t, m.Rename("/tmp", "/f"))
			return m
		}, func(after *Mem) string { return content(after, "/f") + " " + content(after, "/old") },
			[]string{"none oo", "oo none", "yy oo"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seen := map[string]bool{}
			crashes(t, test.build, 50, func(t *testing.T, after *Mem) { seen[test.look(after)] = true })
			var got []string
			for outcome := range seen {
				got = append(got, outcome)
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("outcomes %q, want %q", got, test.want)
			}
			crashes(t, test.build, 100, func(t *testing.T, after *Mem) {
				if got, want := test.look(after), test.look(test.build(t)); got != want {
					t.Errorf("at 100 %%: %q, want %q", got, want)
				}
			})
		})
	}
}

func TestCrashIsRepeatable(t *testing.T) {
	build := func() *Mem {
		m := NewMem()
		for i := range 20 {
			f, err := m.Create(fmt.Sprintf("/f%d", i))
			must(t, err)
			_, err = f.WriteAt(bytes.Repeat([]byte{byte(i)}, 3000), 0)
			must(t, err)
		}
		return m
	}
	state := func(m *Mem) string {
		text := ""
		for _, name := range names(t, m, "/") {
			text += fmt.Sprintf("%s %x\n", name, readFile(t, m, "/"+name))
		}
		return text
	}
	a := state(build().Crash(rand.New(rand.NewPCG(1, 2)), 50))
	b := state(build().Crash(rand.New(rand.NewPCG(1, 2)), 50))
	if a != b {
		t.Error("the same seed gave two outcomes")
	}
}

func TestWorldsAfterACrashAreApart(t *testing.T) {
	m := NewMem()
	writeFile(t, m, "/f", "before")
	must(t, m.SyncDir("/"))
	lock, err := m.Lock("/lock")
	must(t, err)
	f, err := m.Open("/f")
	must(t, err)
	for name, after := range map[string]*Mem{"crash": m.Crash(rand.New(rand.NewPCG(1, 1)), 100), "kill": m.Kill()} {
		_, err = f.WriteAt([]byte("old"), 0)
		must(t, err)
		must(t, f.Sync())
		if got := readFile(t, after, "/f"); got != "before" {
			t.Errorf("%s: the new world has %q", name, got)
		}
		other, err := after.Lock("/lock")
		must(t, err)
		must(t, other.Close())
		if _, err := m.Lock("/lock"); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: the old world's lock: %v", name, err)
		}
		_, err = f.WriteAt([]byte("bef"), 0)
		must(t, err)
		must(t, f.Sync())
	}
	must(t, lock.Close())
}

func TestKillKeepsWhatWasWrittenButNotDurable(t *testing.T) {
	m := NewMem()
	f, err := m.Create("/f")
	must(t, err)
	_, err = f.WriteAt([]byte("written"), 0)
	must(t, err)
	next := m.Kill()
	if got := readFile(t, next, "/f"); got != "written" {
		t.Fatalf("after the kill: %q", got)
	}
	never := func() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }
	if exists(next.Crash(never(), 0), "/f") {
		t.Error("the kill made the entry durable")
	}
	must(t, next.SyncDir("/"))
	if got := readFile(t, next.Crash(never(), 0), "/f"); got != "" {
		t.Errorf("the kill made the bytes durable: %q", got)
	}
	g, err := next.Open("/f")
	must(t, err)
	must(t, g.Sync())
	if got := readFile(t, next.Crash(never(), 0), "/f"); got != "written" {
		t.Errorf("synced after the kill: %q", got)
	}
}

func TestFrozenFailsEverything(t *testing.T) {
	m := NewMem()
	writeFile(t, m, "/f", "x")
	f, err := m.Open("/f")
	must(t, err)
	m.Freeze()
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrFrozen) {
			t.Errorf("%s: %v, want ErrFrozen", what, err)
		}
	}
	_, err = f.WriteAt([]byte("y"), 0)
	check("write", err)
	_, err = f.ReadAt(make([]byte, 1), 0)
	check("read", err)
	check("sync", f.Sync())
	check("close", f.Close())
	_, err = m.Create("/g")
	check("create", err)
	_, err = m.Open("/f")
	check("open", err)
	check("rename", m.Rename("/f", "/g"))
	check("remove", m.Remove("/f"))
	check("sync of a directory", m.SyncDir("/"))
	_, err = m.Usage("/")
	check("usage", err)
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(1000)
	f, err := m.Create("/f")
	must(t, err)
	n, err := f.WriteAt(make([]byte, 1500), 0)
	if n != 1000 || !errors.Is(err, errNoSpace) {
		t.Fatalf("write beyond the capacity: %d, %v; want 1000, ENOSPC", n, err)
	}
	if n, err = f.WriteAt(make([]byte, 1), 5000); n != 0 || !errors.Is(err, errNoSpace) {
		t.Fatalf("write far beyond the capacity: %d, %v; want 0, ENOSPC", n, err)
	}
	_, err = f.WriteAt(make([]byte, 1000), 0) // overwriting needs no room
	must(t, err)
	if err := f.Allocate(1001); !errors.Is(err, errNoSpace) {
		t.Fatalf("allocate: %v, want ENOSPC", err)
	}
	free := func(want uint64) {
		t.Helper()
		u, err := m.Usage("/")
		must(t, err)
		if u != (Usage{want, 1000}) {
			t.Errorf("usage %+v, want %d of 1000 free", u, want)
		}
	}
	free(0)
	must(t, f.Truncate(400))
	free(600)
	must(t, m.Rename("/f", "/g"))
	must(t, m.Remove("/g"))
	free(600) // still open
	must(t, f.Close())
	free(1000)
}

// TestConcurrentUse is for the race detector: crashes are taken while others work.
func TestConcurrentUse(t *testing.T) {
	m := NewMem()
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("/f%d-%d", w, i)
				f, err := m.Create(name)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = f.WriteAt([]byte(name), 0)
				if err := errors.Join(err, f.Sync(), m.Rename(name, name+"x"), m.SyncDir("/"), f.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for seed := range uint64(20) {
		after := m.Crash(rand.New(rand.NewPCG(seed, 0)), 50)
		if _, err := after.ReadDir("/"); err != nil {
			t.Error(err)
		}
		m.Kill()
	}
	all.Wait()
	if n := len(names(t, m.Crash(rand.New(rand.NewPCG(1, 1)), 0), "/")); n != 200 {
		t.Errorf("%d files are durable, want 200", n)
	}
}
