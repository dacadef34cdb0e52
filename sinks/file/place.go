package file

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

// maxDurable bounds the directories that are remembered as synced; a forgotten one costs a sync.
const maxDurable = 4096

// openRoot opens the sink's directory, and creates it the first time.
func (s *Sink) openRoot() (*os.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.created {
		if err := s.createRoot(s.dir); err != nil {
			return nil, s.failed("", err)
		}
		s.created = true
	}
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Unavailable, "sink.file.dir_gone", "%s: the directory has gone", s.label()).
			WithHint("mount or create it again; leat does not, lest it write to the wrong volume")
	}
	if err != nil {
		return nil, s.failed("", err)
	}
	return root, nil
}

// createRoot creates dir with the parents it lacks, and syncs the parent of each one that it has created.
func (s *Sink) createRoot(dir string) error {
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "open", Path: dir, Err: unix.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := s.createRoot(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	return s.syncFile(parent)
}

// makeDirs creates the directory dir below root with its parents, and makes all of them durable.
func (s *Sink) makeDirs(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := s.makeDirs(root, parent); err != nil {
		return err
	}
	err := root.Mkdir(dir, dirMode)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	s.mu.Lock()
	_, known := s.durable[dir]
	s.mu.Unlock()
	if known && err != nil {
		return nil
	}
	// Also one that was there may be new: from a concurrent put, or from one before a crash.
	if err := s.syncPath(root, parent); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.durable) >= maxDurable {
		clear(s.durable)
	}
	s.durable[dir] = struct{}{}
	return nil
}

// syncPath syncs a directory below root.
func (s *Sink) syncPath(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return s.syncFile(d)
}

// tempFile is a body on its way. Its file is locked as long as it is open, so that the Start of another sink on the same
// directory leaves it alone.
type tempFile struct {
	root *os.Root
	file *os.File
	name string
}

// writeTemp writes and syncs the chunk's body below TempDir. If the result is not nil, it must be discarded.
func (s *Sink) writeTemp(ctx context.Context, root *os.Root, c *delivery.Chunk) (*tempFile, error) {
	if err := root.Mkdir(TempDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	name := filepath.Join(TempDir, rand.Text())
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	t := &tempFile{root, f, name}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil && !errors.Is(err, unix.ENOTSUP) {
		return t, err
	}
	body, err := c.Open()
	if err != nil {
		return t, err
	}
	defer func() { _ = body.Close() }()
	hash := sha256.New()
	n, err := copyAll(ctx, io.MultiWriter(f, hash), body)
	if err != nil {
		return t, err
	}
	if n != c.Size || [32]byte(hash.Sum(nil)) != c.SHA256 {
		return t, fault.New(fault.Permanent, "sink.body_changed",
			"%s: %s: the body has %d bytes and not the content that was sealed with %d", s.label(), c.Key, n, c.Size)
	}
	return t, s.syncFile(f)
}

// place gives the file its name. It does not replace what has that name, but fails with fs.ErrExist.
func (t *tempFile) place(name string) error {
	err := t.root.Link(t.name, name)
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EMLINK) {
		return err
	}
	// A file system without hard links (FAT, some network mounts). Between look and rename another program could take the
	// name; leat itself cannot, as keys contain the chunk's id.
	if _, err := t.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return err
	}
	return t.root.Rename(t.name, name)
}

// discard closes the file and removes its temporary name, if it still has that.
func (t *tempFile) discard() {
	_ = t.root.Remove(t.name) // before the lock goes; Start removes what stays
	_ = t.file.Close()
}

// Start removes the files that puts before a crash have left in TempDir, whoever they belong to: no put continues one. It
// leaves those alone that a running program still writes.
func (s *Sink) Start(ctx context.Context, _ func(id string) bool) error {
	root, err := s.openRoot()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	dir, err := root.Open(TempDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.failed(TempDir, err)
	}
	defer func() { _ = dir.Close() }()
	for {
		if err := ctx.Err(); err != nil {
			return s.failed(TempDir, err)
		}
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if err := removeUnlocked(root, filepath.Join(TempDir, name)); err != nil {
				return s.failed(TempDir, err)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return s.failed(TempDir, err)
		}
	}
}

// removeUnlocked removes a file unless somebody has a lock on it.
func removeUnlocked(root *os.Root, name string) error {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return nil
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
