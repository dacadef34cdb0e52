package state

import (
	"time"

	"github.com/leatstream/leat/core/vfs"
)

const (
	// readTries is how often OpenReadOnly begins anew: a writer may replace the snapshot, or remove a part of the journal,
	// between two looks.
	readTries = 40
	readPause = 25 * time.Millisecond
)

// OpenReadOnly reads the store in dir as it is now, also while another process writes it. It changes nothing on the disk
// and takes no lock; what is written later is not seen. Update fails; Close has nothing to do.
func OpenReadOnly(fsys vfs.FS, dir string) (*Store, error) {
	if _, err := fsys.Stat(dir); err != nil {
		return nil, openFailed(dir, err)
	}
	for try := 1; ; try++ {
		s, err := readStore(fsys, dir)
		if err == nil || try == readTries {
			return s, err
		}
		time.Sleep(readPause)
	}
}

func readStore(fsys vfs.FS, dir string) (*Store, error) {
	s, err := Open(vfs.NewOverlay(fsys), dir, Options{})
	if err != nil {
		return nil, err
	}
	read := &Store{dir: dir}
	read.durable.Store(s.durable.Load())
	return read, s.Close()
}
