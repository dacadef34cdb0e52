package disk

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
)

// While the process has too many open files, a log refuses writes that need another one, and goes on when it may open it. It
// is not poisoned: nothing depends on the file that could not be opened.
func TestTooManyOpenFilesEndByThemselves(t *testing.T) {
	var lacking atomic.Bool
	fs := vfs.NewErrors(vfs.NewMem(), func(op vfs.Op, _ string, _ int) vfs.Fault {
		if lacking.Load() && (op == vfs.OpCreate || op == vfs.OpOpen || op == vfs.OpSyncDir) {
			return vfs.Fault{Err: syscall.EMFILE}
		}
		return vfs.Fault{}
	})
	l := openWith(t, fs, Options{}, 1)
	var stored, refused atomic.Int64
	// Several producers, so that groups use both lanes, and enough bytes for some segments.
	produce := func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 40 {
					switch err := appendSize(t, l, 0, 16<<10); {
					case err == nil:
						stored.Add(1)
					case fault.CodeOf(err) == codeNoFiles && fault.ClassOf(err) == fault.Unavailable:
						refused.Add(1)
					default:
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	lacking.Store(true)
	produce()
	if refused.Load() == 0 {
		t.Fatal("no write needed another file")
	}
	lacking.Store(false)
	before := refused.Load()
	produce()
	if refused.Load() != before || l.Err() != nil {
		t.Errorf("%d writes were refused after the lack had ended; %v", refused.Load()-before, l.Err())
	}
	if state, _ := l.State(0); state.Next != uint64(stored.Load())+1 {
		t.Errorf("%d records were acked and the next position is %d", stored.Load(), state.Next)
	}
}

// The promise of an idle log that was refused for want of files is written once there are some.
func TestAPromiseThatWasRefusedIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lacking atomic.Bool
		var refused, written atomic.Int64
		fs := vfs.NewErrors(vfs.NewMem(), func(op vfs.Op, _ string, _ int) vfs.Fault {
			switch {
			case op == vfs.OpOpen && lacking.Load():
				refused.Add(1)
				return vfs.Fault{Err: syscall.EMFILE}
			case op == vfs.OpWrite:
				written.Add(1)
			}
			return vfs.Fault{}
		})
		l := openWith(t, fs, Options{}, 1)
		idle := func() {
			time.Sleep(promiseAfter + time.Millisecond)
			synctest.Wait()
		}
		// Until a segment begins whose next group, the promise, is the first of its lane and needs a file.
		for round := 0; refused.Load() == 0; round++ {
			lacking.Store(false)
			for range 1 + round%2 { // groups take turns with the lanes
				if err := appendSize(t, l, 0, 16<<10); err != nil {
					t.Fatal(err)
				}
			}
			lacking.Store(true)
			idle()
		}
		lacking.Store(false)
		before := written.Load()
		if idle(); written.Load() == before {
			t.Error("the promise was given up")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
