package follow

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/pipelines/spec"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeCountsOnceItLasts(t *testing.T) {
	dir := t.TempDir()
	file, source := filepath.Join(dir, "p.yaml"), filepath.Join(dir, "src")
	write(t, file, "one")
	write(t, filepath.Join(source, "main.go"), "package main")
	missing := filepath.Join(dir, "missing.wasm")
	paths := Set{paths: []string{file, source, missing}}
	var w Watcher
	w.Take(paths)
	quiet := func(what string) {
		t.Helper()
		for range 3 {
			if w.Changed(paths) {
				t.Errorf("%s is a change", what)
			}
		}
	}
	changed := func(what string) {
		t.Helper()
		if w.Changed(paths) {
			t.Errorf("%s: taken at the first look", what)
		}
		if !w.Changed(paths) {
			t.Errorf("%s: not noticed", what)
		}
		quiet("after " + what)
	}
	quiet("nothing")
	write(t, file, "one and more")
	changed("a write")
	write(t, file, "") // truncated first, and written between two looks
	if w.Changed(paths) {
		t.Error("taken at once")
	}
	write(t, file, "three")
	changed("a write in two steps")
	write(t, file+"~", "four, renamed")
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
	changed("a rename")
	write(t, filepath.Join(source, "sub", "x.go"), "package sub")
	changed("a new file of source")
	if err := os.Remove(filepath.Join(source, "sub", "x.go")); err != nil {
		t.Fatal(err)
	}
	changed("a removed file")
	write(t, missing, "module")
	changed("a module that is there at last")
	for _, name := range []string{".main.go.swp", ".git/index", "node_modules/x/y.js"} {
		write(t, filepath.Join(source, name), "x")
		quiet(name)
	}
	write(t, filepath.Join(source, "Cargo.toml"), "")
	changed("Cargo.toml")
	write(t, filepath.Join(source, "target", "debug", "x"), "x")
	quiet("what cargo makes")
	write(t, filepath.Join(source, "build", "x.go"), "x")
	changed("a folder that is only named like one of a compiler")
}

func TestADigestIsOfContentsAlone(t *testing.T) {
	dir := t.TempDir()
	a := filepath.Join(dir, "a")
	write(t, a, "one")
	first := (Set{paths: []string{dir}}).Digest()
	write(t, a, "one")
	if (Set{paths: []string{dir}}).Digest() != first {
		t.Error("the same content has another digest")
	}
	write(t, a, "two")
	if (Set{paths: []string{dir}}).Digest() == first {
		t.Error("another content has the same digest")
	}
}

func TestPathsAreThoseOfTransforms(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "handler.py"), "")
	all, err := spec.Parse(filepath.Join(dir, "p.yaml"), []byte(`version: 1
pipeline: p
source: { stream: s, files: [ { path: ./in.txt } ] }
transforms:
  - { name: a, wasm: { module: ./a }, shadow: ./b.wasm }
  - { name: b, append_delimiter: {}, shadow: { wasm: { module: ./c } } }
  - { name: c, lambda: { command: [ python3, handler.py, --flag, none.py, /etc/passwd ] } }
  - { name: d, wasm: { module: ./a } }
  - { name: e, enrich: { by: .a, file: ./airports.csv, key: code } }
sinks: [ { name: out, file: { dir: ./out } } ]
`), spec.Options{})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	var got []string
	for _, p := range (Set{}).With(all[0]).paths {
		got = append(got, strings.TrimPrefix(p, dir+"/"))
	}
	if want := []string{"a", "b.wasm", "c", "handler.py"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Of a folder that holds everything, only what the transform is made of counts: neither what leat keeps there nor what the pipeline
// reads and writes, however often these change.
func TestAFolderMayHoldMoreThanSource(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "p.yaml"), `version: 1
pipeline: p
source: { stream: s, files: [ { path: "./*.log" } ] }
transforms: [ { name: t, wasm: { module: . } } ]
sinks: [ { name: out, file: { dir: ./out } } ]
dead_letters: { file: { dir: ./bad } }
`)
	write(t, filepath.Join(dir, "main.go"), "package main")
	for _, at := range []string{dir, link} {
		all, err := spec.Load(filepath.Join(at, "p.yaml"), spec.Options{})
		if err != nil {
			t.Fatal(spec.Render(err, false))
		}
		set := Files(at).With(all[0])
		var w Watcher
		w.Take(set)
		digest := set.Digest()
		write(t, filepath.Join(dir, "in.log"), strings.Repeat("x", len(at)))
		write(t, filepath.Join(dir, "out", "2026", at[len(at)-3:]), "x")
		write(t, filepath.Join(dir, "bad", at[len(at)-3:]), "x")
		write(t, filepath.Join(dir, "leat-data", "VERSION"), "leat data directory 1\n")
		write(t, filepath.Join(dir, "leat-data", "state", at[len(at)-3:]), "x")
		first := w.Changed(set)
		if second := w.Changed(set); first || second || set.Digest() != digest {
			t.Errorf("%s: what is no source is a change", at)
		}
		write(t, filepath.Join(dir, "table.json"), at)
		if w.Changed(set); !w.Changed(set) || set.Digest() == digest {
			t.Errorf("%s: a file that source may embed is none", at)
		}
	}
}

func TestOfAFolderOfPipelinesItsFilesAreLookedAt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd [name]")
	for _, name := range []string{"a.yaml", "b.yml", ".hidden.yaml", "notes.txt", "sub/c.yaml"} {
		write(t, filepath.Join(dir, name), "x")
	}
	var got []string
	for _, p := range Files(dir, "other.yaml").paths {
		got = append(got, strings.TrimPrefix(p, dir+"/"))
	}
	if want := []string{"a.yaml", "b.yml", "other.yaml"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
