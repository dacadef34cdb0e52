package stream

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

func TestNamesAreThoseOfKinesis(t *testing.T) {
	w, _ := newWorld(t)
	for _, name := range []string{"", "a b", "a/b", "..\x00", "ü", strings.Repeat("x", 129)} {
		_, err := w.Create(context.Background(), name, Config{})
		wantCode(t, err, fault.Permanent, "stream.invalid_name")
	}
	names := []string{"..", "A-z_0.9", strings.Repeat("x", 128)}
	for _, name := range names {
		put(t, w.mustCreate(t, name, Config{}), "k")
	}
	if got := w.List(); !slices.Equal(got, names) {
		t.Fatalf("streams are %q", got)
	}
}

func TestOneRegistryAtATime(t *testing.T) {
	fsys, clock := vfs.NewMem(), newClock()
	w := mustOpen(t, fsys, clock)
	_, err := Open(fsys, "/data/streams", w.store, Options{})
	wantCode(t, err, fault.Unavailable, "stream.locked")
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	_, err = w.Get("s")
	wantCode(t, err, fault.Unavailable, "stream.closed")
	_, err = w.Create(context.Background(), "s", Config{})
	wantCode(t, err, fault.Unavailable, "stream.closed")
	if err := mustOpen(t, fsys, clock).close(); err != nil {
		t.Fatal(err)
	}
}

// TestABrokenStreamLeavesTheOthersAlone takes a stream's folder or its files away, and puts a folder there that is not a
// stream's.
func TestABrokenStreamLeavesTheOthersAlone(t *testing.T) {
	for _, name := range []string{"no folder", "no files"} {
		t.Run(name, func(t *testing.T) { testBrokenStream(t, name == "no folder") })
	}
}

func testBrokenStream(t *testing.T, noFolder bool) {
	fsys, clock := vfs.NewMem(), newClock()
	w := mustOpen(t, fsys, clock)
	broken := w.mustCreate(t, "broken", Config{})
	put(t, w.mustCreate(t, "good", Config{}), "k")
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join("/data/streams", broken.Incarnation().String())
	files, err := fsys.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := fsys.Remove(filepath.Join(folder, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if noFolder {
		if err := fsys.Remove(folder); err != nil {
			t.Fatal(err)
		}
	}
	if err := fsys.MkdirAll("/data/streams/backup of mine"); err != nil {
		t.Fatal(err)
	}
	w = mustOpen(t, fsys, clock)
	defer w.close()
	_, err = w.Get("broken")
	wantCode(t, err, fault.Permanent, "stream.corrupt")
	_, err = w.Create(context.Background(), "broken", Config{})
	wantCode(t, err, fault.Permanent, "stream.exists")
	good, err := w.Get("good")
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := readAll(t, good, 0); len(data) != 1 {
		t.Fatalf("the good stream holds %q", data)
	}
	if _, err := fsys.Stat("/data/streams/backup of mine"); err != nil {
		t.Fatalf("a folder that is no stream's: %v", err)
	}
	if err := w.Delete(context.Background(), "broken"); err != nil {
		t.Fatalf("delete a broken stream: %v", err)
	}
	again := w.mustCreate(t, "broken", Config{})
	oldStart, newStart := broken.table.Load().newest, again.table.Load().newest
	if newStart <= oldStart {
		t.Fatalf("the stream created again starts in second %d, the broken one had %d", newStart, oldStart)
	}
}

func TestShardCountGoesUpAndDownByThousands(t *testing.T) {
	w, _ := newWorld(t)
	n := testenv.Count(1000, MaxShards)
	s := w.mustCreate(t, "s", Config{Shards: n})
	for _, count := range []int{n - 1, 3, n} {
		if err := s.UpdateShardCount(context.Background(), count); err != nil {
			t.Fatalf("to %d shards: %v", count, err)
		}
		if s.OpenShards() != count {
			t.Fatalf("%d shards, want %d", s.OpenShards(), count)
		}
		put(t, s, "a", "b", "c")
	}
}

func TestShardsAreLimited(t *testing.T) {
	w, _ := newWorld(t)
	ctx := context.Background()
	s := w.mustCreate(t, "s", Config{Shards: MaxShards})
	_, err := s.Split(ctx, 0, HashKey{Lo: 5})
	wantCode(t, err, fault.Permanent, "stream.too_many_shards")
	wantCode(t, s.UpdateShardCount(ctx, MaxShards+1), fault.Permanent, "stream.invalid_shard_count")
	put(t, s, "a", "b", "c")
}
