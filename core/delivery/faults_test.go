package delivery

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// The spool's disk fails once, at each of its operations, in each way. The delivery ends then, or goes on; a new one made
// from what is durable delivers each record once.
func TestAnErrorOfTheSpoolAtEachOperationLosesNothing(t *testing.T) {
	ways := []vfs.Fault{{Err: syscall.EIO}, {Err: syscall.ENOSPC, Bytes: 100}, {Err: syscall.EIO, Done: true}}
	for k := range testenv.Count(60, 500) {
		w := newWorld(t, 1)
		var want []string
		for i := range 6 {
			data := noise(12, 8<<10)
			want = append(want, data...)
			w.put(0, fmt.Sprint("k", i%3), data...)
		}
		hit := false
		rule := vfs.AtOp(k+1, ways[k%len(ways)])
		w.cfg.FS = vfs.NewErrors(w.fs, func(op vfs.Op, name string, n int) vfs.Fault {
			f := rule(op, name, n)
			hit = hit || f.Err != nil
			return f
		})
		w.cfg.Memory = 100 << 10 // most of it is spilled
		d, err := New(t.Context(), w.cfg)
		if err == nil {
			r := w.run(d)
			if drained := r.Drain(t.Context()); drained != nil && fault.ClassOf(drained) == fault.Permanent {
				t.Fatalf("operation %d: %v", k+1, drained)
			}
			err = r.stop()
		}
		if err != nil && fault.ClassOf(err) == fault.Permanent {
			t.Fatalf("operation %d: an error of the disk is permanent: %v", k+1, err)
		}
		w.restart()
		w.deliverAll()
		w.main.wantLines(t, want)
		if c := w.holds(); c.Delivered != uint64(len(want)) || len(w.spooled()) != 0 {
			t.Fatalf("operation %d: %+v, spool %v", k+1, c, w.spooled())
		}
		w.close()
		if !hit {
			return // that was the last operation
		}
	}
}
