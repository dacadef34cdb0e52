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

// Paths returns what a pipeline's transforms are made of, shadows included: every setting that is a path, and what the commands
// of handlers name that is there. What built-in transforms read is not among them: they follow it themselves.
func Paths(p *spec.Pipeline) []string {
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
	slices.Sort(paths)
	return slices.Compact(paths)
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

// Glance is what a look at paths sees without reading: names, kinds, sizes and times. Two that are equal mean that nothing
// has changed, as far as the file system tells.
func Glance(paths []string) string {
	h := sha256.New()
	for _, path := range paths {
		each(h, path, func(name string, info fs.FileInfo) error {
			_, err := fmt.Fprintf(h, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
			return err
		})
	}
	return string(h.Sum(nil))
}

// Digest is of the contents of paths. What cannot be read is part of it as such.
func Digest(paths []string) string {
	h := sha256.New()
	for _, path := range paths {
		left := int64(maxBytes)
		each(h, path, func(name string, info fs.FileInfo) error {
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
// folders in which tools keep what they have made or fetched.
func each(h hash.Hash, path string, see func(name string, info fs.FileInfo) error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	files := 0
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != path && (strings.HasPrefix(d.Name(), ".") || d.IsDir() && made(name)) {
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

// made reports whether a folder holds what tools have made: packages of npm, and the output of cargo and of the compiler of
// AssemblyScript.
func made(dir string) bool {
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
func (w *Watcher) Take(paths []string) {
	w.seen = Glance(paths)
	w.taken = w.seen
}

// Changed reports, once, that there is something new which was there at the last look already.
func (w *Watcher) Changed(paths []string) bool {
	now := Glance(paths)
	steady := now == w.seen
	w.seen = now
	if !steady || now == w.taken {
		return false
	}
	w.taken = now
	return true
}
