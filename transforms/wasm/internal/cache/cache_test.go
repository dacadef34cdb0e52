package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

const day = 24 * time.Hour

// add makes an entry with a size, last used some time ago.
func add(t *testing.T, dir, name string, size int64, unused time.Duration) {
	t.Helper()
	path := filepath.Join(dir, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600), os.Truncate(path, size))
	for ; err == nil && path != dir; path = filepath.Dir(path) {
		err = os.Chtimes(path, time.Time{}, time.Now().Add(-unused))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// due makes the folder one that was trimmed some time ago.
func due(t *testing.T, dir string, ago time.Duration) { t.Helper(); add(t, dir, lockName, 0, ago) }

func open(t *testing.T, dir string) *Dir {
	t.Helper()
	d, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func expect(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Name() != lockName {
			got = append(got, e.Name())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

func TestWhatWasNotUsedForLongGoes(t *testing.T) {
	dir := t.TempDir()
	add(t, dir, "file", 10, maxAge+time.Hour)
	add(t, dir, "folder/below/file", 10, maxAge+time.Hour)
	add(t, dir, "used", 10, maxAge+time.Hour)
	add(t, dir, "young", 10, maxAge-time.Hour)
	open(t, dir).Close() // the first: the folder was never trimmed, and makes a note of the time
	expect(t, dir, "file", "folder", "used", "young")
	due(t, dir, trimInterval-time.Hour)
	open(t, dir).Close()
	expect(t, dir, "file", "folder", "used", "young")
	due(t, dir, trimInterval+time.Hour)
	d := open(t, dir)
	d.Use("used")
	d.Close()
	expect(t, dir, "used", "young")
	add(t, dir, "file", 10, maxAge+time.Hour)
	open(t, dir).Close() // trimmed a moment ago
	expect(t, dir, "file", "used", "young")
}

func TestTheOldestGoWhereThereIsTooMuch(t *testing.T) {
	dir := t.TempDir()
	add(t, dir, "a", maxBytes/2, 3*day)
	add(t, dir, "b/file", maxBytes/2, 2*day)
	add(t, dir, "c", maxBytes/2, day)
	add(t, dir, "d", 10, 4*day)
	due(t, dir, 2*day)
	open(t, dir).Close()
	expect(t, dir, "b", "c")
}

func TestSizeDoesNotTakeWhatWasJustUsed(t *testing.T) {
	dir := t.TempDir()
	add(t, dir, "a", maxBytes, time.Minute)
	add(t, dir, "b", maxBytes, 2*time.Minute)
	add(t, dir, "c", 1, 2*time.Hour)
	due(t, dir, 2*day)
	open(t, dir).Close()
	expect(t, dir, "a", "b")
}

func TestNothingGoesWhileTheFolderIsInUse(t *testing.T) {
	dir := t.TempDir()
	user := open(t, dir)
	add(t, dir, "old", 10, 2*maxAge)
	due(t, dir, 2*day)
	open(t, dir).Close()
	expect(t, dir, "old")
	user.Close()
	expect(t, dir)
}

func TestUsersWaitForOneThatTrims(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Close()
	trimmer, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer trimmer.Close()
	if err := flock(trimmer, syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beside one that trims: %v", err)
	}
	trimmer.Close()
	open(t, dir).Close()
}

// Users make and read entries while others trim all the time: whoever has the folder open finds what it made.
func TestUsersAndTrimmersDoNotDisturbEachOther(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 50 {
				d, err := Open(context.Background(), dir)
				if err != nil {
					t.Error(err)
					return
				}
				name := fmt.Sprint(g, "-", n%3)
				path := filepath.Join(dir, name)
				old := time.Now().Add(-2 * maxAge)
				err = errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, old, old), os.Chtimes(filepath.Join(dir, lockName), old, old))
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
				if _, err := os.Stat(path); err != nil {
					t.Errorf("in use: %v", err)
				}
				d.Close()
			}
		})
	}
	wg.Wait()
	due(t, dir, 2*day)
	open(t, dir).Close()
	expect(t, dir)
}
