package file_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/sinks/file"
	"github.com/leatstream/leat/sinks/sinktest"
)

var (
	_ delivery.Sink     = (*file.Sink)(nil)
	_ delivery.Destiner = (*file.Sink)(nil)
	_ delivery.Prober   = (*file.Sink)(nil)
	_ delivery.Starter  = (*file.Sink)(nil)
)

func open(t testing.TB, dir string) *file.Sink {
	t.Helper()
	s, err := file.New(file.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists what is below dir, without folders, by path.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	got := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		key, _ := filepath.Rel(dir, path)
		got[filepath.ToSlash(key)] = body
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return got
}

func TestSuite(t *testing.T) {
	sinktest.Run(t, sinktest.Setup{New: func(t *testing.T) sinktest.Destination {
		outer := t.TempDir()
		out := filepath.Join(outer, "some", "out")
		temp := filepath.Join(out, file.TempDir)
		return sinktest.Destination{
			Open: func(t *testing.T) delivery.Sink { return open(t, out) },
			Objects: func(t *testing.T) map[string][]byte {
				got := files(t, out)
				for key := range got {
					if strings.HasPrefix(key, file.TempDir+"/") {
						t.Errorf("%s is left", key)
						delete(got, key)
					}
				}
				return got
			},
			Plant: func(t *testing.T, key string, body []byte) {
				path := filepath.Join(out, key)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, body, 0o644); err != nil {
					t.Fatal(err)
				}
			},
			Leave: func(t *testing.T, c *delivery.Chunk) {
				if err := os.WriteFile(filepath.Join(temp, c.ID), []byte("half"), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			Leftovers: func(t *testing.T) int { return len(files(t, temp)) },
			Outside: func(t *testing.T) []string {
				names := []string{}
				for _, dir := range []string{outer, filepath.Dir(out), "."} {
					entries, err := os.ReadDir(dir)
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Fatal(err)
					}
					for _, e := range entries {
						if path := filepath.Join(dir, e.Name()); path != filepath.Join(outer, "some") && path != out {
							names = append(names, path)
						}
					}
				}
				if _, err := os.Stat("/tmp/escaped"); err == nil {
					names = append(names, "/tmp/escaped")
				}
				return names
			},
			Denied: func(t *testing.T) delivery.Sink {
				blocked := filepath.Join(t.TempDir(), "file")
				if err := os.WriteFile(blocked, nil, 0o644); err != nil {
					t.Fatal(err)
				}
				return open(t, filepath.Join(blocked, "out"))
			},
		}
	}})
}

func TestNewNeedsADirectory(t *testing.T) {
	if _, err := file.New(file.Config{}); fault.CodeOf(err) != "sink.file.no_dir" {
		t.Errorf("error is %v", err)
	}
}

func TestModesOfFilesAndDirectories(t *testing.T) {
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "out")
	c := sinktest.Random("a/b/", 10)
	if err := open(t, dir).Put(t.Context(), &c.Chunk); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o755, "a": 0o755, "a/b": 0o755, c.Key: 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v (%v)", name, info.Mode().Perm(), want, err)
		}
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	outside := t.TempDir()
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "target"), filepath.Join(dir, "name")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	for _, key := range []string{"link/x", "name"} {
		c := sinktest.NewChunk("id", key, []byte("body"))
		if err := s.Put(t.Context(), &c.Chunk); err == nil {
			t.Errorf("put of %s has no error", key)
		}
	}
	if got := files(t, outside); len(got) != 0 {
		t.Errorf("outside there is now %v", got)
	}
}

func TestAFileInTheWayOfADirectoryIsAConflict(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/b/c", "d"} {
		c := sinktest.NewChunk("id", key, []byte("body"))
		err := open(t, dir).Put(t.Context(), &c.Chunk)
		if fault.CodeOf(err) != "sink.conflict" || fault.ClassOf(err) != fault.Permanent {
			t.Errorf("%s: error is %v", key, err)
		}
	}
}

// A volume that is not mounted any more must not make leat write to the disk below it.
func TestAVanishedDirectoryIsNotCreatedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	s := open(t, dir)
	c := sinktest.Random("a/b/", 10)
	if err := s.Put(t.Context(), &c.Chunk); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), &c.Chunk); fault.CodeOf(err) != "sink.file.dir_gone" || fault.ClassOf(err) != fault.Unavailable {
		t.Errorf("error is %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), &c.Chunk); err != nil {
		t.Errorf("put after the directory came back: %v", err)
	}
}

func TestStartLeavesFilesOfRunningProgramsAlone(t *testing.T) {
	dir := t.TempDir()
	c := sinktest.Random("a/", 3<<20)
	middle, proceed := make(chan struct{}), make(chan struct{})
	first := true
	c.OnRead(func(offset int64) error {
		if offset > 1<<20 && first {
			first = false
			close(middle)
			<-proceed
		}
		return nil
	})
	done := make(chan error)
	go func() { done <- open(t, dir).Put(context.Background(), &c.Chunk) }()
	<-middle
	if err := open(t, dir).Start(t.Context(), func(string) bool { return false }); err != nil {
		t.Error(err)
	}
	close(proceed)
	if err := <-done; err != nil {
		t.Errorf("the put under way during another sink's Start: %v", err)
	}
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]string{
		dir:                            "",
		filepath.Join(dir, "x", "y"):   "",
		plain:                          "sink.file.not_a_directory",
		filepath.Join(plain, "x"):      "sink.file.not_a_directory",
		"/proc/self/no/such/directory": "*",
	} {
		err := open(t, path).Probe(t.Context())
		switch {
		case code == "" && err != nil, code == "*" && err == nil, code != "" && code != "*" && (fault.CodeOf(err) != code || fault.ClassOf(err) != fault.Unauthorized):
			t.Errorf("%s: %v, want code %q", path, err, code)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Errorf("Probe has created the directory")
	}
}
