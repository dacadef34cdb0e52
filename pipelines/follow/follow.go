// Package follow notices when what pipelines are made of changes: their files, the modules and scripts of their transforms,
// and folders of source.
//
// It looks again and again rather than to be told by the kernel, which tells nothing about network file systems, and
// something else in each operating system. A look costs a stat a file. A change counts when two looks in a row see the
// same: editors write a file in several steps, some by way of another file that is renamed, and compilers take their time.
package follow

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/builtin"
)

const (
	// maxFiles bounds the files of a folder that are looked at: more are not source.
	maxFiles = 10_000
	// maxBytes bounds what is read of one path for a digest.
	maxBytes = 256 << 20
)

// Set is what is looked at.
type Set struct {
	paths []string
	// except are the files and folders, or patterns of them, below paths that do not count: what the pipelines themselves read and
	// write, which often lies beside their source.
	except []string
}

// Files is the set of some pipeline files; of a folder, of those in it.
func Files(names ...string) Set {
	var s Set
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || !info.IsDir() {
			s.paths = append(s.paths, name)
			continue
		}
		for _, ext := range []string{".yaml", ".yml"} {
			found, _ := filepath.Glob(filepath.Join(escape(name), "[^.]*"+ext))
			s.paths = append(s.paths, found...)
		}
	}
	return s
}

// escape makes a path a pattern that only it matches.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// With adds what the transforms of a pipeline are made of.
func (s Set) With(p *spec.Pipeline) Set {
	s.paths = append(slices.Clip(s.paths), paths(p)...)
	slices.Sort(s.paths)
	s.paths = slices.Compact(s.paths)
	s.except = slices.Clip(s.except)
	for i := range p.Source.Files {
		s.except = append(s.except, p.Source.Files[i].Path)
	}
	for i := range p.Sinks {
		if f := p.Sinks[i].File; f != nil {
			s.except = append(s.except, escape(f.Dir))
		}
	}
	if d := p.DeadLetters; d != nil && d.File != nil {
		s.except = append(s.except, escape(d.File.Dir))
	}
	return s
}

// Empty reports whether there is nothing to look at.
func (s Set) Empty() bool { return len(s.paths) == 0 }

// paths returns what a pipeline's transforms are made of, shadows included: every setting that is a path, and what the commands
// of handlers name that is there. What built-in transforms read is not among them: they follow it themselves.
func paths(p *spec.Pipeline) []string {
	var paths []string
	for i := range p.Transforms {
		t := &p.Transforms[i]
		paths = inSettings(paths, reflect.ValueOf(t).Elem())
		if t.Shadow != nil && t.Shadow.Transform != nil {
			paths = inSettings(paths, reflect.ValueOf(t.Shadow.Transform).Elem())
			paths = inCommand(paths, p.Dir, t.Shadow.Transform)
		}
		paths = inCommand(paths, p.Dir, t)
	}
	return paths
}

// inSettings adds the fields of a configuration that have a path tag.
func inSettings(paths []string, v reflect.Value) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if _, native := v.Interface().(builtin.Config); native {
			return paths
		}
		if !v.IsNil() && v.Type() != reflect.TypeFor[*spec.Shadow]() {
			return inSettings(paths, v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				paths = inSettings(paths, v.Index(i))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case !f.IsExported():
			case f.Tag.Get("path") == "" || f.Type.Kind() != reflect.String:
				paths = inSettings(paths, v.Field(i))
			case v.Field(i).String() != "":
				paths = append(paths, v.Field(i).String())
			}
		}
	}
	return paths
}

// inCommand adds the files below the pipeline's folder that a handler's command names, such as its script.
func inCommand(paths []string, dir string, t *spec.Transform) []string {
	if t.Lambda == nil {
		return paths
	}
	for _, arg := range t.Lambda.Command {
		if !filepath.IsLocal(arg) {
			continue
		}
		path := filepath.Join(dir, arg)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			paths = append(paths, path)
		}
	}
	return paths
}

// glance is what a look sees without reading: names, kinds, sizes and times. Two that are equal mean that nothing has changed,
// as far as the file system tells.
func (s Set) glance() string {
	h := sha256.New()
	for _, path := range s.paths {
		s.each(h, path, func(name string, info fs.FileInfo) error {
			_, err := fmt.Fprintf(h, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
			return err
		})
	}
	return string(h.Sum(nil))
}

// Digests are those of single paths.
func (s Set) Digests() map[string]string {
	all := make(map[string]string, len(s.paths))
	for _, path := range s.paths {
		all[path] = Set{paths: []string{path}, except: s.except}.Digest()
	}
	return all
}

// Digest is of all contents. What cannot be read is part of it as such.
func (s Set) Digest() string {
	h := sha256.New()
	for _, path := range s.paths {
		left := int64(maxBytes)
		s.each(h, path, func(name string, info fs.FileInfo) error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%q %d\n", name, info.Size())
			n, err := io.Copy(h, io.LimitReader(f, left))
			left -= n
			return errors.Join(err, f.Close())
		})
	}
	return string(h.Sum(nil))
}

// each calls see with each file of a path, and writes into h what is wrong with it. In a folder, hidden files count for nothing, nor do
// folders in which tools keep what they have made or fetched, and leat its data.
func (s Set) each(h hash.Hash, path string, see func(name string, info fs.FileInfo) error) {
	root := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		root = real
	}
	files := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != root && (strings.HasPrefix(d.Name(), ".") || d.IsDir() && made(name) || s.excepted(filepath.Join(path, strings.TrimPrefix(name, root)))) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(name) // of what a link leads to
		if err != nil || !info.Mode().IsRegular() {
			return nil // a link to nowhere, or to a folder, which may be this one
		}
		if files++; files > maxFiles {
			return fs.SkipAll
		}
		return see(name, info)
	})
	if err != nil {
		fmt.Fprintf(h, "%q %v\n", path, err)
	}
}

// excepted reports whether a file or folder does not count.
func (s Set) excepted(name string) bool {
	return slices.ContainsFunc(s.except, func(pattern string) bool {
		match, _ := filepath.Match(pattern, name)
		return match
	})
}

// made reports whether a folder holds what tools have made: leat's data, packages of npm, and the output of cargo and of the
// compiler of AssemblyScript.
func made(dir string) bool {
	if version, err := os.ReadFile(filepath.Join(dir, "VERSION")); err == nil && strings.HasPrefix(string(version), "leat data directory") {
		return true
	}
	beside := func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), pattern))
		return len(found) > 0
	}
	switch filepath.Base(dir) {
	case "node_modules":
		return true
	case "target":
		return beside("Cargo.toml") || beside("*.rs")
	case "build":
		return beside("asconfig.json") || beside("*.ts")
	}
	return false
}

// Watcher tells changes that last from those that are under way. The zero value has seen nothing.
type Watcher struct{ seen, taken string }

// Take says that what is there now is known.
func (w *Watcher) Take(s Set) {
	w.seen = s.glance()
	w.taken = w.seen
}

// Changed reports, once, that there is something new which was there at the last look already.
func (w *Watcher) Changed(s Set) bool {
	now := s.glance()
	steady := now == w.seen
	w.seen = now
	if !steady || now == w.taken {
		return false
	}
	w.taken = now
	return true
}
