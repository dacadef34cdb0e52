package vfs

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
)

func TestOverlayLeavesItsBaseAlone(t *testing.T) {
	base := NewMem()
	must(t, base.MkdirAll("/d/sub"))
	for _, name := range []string{"/d/changed", "/d/removed", "/d/renamed", "/d/replaced", "/d/sub/deep", "/d/read"} {
		writeFile(t, base, name, "base")
	}
	lock, err := base.Lock("/d/LOCK")
	must(t, err)
	defer lock.Close()
	o := NewOverlay(base)

	reader, err := o.OpenRead("/d/changed")
	must(t, err)
	defer reader.Close()
	f, err := o.Open("/d/changed")
	must(t, err)
	_, err = f.WriteAt([]byte("top!"), 0)
	must(t, err)
	must(t, f.Close())
	p := make([]byte, 4)
	_, err = reader.ReadAt(p, 0)
	must(t, err)
	if string(p) != "top!" {
		t.Errorf("a reader that was there before sees %q", p)
	}
	must(t, o.Remove("/d/removed"))
	must(t, o.Rename("/d/renamed", "/d/new"))
	writeFile(t, o, "/d/tmp", "top!")
	must(t, o.Rename("/d/tmp", "/d/replaced"))
	must(t, o.Remove("/d/sub/deep"))
	must(t, o.Remove("/d/sub"))
	mine, err := o.Lock("/d/LOCK")
	must(t, err)
	must(t, mine.Close())

	if _, err := o.Open("/d/removed"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}
	if got, want := names(t, o, "/d"), []string{"LOCK", "changed", "new", "read", "replaced"}; !slices.Equal(got, want) {
		t.Errorf("the overlay has %v, want %v", got, want)
	}
	for name, want := range map[string]string{"/d/changed": "top!", "/d/new": "base", "/d/read": "base", "/d/replaced": "top!"} {
		if got := readFile(t, o, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got, want := names(t, base, "/d"), []string{"LOCK", "changed", "read", "removed", "renamed", "replaced", "sub"}; !slices.Equal(got, want) {
		t.Errorf("the base has %v, want %v", got, want)
	}
	if got := readFile(t, base, "/d/changed"); got != "base" {
		t.Errorf("the base was written: %q", got)
	}
	writeFile(t, o, "/d/removed", "anew")
	if got := readFile(t, o, "/d/removed"); got != "anew" {
		t.Errorf("created where one was removed: %q", got)
	}
}
