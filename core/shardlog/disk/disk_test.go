package disk

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/shardlogtest"
	"github.com/leatstream/leat/core/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func engine(fs func(t *testing.T) (vfs.FS, string), opts Options) shardlogtest.Engine {
	type home struct {
		fs  vfs.FS
		dir string
	}
	homes := map[shardlog.Log]home{}
	open := func(t *testing.T, h home) shardlog.Log {
		l, err := Open(h.fs, h.dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		homes[l] = h
		return l
	}
	return shardlogtest.Engine{
		Open: func(t *testing.T) shardlog.Log {
			f, dir := fs(t)
			return open(t, home{f, dir})
		},
		Reopen: func(t *testing.T, l shardlog.Log) shardlog.Log {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, homes[l])
		},
	}
}

func memFS(*testing.T) (vfs.FS, string)  { return vfs.NewMem(), "/log" }
func osFS(t *testing.T) (vfs.FS, string) { return vfs.OS(), t.TempDir() }

func TestConformance(t *testing.T) {
	t.Run("memory", func(t *testing.T) { shardlogtest.Run(t, engine(memFS, Options{})) })
	t.Run("small segments", func(t *testing.T) {
		shardlogtest.Run(t, engine(memFS, Options{FirstSegment: minSegment, SegmentSize: minSegment}))
	})
	t.Run("disk", func(t *testing.T) { shardlogtest.Run(t, engine(osFS, Options{Reserve: -1})) })
}
