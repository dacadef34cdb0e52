package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// Limits of a folder of source: a wrong path, such as the home folder, is noticed before all of it has been read.
const (
	maxFiles = 10_000
	maxBytes = 256 << 20
)

// source is a folder of source.
type source struct {
	language *language
	given    string // as the user wrote it
	dir      string // absolute, without symbolic links, as the compiler sees it
	program  bool   // see Config.Program
	// reachesOut means that there are files elsewhere that are not part of digest: source refers to them, or links lead to them.
	reachesOut bool
	files      []string // relative to dir, with slashes, sorted
	digest     [sha256.Size]byte
}

// readSource finds and digests the files that a build depends on. All of them count, because source may embed any.
func readSource(given string) (*source, error) {
	dir, err := filepath.Abs(given)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fault.New(fault.Permanent, CodeNoFolder, "find the transform's source: %w", err).
			WithHint("relative paths are relative to the pipeline file")
	}
	s := &source{given: given, dir: dir}
	if err := s.list(); err != nil {
		return nil, err
	}
	if s.language, err = detect(given, s.files); err != nil {
		return nil, err
	}
	if skip := s.language.skip; skip != nil {
		s.files = slices.DeleteFunc(s.files, func(name string) bool {
			dir, _, below := strings.Cut(name, "/")
			return below && skip(dir)
		})
	}
	return s, s.read()
}

// list finds the files of the folder.
func (s *source) list() error {
	err := filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := name != s.dir && strings.HasPrefix(d.Name(), "."); hidden && d.IsDir() || d.IsDir() && (d.Name() == "node_modules" || isData(name)) {
			return fs.SkipDir
		} else if hidden || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		switch info, err := os.Stat(name); { // compilers follow links
		case err != nil:
			return nil // a link to nowhere, of which the compiler says more
		case info.IsDir():
			s.reachesOut = s.reachesOut || !d.IsDir()
			return nil
		case !info.Mode().IsRegular():
			return nil
		}
		rel, err := filepath.Rel(s.dir, name)
		if err != nil {
			return err
		}
		if s.files = append(s.files, filepath.ToSlash(rel)); len(s.files) > maxFiles {
			return fmt.Errorf("the folder has more than %d files", maxFiles)
		}
		return nil
	})
	if err != nil {
		return fault.New(fault.Permanent, CodeNoFolder, "read the transform's source in %s: %w", s.given, err)
	}
	return nil
}

// isData reports whether a folder is a data directory: leat makes one where it is started, which is often beside the source.
func isData(dir string) bool {
	version, err := os.ReadFile(filepath.Join(dir, "VERSION"))
	return err == nil && strings.HasPrefix(string(version), "leat data directory")
}

// read digests the files.
func (s *source) read() error {
	h, size := sha256.New(), int64(0)
	for _, name := range s.files {
		b, err := os.ReadFile(s.path(name))
		if size += int64(len(b)); err == nil && size > maxBytes {
			err = fmt.Errorf("the folder has more than %d MiB", maxBytes>>20)
		}
		if err != nil {
			return fault.New(fault.Permanent, CodeNoFolder, "read the transform's source in %s: %w", s.given, err)
		}
		s.reachesOut = s.reachesOut || s.language.escapes(name, b)
		fmt.Fprintf(h, "%q %d\n", name, len(b))
		h.Write(b)
	}
	h.Sum(s.digest[:0])
	return nil
}

func (s *source) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *source) has(name string) bool {
	_, found := slices.BinarySearch(s.files, filepath.ToSlash(filepath.Clean(name)))
	return found
}

// key names what comes out of a build of the source with tool.
func (s *source) key(tool toolchain) string {
	h := sha256.New()
	fmt.Fprintf(h, "leat build 3\nsource %x\n%s\n%s", s.digest, s.language.name, tool.key())
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// find finds the compiler of the source's language.
func (s *source) find(ctx context.Context) (toolchain, error) { return s.language.find(ctx, s) }
