package wasm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/core/fault"
)

func TestNoMapOfMemoryAndNoFileIsLeftBehind(t *testing.T) {
	count := func() (maps, files int) {
		b, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(b, []byte("\n")), len(open)
	}
	cfg := Config{Bytes: newAssembly().bytes(), CacheDir: t.TempDir(), Instances: 2}
	mapsBefore, filesBefore, kept := 0, 0, 0
	for n := range 100 {
		m, err := Open(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 { // instances are saved before each call
			m.making.Store(int64(time.Hour))
			m.size.failed(cautiousIfSaved)
		}
		if _, _, err := apply(t, m, "a", "Pa", "b"); fault.CodeOf(err) != CodeTrap {
			t.Error(err)
		}
		m.pool.mu.Lock()
		for _, i := range m.pool.idle {
			if i.memory.(*mappedMemory).kept.size > 0 {
				kept++
			}
		}
		m.pool.mu.Unlock()
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n == 10 {
			mapsBefore, filesBefore = count()
		}
	}
	maps, files := count()
	if maps > mapsBefore+20 || files > filesBefore+5 { // Go's own come and go
		t.Errorf("%d maps and %d files, and after 90 modules %d and %d", mapsBefore, filesBefore, maps, files)
	}
	if kept < 40 {
		t.Errorf("only %d instances were saved", kept)
	}
}

func TestASystemWithoutMemoryIsAnErrorAndNoPanic(t *testing.T) {
	var data int
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(status[bytes.Index(status, []byte("VmData:")):]), "VmData: %d kB", &data); err != nil {
		t.Fatal(err)
	}
	a := newAssembly()
	a.memory = megabytes(512)
	cfg := Config{Bytes: a.bytes(), CacheDir: t.TempDir(), MemoryLimit: 512 << 20, Instances: 1}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &old); err != nil {
		t.Fatal(err)
	}
	tight := old
	tight.Cur = uint64(data)<<10 + 256<<20
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &tight); err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), cfg)
	if back := unix.Setrlimit(unix.RLIMIT_DATA, &old); back != nil {
		t.Fatal(back)
	}
	if fault.CodeOf(err) != CodeNoMemory || fault.ClassOf(err) != fault.Unavailable {
		t.Error(err)
	}
	got, _, err := apply(t, open(t, cfg), "a")
	want(t, got, err, "=")
}
