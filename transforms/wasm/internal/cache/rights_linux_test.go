package cache

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/internal/testenv"
)

func TestAFolderWithoutRightsIsOnlyRead(t *testing.T) {
	dir := t.TempDir()
	protect := func() error { return os.Chmod(dir, 0o500) }
	if os.Geteuid() == 0 { // who may write everywhere but where nobody may
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			testenv.Missing(t, "cannot mount a tmpfs: %v", err)
		}
		defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
		protect = func() error { return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "") }
	}
	add(t, dir, "old", 10, 2*maxAge)
	if err := protect(); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir)
	if got := d.Use("old"); got != filepath.Join(dir, "old") {
		t.Error(got)
	}
	d.Close()
}
