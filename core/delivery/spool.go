package delivery

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

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

// write appends p to a buffer's file and to its digest; with sync it makes all of the file durable.
func (s *spool) write(b *buffer, p []byte, sync bool) (err error) {
	open := s.fs.Open
	if b.spooled == 0 {
		open = s.fs.Create
	}
	f, err := open(s.path(b.id))
	if err != nil {
		return s.fault("open spool file", err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = s.fault("close spool file", cerr)
		}
	}()
	if _, err := f.WriteAt(p, b.spooled); err != nil {
		return s.fault("write spool file", err)
	}
	b.spooled += int64(len(p))
	b.digest.Write(p)
	if sync && !s.noSync {
		if err := f.Sync(); err != nil {
			return s.fault("sync spool file", err)
		}
	}
	return nil
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
