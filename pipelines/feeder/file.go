package feeder

import (
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// file is a file that is being fed. The first fields belong to the scan. The second are handed to a worker with the file,
// while busy is true, and are the scan's otherwise.
type file struct {
	id       identity
	at       string // where the last scan found it
	input    *Input
	pass     uint64    // of the last scan in which an input matched it
	now      stamp     // as the last scan saw it
	changed  time.Time // when a scan last saw it change
	left     time.Time // since when no input matches it; zero while one does
	deleted  bool      // no path leads to it any more
	busy     bool      // queued or with a worker
	retryAt  time.Time // not before this, after a failure
	loggedAs string    // the failure that was logged last

	path     string
	handle   *os.File
	slot     int // of its mark; -1 before the first is stored
	cur      cursor
	seen     stamp // as its last visit saw it
	visited  bool
	resumed  bool  // it was opened anew, and is not yet proven to be the file that cur is about
	stray    bool  // no input matches it
	takeRest int64 // the size at which an unterminated last line is to be taken; 0 for never
	more     bool  // the visit ended before the file did
	err      error // why the last visit failed
	warned   struct{ long, keyless, split bool }

	stored atomic.Int64 // cur.offset, for all to see
}

// move sets the cursor.
func (t *file) move(cur cursor) {
	t.cur = cur
	t.stored.Store(cur.offset)
}

// stamp tells whether a file may have changed.
type stamp struct {
	size  int64
	mtime time.Time
}

func stampOf(fi fs.FileInfo) stamp { return stamp{fi.Size(), fi.ModTime()} }

func (s stamp) equal(o stamp) bool { return s.size == o.size && s.mtime.Equal(o.mtime) }

// cursor is how far a file has been read in memory.
type cursor struct {
	position
	header int // lines still to pass over at the file's beginning
}

// begin is the cursor of a file that starts anew.
func begin(id identity, in *Input, generation uint64) cursor {
	return cursor{position: position{id: id, generation: generation}, header: in.SkipLines}
}

// errReplaced says that a path led to another file than at the scan. The next scan will tell.
var errReplaced = fault.New(fault.Retryable, "feeder.replaced", "the file was replaced while it was being opened")

// errStray says that a file which was looked for where no input matches is gone: its inode belongs to another file.
var errStray = fault.New(fault.Permanent, "feeder.gone", "the file is gone, and another one has its inode")

// open makes sure that the file is open. Not every file that leads to the path is this file.
func (t *file) open() error {
	if t.handle != nil {
		return nil
	}
	h, err := open(t.path)
	if err != nil {
		return fault.New(fault.Retryable, "feeder.cannot_open", "%w", err)
	}
	fi, err := h.Stat()
	if err == nil {
		if id, _ := identify(fi); id != t.id || !fi.Mode().IsRegular() {
			err = errReplaced
		}
	}
	if err != nil {
		_ = h.Close() // nothing was written
		return err
	}
	t.handle = h
	return nil
}

func (t *file) close() {
	if t.handle != nil {
		_ = t.handle.Close() // nothing was written
		t.handle, t.resumed = nil, true
	}
}

// rest reports whether all lines were read but a last one without a newline, which could be taken.
func (t *file) rest() bool {
	return t.visited && t.err == nil && t.cur.offset < t.now.size && !t.cur.skipping && t.cur.header == 0
}

// binaryKinds are the first bytes of files that are not lines of text.
var binaryKinds = []struct{ magic, name, hint string }{
	{"\x1f\x8b", "gzip-compressed", "decompress it first"},
	{"\x28\xb5\x2f\xfd", "zstd-compressed", "decompress it first"},
	{"\xfd7zXZ\x00", "xz-compressed", "decompress it first"},
	{"PK\x03\x04", "a zip archive", "unpack it first"},
	{"\xff\xfe", "UTF-16 text", "convert it to UTF-8 first"},
	{"\xfe\xff", "UTF-16 text", "convert it to UTF-8 first"},
}

// refuse returns an error if the beginning of the file is that of a binary file.
func refuse(beginning []byte) error {
	for _, k := range binaryKinds {
		if len(beginning) >= len(k.magic) && string(beginning[:len(k.magic)]) == k.magic {
			return fault.New(fault.Permanent, "feeder.binary_file", "it is %s: only plain lines are read", k.name).
				WithHint("%s, or leave it out of the pattern", k.hint)
		}
	}
	return nil
}
