package spec

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
)

// Options are what a load takes from outside the files.
type Options struct {
	// Env looks up an environment variable; nil is the process's environment.
	Env func(name string) (string, bool)
	// Set holds overrides, each path=value: "sinks.archive.buffer.size=1MiB".
	Set []string
	// Empty lets a folder be without pipeline files, for somebody who follows it; otherwise that is an error.
	Empty bool
}

// Load reads the pipelines of a file, or of all *.yaml and *.yml files of a folder in the order of their names. The error
// is an [*Errors] that holds every error found.
func Load(path string, opts Options) ([]*Pipeline, error) {
	files := []string{path}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		files, err = filesOf(path)
	}
	errs := &Errors{}
	switch {
	case err != nil:
		errs.add(cannotRead(path, err))
		return nil, errs
	case len(files) == 0 && !opts.Empty:
		errs.add(fault.New(fault.Permanent, "spec.no_files", "the folder %s has no pipeline file", path).
			WithHint("pipeline files end with .yaml or .yml; folders within it are not looked at"))
		return nil, errs
	}
	l := &loader{opts: opts, errs: errs}
	for _, file := range files {
		src, err := readFile(file)
		if err != nil {
			errs.add(cannotRead(file, err))
			continue
		}
		l.read(file, src)
	}
	return l.finish()
}

// Parse reads the pipelines of one file whose content is src. name stands in errors; its folder is what relative paths
// are relative to.
func Parse(name string, src []byte, opts Options) ([]*Pipeline, error) {
	l := &loader{opts: opts, errs: &Errors{}}
	l.read(name, src)
	return l.finish()
}

func cannotRead(path string, err error) *fault.Error {
	e := fault.New(fault.Permanent, "spec.io", "reading the pipeline file: %w", err)
	if errors.Is(err, fs.ErrNotExist) {
		e.Hint = "check the path; it is relative to the folder the command runs in"
	}
	return e
}

func filesOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// readFile reads at most one byte more than a file may have, so that the parser reports a larger one.
func readFile(path string) (src []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

type loader struct {
	opts Options
	errs *Errors
	docs []document
}

type document struct {
	file string
	root *node
}

func (l *loader) read(name string, src []byte) {
	if l.errs.sources == nil {
		l.errs.sources = map[string][]byte{}
	}
	l.errs.sources[name] = src
	docs, err := readYAML(name, src)
	l.errs.addAll(err)
	if len(docs) == 0 && err == nil {
		l.errs.add(fault.New(fault.Permanent, "spec.empty", "%s holds no pipeline", name).WithHint("a pipeline begins with version: 1"))
	}
	for _, root := range docs {
		l.docs = append(l.docs, document{name, root})
	}
}

// finish applies what comes from outside, decodes and checks.
func (l *loader) finish() ([]*Pipeline, error) {
	env := l.opts.Env
	if env == nil {
		env = os.LookupEnv
	}
	settings := parseSettings(l.opts.Set, l.errs)
	roots := make([]*node, len(l.docs))
	for i := range l.docs {
		roots[i] = l.docs[i].root
	}
	apply(settings, roots, l.errs)

	var out []*Pipeline
	seen := map[string]string{}
	for _, doc := range l.docs {
		substitute(doc.root, env, l.errs)
		p := &Pipeline{File: doc.file, Dir: filepath.Dir(doc.file)}
		d := &decoder{dir: p.Dir, file: l.errs.sources[doc.file], env: env, errs: l.errs}
		d.value(doc.root, reflect.ValueOf(p).Elem(), &field{key: "a pipeline"})
		l.errs.add(p.check()...)
		if first, ok := seen[p.Name]; ok && p.Name != "" {
			l.errs.add(fault.New(fault.Permanent, "spec.duplicate_name", "the pipeline %q is there twice; the other is at %s", p.Name, first).
				At(p.PlaceOf("pipeline")))
		}
		seen[p.Name] = p.PlaceOf("pipeline")
		out = append(out, p)
	}
	slices.SortStableFunc(l.errs.List, byPlace)
	if err := l.errs.orNil(); err != nil {
		return nil, err
	}
	return out, nil
}

// byPlace orders errors of the same file by line and column; others keep their order before them.
func byPlace(a, b *fault.Error) int {
	af, al, ac := setting.SplitPlace(a.Place)
	bf, bl, bc := setting.SplitPlace(b.Place)
	if c := strings.Compare(af, bf); c != 0 {
		return c
	}
	if al != bl {
		return al - bl
	}
	return ac - bc
}
