package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

// A log that is being written changes under a reader: files are sealed, cut and removed, and blocks appear out of order.
// What looks wrong because of it looks different on the next try.
const (
	readOnlyTries = 20
	readOnlyPause = 10 * time.Millisecond
)

// OpenReadOnly opens the log in dir as it is now, for audits and tools. It needs no lock and writes nothing; a process that
// writes the log may go on. Records that are appended later do not appear, and may expire under the reader. Appends and
// reshards fail.
func OpenReadOnly(fsys vfs.FS, dir string) (*Log, error) {
	last := ""
	for try := 0; ; try++ {
		l := newLog(fsys, dir, Options{})
		l.readOnly = true
		err := l.load()
		if err == nil {
			return l, nil
		}
		l.handles.closeIdle(l.segs)
		moving := errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, shardlog.ErrCorrupt)
		if _, gone := fsys.Stat(dir); gone != nil {
			return nil, fmt.Errorf("open log %s: %w", dir, gone)
		}
		// Damage that stays where it is is real.
		if !moving || try > 2 && err.Error() == last || try == readOnlyTries {
			return nil, err
		}
		last = err.Error()
		time.Sleep(readOnlyPause)
	}
}
