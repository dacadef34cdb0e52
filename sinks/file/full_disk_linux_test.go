package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/sinks/sinktest"
)

// A real file system that is full: /dev/shm-like, mounted for the test, which takes root.
func TestFullDiskIsUnavailableUntilThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		testenv.Missing(t, "cannot mount a tmpfs: %v (run as root)", err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 700<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	c := sinktest.Random("a/", 600<<10)
	err := s.Put(t.Context(), &c.Chunk)
	var e *fault.Error
	if !errors.As(err, &e) || e.Class != fault.Unavailable || e.Code != "sink.file.disk_full" || e.Hint == "" {
		t.Errorf("error is %v", err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("a failed put leaves files: %d", len(got))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := s.Put(t.Context(), &c.Chunk); err != nil || time.Since(begin) > 30*time.Second {
		t.Errorf("with room again: %v after %v", err, time.Since(begin))
	}
}
