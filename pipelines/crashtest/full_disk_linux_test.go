package crashtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

const (
	diskSize = 64 << 20
	// maxResume is how soon after space returns the stream must take records again: five seconds, and what a busy machine adds.
	maxResume = 30 * time.Second
)

// TestAFullDiskStopsWritesAndNothingElse fills a real file system of 64 MiB that holds nothing but the data directory.
func TestAFullDiskStopsWritesAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := os.Mkdir(w.data(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("leat-test", w.data(), "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		testenv.Missing(t, "a tmpfs cannot be mounted (%v): run as root", err)
	}
	d := &fullDisk{t: t, world: w}
	t.Cleanup(func() {
		if d.stop != nil {
			d.stop()
		}
		if err := unix.Unmount(w.data(), 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	w.files = []int{0}
	d.appendToFile(100)
	d.fill("ballast", 40<<20)
	d.fill("reserve", 4<<20)
	d.start()

	// leat alone fills the disk.
	for d.put() == nil {
	}
	d.expectRefusal()
	if free := d.free(); free > diskSize/8 {
		t.Errorf("writes are refused while %d bytes are free", free)
	}
	d.readBack()
	d.waitUntilDelivered(time.Minute)

	// Others take the rest, while something is still to be delivered.
	d.remove("reserve")
	d.waitUntilTaken()
	d.appendToFile(100)
	d.fill("filler", diskSize)
	if free := d.free(); free != 0 {
		t.Fatalf("%d bytes are free", free)
	}
	d.waitUntilSpoolFails()
	d.expectRefusal()
	d.readBack()

	// A new start on the full disk.
	d.stop()
	d.fill("more", diskSize)
	d.start()
	d.waitUntilSpoolFails()
	d.expectRefusal()
	d.readBack()

	d.remove("filler", "more", "ballast")
	returned := time.Now()
	d.waitUntilTaken()
	t.Logf("writes resumed after %v", time.Since(returned).Round(time.Millisecond))
	d.waitUntilDelivered(time.Minute)
	t.Logf("all was delivered after %v", time.Since(returned).Round(time.Millisecond))
	d.stop()
	w.drain(t)
	w.check(t)
}

// fullDisk is a world whose data directory is a file system of its own.
type fullDisk struct {
	*world
	t      *testing.T
	run    *running
	stream *stream.Stream
	stop   func()
}

const onlySource = "0/0"

func (d *fullDisk) start() {
	d.t.Helper()
	var err error
	if d.run, err = open(d.dir, false, slog.DiscardHandler); err != nil {
		d.t.Fatalf("start: %v", err)
	}
	if d.stream, err = d.run.data.Streams.Get(pipelineName); err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run.runner.Run(ctx, false) }()
	d.stop = func() {
		d.t.Helper()
		cancel()
		d.stop = nil
		if err := errors.Join(<-ended, d.run.data.Close()); err != nil {
			d.t.Errorf("stop: %v", err)
		}
	}
}

// put puts the next entries of the only producer.
func (d *fullDisk) put() error {
	n := d.acked[onlySource]
	var entries []stream.Entry
	for i := n; i < n+100; i++ {
		entries = append(entries, stream.Entry{Key: keyOf(onlySource, i), Data: []byte(lineOf(onlySource, i))})
	}
	results, err := d.stream.Put(d.t.Context(), entries)
	if err != nil {
		return err
	}
	for i := range results {
		if results[i].Err != nil {
			d.t.Fatalf("half of a call was stored: %v", results[i].Err)
		}
	}
	d.acked[onlySource] += len(entries)
	return nil
}

func (d *fullDisk) expectRefusal() {
	d.t.Helper()
	d.checkRefusal(d.put())
}

func (d *fullDisk) checkRefusal(err error) {
	d.t.Helper()
	if class := fault.ClassOf(err); fault.CodeOf(err) != "log.disk_full" || !errors.Is(err, shardlog.ErrFull) || class == fault.Permanent {
		d.t.Fatalf("a put on a full disk: class %v, code %s: %v", class, fault.CodeOf(err), err)
	}
}

// waitUntilSpoolFails waits until the disk keeps a delivery from sealing an object.
func (d *fullDisk) waitUntilSpoolFails() {
	d.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		for _, s := range d.run.runner.Stats() {
			if fault.CodeOf(s.Err) == "delivery.spool_failed" && errors.Is(s.Err, unix.ENOSPC) {
				return
			}
		}
		if time.Since(began) > time.Minute {
			d.t.Fatalf("no delivery has met the full disk: %+v", d.run.runner.Stats())
		}
	}
}

// waitUntilTaken puts until it succeeds.
func (d *fullDisk) waitUntilTaken() {
	d.t.Helper()
	began := time.Now()
	for {
		err := d.put()
		if err == nil {
			return
		}
		d.checkRefusal(err)
		if time.Since(began) > maxResume {
			d.t.Fatalf("%v after space has returned: %v", maxResume, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// readBack reads all shards and makes sure that each acked record is there.
func (d *fullDisk) readBack() {
	d.t.Helper()
	shards, err := d.stream.Shards()
	if err != nil {
		d.t.Fatal(err)
	}
	got := found{}
	b := record.NewBatch()
	defer b.Release()
	for _, sh := range shards {
		for at := (stream.Position{Incarnation: d.stream.Incarnation(), Shard: sh.ID, Seq: sh.TrimHorizon}); at.Seq < sh.Next; {
			b.Reset()
			res, err := d.stream.Read(d.t.Context(), at, shardlog.ReadLimit{Records: 10_000, Bytes: 4 << 20}, b)
			if err != nil || res.Next == at {
				d.t.Fatalf("read %v at %d: next %d, %v", at.Shard, at.Seq, res.Next.Seq, err)
			}
			for _, r := range b.Records {
				c := d.record(d.t, "the stream", string(r.Data))
				got.add(c.Source, c.N)
			}
			at = res.Next
		}
	}
	for n, times := range got[onlySource] {
		if times != 1 {
			d.t.Fatalf("record %d is in the stream %d times", n, times)
		}
	}
	if have := len(got[onlySource]); have < d.acked[onlySource] {
		d.t.Fatalf("%d records were acked, %d are in the stream", d.acked[onlySource], have)
	}
}

// waitUntilDelivered waits until the sinks have all that the stream and the files hold.
func (d *fullDisk) waitUntilDelivered(most time.Duration) {
	d.t.Helper()
	want := uint64(d.acked[onlySource] + d.fileLines())
	began := time.Now()
	for {
		missing := false
		for _, s := range d.run.runner.Stats() {
			missing = missing || s.Delivered+s.Dead < want
		}
		if !missing {
			return
		}
		if time.Since(began) > most {
			d.t.Fatalf("not all of %d records are delivered after %v: %+v", want, most, d.run.runner.Stats())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (d *fullDisk) appendToFile(lines int) {
	d.t.Helper()
	f, err := os.OpenFile(d.log(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	for range lines {
		if _, err := f.WriteString(lineOf(fileSource(0), d.files[0]) + "\n"); err != nil {
			d.t.Fatal(err)
		}
		d.files[0]++
	}
	if err := f.Close(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *fullDisk) free() uint64 {
	d.t.Helper()
	u, err := vfs.OS().Usage(d.data())
	if err != nil {
		d.t.Fatal(err)
	}
	return u.Free
}

// fill writes a file of so many bytes to the disk, or until there is no space left.
func (d *fullDisk) fill(name string, bytes int) {
	d.t.Helper()
	f, err := os.Create(filepath.Join(d.data(), name))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 4<<10); bytes > 0; bytes -= len(piece) {
		if _, err := f.Write(piece); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *fullDisk) remove(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(d.data(), name)); err != nil {
			d.t.Fatal(err)
		}
	}
}
