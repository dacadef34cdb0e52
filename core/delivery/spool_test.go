package delivery

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// An object whose outputs are all empty has no bytes to spill. Its spool file is made once all the same.
func TestAnObjectWithoutBytesIsSpilledAndCompleted(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.Compression, _ = codec.ByName("none", 0)
	d, err := New(t.Context(), w.cfg)
	w.must(err)
	b := d.newBuffer("gk", "k/", false, &record.Record{Seq: 1})
	w.must(d.spill(b, false))
	w.must(d.spill(b, false))
	m, err := d.finish(b)
	w.must(err)
	w.must(checkSpool(d.spool, m))
}

// What the buffers hold leaves memory piece by piece, when it is spilled and when it is sealed: no copy of it all is made.
func TestMemoryStaysUnderItsBudget(t *testing.T) {
	w := newWorld(t, 1)
	dir := t.TempDir()
	log, err := disk.Open(vfs.OS(), filepath.Join(dir, "log"), disk.Options{Reserve: -1})
	w.must(err)
	w.must(log.Reshard(t.Context(), nil, []shardlog.Shard{{ID: 0}}))
	w.must(w.log.Close())
	w.log = log
	w.cfg.Source.Log, w.cfg.FS, w.cfg.Spool = log, vfs.OS(), filepath.Join(dir, "spool")
	w.cfg.Compression, _ = codec.ByName("none", 0)
	w.cfg.BufferSize, w.cfg.Memory, w.cfg.Workers = 128<<20, 48<<20, 1
	noise := make([]byte, 64<<10)
	for range 1900 { // 119 MiB that do not compress
		_, _ = rand.Read(noise)
		for i := range noise {
			noise[i] |= 0x80 // no newlines
		}
		w.put(0, "k", string(noise))
	}
	before := testenv.LiveHeap()
	stop, most := make(chan struct{}), make(chan int64)
	go func() {
		var high int64
		for {
			select {
			case <-stop:
				most <- high
				return
			case <-time.After(time.Millisecond):
				high = max(high, testenv.LiveHeap())
			}
		}
	}()
	held := false
	w.cfg.Seams.At = func(step string) { held = held || step == "spilled" }
	w.main.on(func(context.Context, *Chunk) error { return errDown }) // what the store takes is not ours
	r := w.start()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { _ = r.Drain(ctx) }()
	eventually(t, "the object is sealed", func() bool { return r.Stats().Retries > 0 })
	close(stop)
	if grown := <-most - before; grown > w.cfg.Memory+slack {
		t.Errorf("the heap grew by %d KiB, the budget is %d KiB and %d KiB for what is in flight", grown>>10, w.cfg.Memory>>10, slack>>10)
	} else {
		t.Logf("the heap grew by %d KiB", grown>>10)
	}
	cancel()
	w.must(r.stop())
	if !held {
		t.Error("nothing was spilled")
	}
}

// slack is what batches and blocks in flight take with one worker, in bytes, and as much again for what the collector has
// not found yet: without the budget, memory grows by all of the input.
const slack = 2 * (2*1 + 4) * 3 << 20

// A sealed object whose file is gone cannot be put, now or later.
func TestALostSpoolFileStopsTheDelivery(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.BufferInterval = soon
	w.main.on(func(context.Context, *Chunk) error { return errDown })
	w.put(0, "k", "a")
	r := w.start()
	eventually(t, "an object is sealed", func() bool { return r.Stats().Retries > 0 })
	w.must(w.fs.Remove(spoolDir + "/" + w.spooled()[0]))
	w.main.on(nil)
	err := r.wait()
	if fault.CodeOf(err) != codeSpoolDamaged || fault.ClassOf(err) != fault.Permanent {
		t.Fatalf("%v", err)
	}
	if report := w.audit(); len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "spool file") {
		t.Errorf("%q", report.Problems)
	}
}
