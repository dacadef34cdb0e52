package delivery

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
)

// spool is a directory with one file for each object that is sealed or does not fit into memory.
type spool struct {
	fs     vfs.FS
	dir    string
	noSync bool // a seeded bug
}

const (
	spoolSuffix      = ".spool"
	codeSpoolDamaged = "delivery.spool_damaged"
)

// openSpool makes the directory and removes the files that no manifest names.
func openSpool(fsys vfs.FS, dir string, pending map[string]*manifest, noSync bool) (*spool, error) {
	s := &spool{fs: fsys, dir: dir, noSync: noSync}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, s.fault("make spool directory", err)
	}
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, s.fault("list spool directory", err)
	}
	for _, e := range entries {
		id, ours := strings.CutSuffix(e.Name(), spoolSuffix)
		if !ours || pending[id] != nil {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, e.Name())); err != nil {
			return nil, s.fault("remove a left-over spool file", err)
		}
	}
	return s, nil
}

func (s *spool) path(id string) string { return filepath.Join(s.dir, id+spoolSuffix) }

// spoolWriter appends to a buffer's file and to its digest. The first error stays, and close returns it.
type spoolWriter struct {
	*bufio.Writer
	s   *spool
	f   vfs.File
	b   *buffer
	err error
}

// writers keep 64 KiB each, so that the few bytes of headers and trailers cost no write of their own.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

func (s *spool) open(b *buffer) (*spoolWriter, error) {
	open := s.fs.Open
	if !b.created {
		open = s.fs.Create
	}
	f, err := open(s.path(b.id))
	if err != nil {
		return nil, s.fault("open spool file", err)
	}
	b.created = true
	w := &spoolWriter{Writer: writers.Get().(*bufio.Writer), s: s, f: f, b: b}
	w.Reset((*spoolFile)(w))
	return w, nil
}

// spoolFile is the file below a spoolWriter.
type spoolFile spoolWriter

func (w *spoolFile) Write(p []byte) (int, error) {
	err := w.s.lacks(int64(len(p)))
	if err == nil {
		_, err = w.f.WriteAt(p, w.b.spooled)
	}
	if err != nil {
		w.err = w.s.fault("write spool file", err)
		return 0, err
	}
	w.b.spooled += int64(len(p))
	w.b.digest.Write(p)
	return len(p), nil
}

// close makes all of the file durable if asked to.
func (w *spoolWriter) close(sync bool) error {
	_ = w.Flush() // what fails in it is w.err
	w.Reset(nil)
	writers.Put(w.Writer)
	if sync && w.err == nil && !w.s.noSync {
		if err := w.f.Sync(); err != nil {
			w.err = w.s.fault("sync spool file", err)
		}
	}
	if err := w.f.Close(); err != nil && w.err == nil {
		w.err = w.s.fault("close spool file", err)
	}
	return w.err
}

// sync makes the directory's entries durable.
func (s *spool) sync() error {
	if s.noSync {
		return nil
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return s.fault("sync spool directory", err)
	}
	return nil
}

// remove takes away the file of a committed object. A crash may leave it behind; the next start removes it then.
func (s *spool) remove(id string) error {
	if err := s.fs.Remove(s.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fault("remove spool file", err)
	}
	return nil
}

// body opens a sealed object.
func (s *spool) body(m *manifest) (Body, error) {
	f, err := s.fs.OpenRead(s.path(m.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Permanent, codeSpoolDamaged, "the spool file of object %s is gone: %w", m.ID, err).
			WithHint("the spool directory %s was changed or the disk lost data", s.dir)
	}
	if err != nil {
		return nil, s.fault("open spool file", err)
	}
	size, err := f.Size()
	if err == nil && size != m.Size {
		err = fault.New(fault.Permanent, codeSpoolDamaged, "spool file of object %s has %d bytes, its manifest says %d", m.ID, size, m.Size).
			WithHint("the spool directory %s was changed or the disk lost data", s.dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(f, 0, m.Size), f}, nil
}

func (s *spool) fault(doing string, err error) error {
	e := fault.New(fault.Unavailable, "delivery.spool_failed", "%s in %s: %w", doing, s.dir, err)
	e.Hint = "make room on this disk or check its health; delivery goes on by itself"
	return e
}
