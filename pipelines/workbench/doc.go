// Package workbench is what people who write transforms work with: it makes a folder to begin with, builds it and looks at the module, runs
// tables of tests on it, and measures it.
//
// A transform is given as a folder of source, which is built, or as a .wasm file. Its tables of tests ([spec.Table]) lie beside it: in the
// folder, or in that of the file, they are tests.yaml, NAME.test.yaml and all *.yaml of the folder tests.
package workbench

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/build"
)

// Codes of errors.
const (
	CodeExists   = "transform.exists"    // there is something where a new transform should go
	CodeName     = "transform.bad_name"  // a transform cannot have the name
	CodeLanguage = "transform.language"  // there is no SDK for the language
	CodeNoModule = "transform.no_module" // there is neither a folder of source nor a module
	CodeNoTests  = "transform.no_tests"  // there are no tables of tests
	CodeInput    = "transform.bad_input" // the records to measure with cannot be read
	CodeFile     = "transform.file"      // a file cannot be written
)

// moduleOf returns the module of a transform: the file itself, or what is built of the folder. progress is told of a build; it may be nil.
func moduleOf(ctx context.Context, transform string, progress func(what string)) (string, error) {
	info, err := look(transform)
	if err != nil || !info.IsDir() {
		return transform, err
	}
	return build.Build(ctx, build.Config{Dir: transform, Progress: func(dir string) {
		if progress != nil {
			progress("building " + dir)
		}
	}})
}

// look finds a transform.
func look(transform string) (fs.FileInfo, error) {
	info, err := os.Stat(transform)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Permanent, CodeNoModule, "there is no transform %s", transform).
			WithHint("give a folder of source or a .wasm file; leat transform new %s makes a folder", transform)
	}
	if err != nil {
		return nil, fault.New(fault.Permanent, CodeNoModule, "%w", err)
	}
	if ext := filepath.Ext(transform); !info.IsDir() && slices.Contains(sources, ext) {
		return nil, fault.New(fault.Permanent, CodeNoModule, "%s is source, and not a transform", transform).
			WithHint("give its folder: %s", filepath.Dir(transform))
	}
	return info, nil
}

// sources are the extensions of files that are taken for a transform by mistake.
var sources = []string{".go", ".rs", ".c", ".cc", ".cpp", ".ts", ".yaml", ".toml", ".json"}

// nameOf is what a transform is called in what is printed about it.
func nameOf(transform string) string {
	if abs, err := filepath.Abs(transform); err == nil {
		transform = abs
	}
	return strings.TrimSuffix(filepath.Base(transform), ".wasm")
}

// tablesOf returns the tables of tests of a transform, sorted.
func tablesOf(transform string) ([]string, error) {
	info, err := look(transform)
	if err != nil {
		return nil, err
	}
	dir, patterns := transform, []string{"tests.yaml", "*.test.yaml", filepath.Join("tests", "*.yaml")}
	if !info.IsDir() {
		dir, patterns[1] = filepath.Dir(transform), nameOf(transform)+".test.yaml"
	}
	var files []string
	for _, p := range patterns {
		found, err := fs.Glob(os.DirFS(dir), filepath.ToSlash(p))
		if err != nil { // the name has brackets
			continue
		}
		for _, f := range found {
			files = append(files, filepath.Join(dir, f))
		}
	}
	if len(files) == 0 {
		return nil, fault.New(fault.Permanent, CodeNoTests, "there are no tests beside %s", transform).
			WithHint("write %s: tests, each with name, input and output; leat transform new shows one", filepath.Join(dir, "tests.yaml"))
	}
	slices.Sort(files)
	return files, nil
}
