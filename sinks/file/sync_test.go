package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/sinks/sinktest"
)

// recorder notes what is synced, by path, and whether a name existed then.
type recorder struct {
	dir    string
	synced []string
	fail   int // fail the n-th sync, from 1
	mutant func(path string) bool
}

var errSync = errors.New("sync failed")

func (r *recorder) sync(f *os.File) error {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		path = f.Name()
	}
	rel, _ := filepath.Rel(r.dir, path)
	if strings.HasPrefix(rel, TempDir+"/") {
		rel = "temp"
	}
	if r.mutant != nil && r.mutant(rel) {
		return nil
	}
	r.synced = append(r.synced, rel)
	if r.fail > 0 && len(r.synced) == r.fail {
		return errSync
	}
	return nil
}

// durable checks that everything a file below dir needs to be found after a power failure was synced.
func (r *recorder) durable(key string) error {
	if !slices.Contains(r.synced, "temp") && !slices.Contains(r.synced, key) {
		return errors.New("the file is not synced")
	}
	for dir := filepath.Dir(key); ; dir = filepath.Dir(dir) {
		if !slices.Contains(r.synced, dir) {
			return errors.New("the directory " + dir + " is not synced")
		}
		if dir == "." {
			break
		}
	}
	if !slices.Contains(r.synced, "..") {
		return errors.New("the parent of the sink's directory is not synced")
	}
	return nil
}

func TestFileAndDirectoriesAreSyncedBeforePutReturns(t *testing.T) {
	try := func(mutant func(string) bool) error {
		dir := filepath.Join(t.TempDir(), "out")
		s, err := New(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{dir: dir, mutant: mutant}
		s.syncFile = r.sync
		c := sinktest.NewChunk("id", "a/b/c/key", []byte("body"))
		if err := s.Put(t.Context(), &c.Chunk); err != nil {
			t.Fatal(err)
		}
		return r.durable(c.Key)
	}
	if err := try(nil); err != nil {
		t.Error(err)
	}
	// The check itself: a sink that leaves one of the syncs out is caught.
	for _, left := range []string{"temp", ".", "a", "a/b", "a/b/c", ".."} {
		if try(func(path string) bool { return path == left }) == nil {
			t.Errorf("a sink that does not sync %q passes", left)
		}
	}
}

// Prefixes by date make new directories for ever. A forgotten one is synced once more, and no more than that.
func TestTheDirectoriesThatAreRememberedAreBounded(t *testing.T) {
	dir := t.TempDir()
	s, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{dir: dir}
	s.syncFile = r.sync
	put := func(n int, id string) (syncs int) {
		r.synced = nil
		c := sinktest.NewChunk(id, fmt.Sprintf("d%d/%s", n, id), []byte("body"))
		if err := s.Put(t.Context(), &c.Chunk); err != nil {
			t.Fatal(err)
		}
		return len(r.synced)
	}
	fresh, known := put(0, "a"), put(0, "b")
	if fresh != known+1 {
		t.Fatalf("%d syncs for a new directory, %d for one that is known", fresh, known)
	}
	for n := 0; len(s.durable) < maxDurable; n++ { // as by so many puts, which take seconds
		s.durable[fmt.Sprint("other", n)] = struct{}{}
	}
	put(1, "a")
	if len(s.durable) > maxDurable {
		t.Errorf("%d directories are remembered", len(s.durable))
	}
	if again, known := put(0, "c"), put(0, "d"); again != fresh || known != fresh-1 {
		t.Errorf("%d syncs for a directory that was forgotten, then %d; want %d and %d", again, known, fresh, fresh-1)
	}
}

// A sync that fails fails the put; the put after it, by a sink that remembers nothing, syncs all again.
func TestEveryFailedSyncFailsThePut(t *testing.T) {
	for n := 1; ; n++ {
		dir := filepath.Join(t.TempDir(), "out")
		s, _ := New(Config{Dir: dir})
		r := &recorder{dir: dir, fail: n}
		s.syncFile = r.sync
		c := sinktest.NewChunk("id", "a/b/c/key", []byte("body"))
		err := s.Put(t.Context(), &c.Chunk)
		if err == nil {
			if n < 6 {
				t.Errorf("only %d syncs", n-1)
			}
			return
		}
		if !errors.Is(err, errSync) || fault.ClassOf(err) == fault.Permanent {
			t.Errorf("sync %d: error is %v", n, err)
		}
		again := &recorder{dir: dir}
		s, _ = New(Config{Dir: dir})
		s.syncFile = again.sync
		if err := s.Put(t.Context(), &c.Chunk); err != nil {
			t.Errorf("put after failed sync %d: %v", n, err)
		}
		again.synced = append(again.synced, "..") // it was there: not this sink's to sync
		if err := again.durable(c.Key); err != nil {
			t.Errorf("put after failed sync %d: %v", n, err)
		}
	}
}

// On a file system without hard links a name that is taken is not replaced either.
func TestRenameFallbackDoesNotReplace(t *testing.T) {
	// place is driven directly: the kernel refuses to link a directory with EPERM, as FAT refuses every link.
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	for _, name := range []string{"temp1", "temp2"} {
		if err := root.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&tempFile{root: root, name: "temp1"}).place("name"); err != nil {
		t.Errorf("first: %v", err)
	}
	if err := (&tempFile{root: root, name: "temp2"}).place("name"); !errors.Is(err, os.ErrExist) {
		t.Errorf("second: %v", err)
	}
}
