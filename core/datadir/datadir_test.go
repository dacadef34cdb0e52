package datadir

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
)

func TestOneProcessAtATime(t *testing.T) {
	fsys := vfs.NewMem()
	first, err := Open(fsys, "/data", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fsys, "/data", nil); fault.CodeOf(err) != "data.locked" {
		t.Fatalf("a second one: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(fsys, "/data", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !first.New || again.New {
		t.Errorf("new: %v at first, %v again", first.New, again.New)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// Who finds the directory in use learns by whom, if the process that LOCK names is there, and nothing else.
func TestTheHolderIsNamed(t *testing.T) {
	fsys := vfs.NewMem()
	d, err := Open(fsys, "/data", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	// said is what Open says of the directory while it is held.
	said := func(want string) {
		t.Helper()
		_, err := Open(fsys, "/data", nil)
		if fault.CodeOf(err) != "data.locked" || !strings.Contains(err.Error(), "data directory /data is in use"+want) {
			t.Errorf("%v, want: in use%s", err, want)
		}
	}
	said(fmt.Sprintf(` by process %d ("%s", since 2`, os.Getpid(), filepath.Base(os.Args[0])))
	for text, want := range map[string]string{
		"":            ": lock",
		"12":          ": lock",
		`{"pid":0}`:   ": lock",
		`{"pid":"x"}`: ": lock",
		fmt.Sprintf(`{"pid":%d,"host":%q}`, 1<<30, host):       ": lock",
		`{"pid":7,"host":"elsewhere","command":"leat\nserve"}`: ` by process 7 on "elsewhere" ("leat\nserve", since `,
	} {
		f, err := fsys.Open("/data/LOCK")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		said(want)
	}
}

func TestAnotherLayoutIsRefusedAndLeftAlone(t *testing.T) {
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Create("/data/VERSION")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("leat data directory 2\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fsys, "/data", nil); fault.CodeOf(err) != "data.version" || fault.ClassOf(err) != fault.Permanent {
		t.Fatal(err)
	}
	if _, err := fsys.Stat("/data/state"); err == nil {
		t.Fatal("it wrote to a directory of another layout")
	}
}

// A directory that lost power while it was made for the first time is opened like a new one, and keeps what was acked.
func TestOpeningSurvivesPowerFailures(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fsys := vfs.NewMem()
		acked := 0
		for range 4 {
			d, err := Open(fsys, "/data", nil)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if got := len(d.Streams.List()); got < acked {
				t.Fatalf("seed %d: %d streams, %d were acked", seed, got, acked)
			}
			names := []string{"a", "b", "c", "d"}
			if rng.IntN(2) == 0 {
				if _, err := d.Streams.Create(context.Background(), names[acked], stream.Config{}); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				acked++
			}
			fsys.Freeze()
			_ = d.Close()
			fsys = fsys.Crash(rng, rng.IntN(101))
		}
	}
}
