package stream

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/leatstream/leat/core/vfs"
)

// sweepPause separates the removal of two files: a burst of unlinks of large files raises everyone's sync times.
const sweepPause = 50 * time.Millisecond

// sweeper removes folders of streams that are gone, in the background and at an easy pace. What it has not removed when
// it is stopped, or fails to remove, is found again by the next Open.
type sweeper struct {
	fs     vfs.FS
	dir    string
	logger *slog.Logger
	quit   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	folders []string
	running bool
	stopped bool
}

func newSweeper(fsys vfs.FS, dir string, logger *slog.Logger) *sweeper {
	return &sweeper{fs: fsys, dir: dir, logger: logger, quit: make(chan struct{})}
}

// remove has a folder below dir removed.
func (s *sweeper) remove(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.folders = append(s.folders, folder)
	if !s.running {
		s.running = true
		s.wg.Go(s.run)
	}
}

// stop ends the removal after the file under way.
func (s *sweeper) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	close(s.quit)
	s.wg.Wait()
}

// run removes folders until there are none.
func (s *sweeper) run() {
	for {
		s.mu.Lock()
		if len(s.folders) == 0 || s.stopped {
			s.running = false
			s.mu.Unlock()
			return
		}
		folder := s.folders[0]
		s.folders = s.folders[1:]
		s.mu.Unlock()
		err := s.removeTree(filepath.Join(s.dir, folder))
		if err == nil {
			err = s.fs.SyncDir(s.dir)
		}
		if err != nil && !errors.Is(err, errStopped) {
			s.logger.Warn("removing the files of a deleted stream; the next start tries again", "folder", folder, "error", err)
		}
	}
}

var errStopped = errors.New("stopped")

func (s *sweeper) removeTree(path string) error {
	entries, err := s.fs.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		child := filepath.Join(path, e.Name())
		if e.IsDir() {
			err = s.removeTree(child)
		} else {
			err = s.fs.Remove(child)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-time.After(sweepPause):
		case <-s.quit:
			return errStopped
		}
	}
	return s.fs.Remove(path)
}
