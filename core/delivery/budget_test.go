package delivery

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/record"
)

// noise returns n data that do not compress well, of size bytes each.
func noise(n, size int) []string {
	data := make([]string, n)
	p := make([]byte, size)
	for i := range data {
		_, _ = rand.Read(p)
		data[i] = base64.StdEncoding.EncodeToString(p)[:size]
	}
	return data
}

// watched remembers what the delivery has told last.
type watched struct {
	unobserved
	unsent atomic.Int64
}

func (w *watched) Holding(_ int, _, _, unsent, _ int64) { w.unsent.Store(unsent) }

func TestManyPartitionsStayUnderTheMemoryBudget(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.Memory, w.cfg.Workers = 1<<20, 1
	var seen, spills atomic.Int64
	var want []string
	const groups = 40
	for range 20 {
		for g := range groups {
			data := noise(4, 4<<10)
			want = append(want, data...)
			w.put(0, fmt.Sprint("group", g), data...)
		}
	}
	d, err := New(t.Context(), w.cfg)
	w.must(err)
	d.cfg.Seams.At = func(step string) {
		switch step {
		case "collected":
			seen.Store(max(seen.Load(), d.held.Load()))
		case "spilled":
			spills.Add(1)
		}
	}
	r := w.run(d)
	eventually(t, "buffers are spilled", func() bool { return len(w.spooled()) > 0 })
	r.drain()
	w.must(r.stop())
	w.main.wantLines(t, want)
	if n := w.main.len(); n != groups {
		t.Errorf("%d objects, want %d", n, groups)
	}
	// One batch comes on top of the budget before the buffers are spilled.
	if most := w.cfg.Memory + 2*scanBytes; seen.Load() > most || spills.Load() < 10 {
		t.Errorf("the buffers held %d bytes, want at most %d; %d spills", seen.Load(), most, spills.Load())
	}
	if h := r.held.Load(); h != 0 {
		t.Errorf("at the end %d bytes are said to be held", h)
	}
}

func TestTooManyOpenBuffersAreSealedEarly(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.Memory = minOpen * bufferCost
	for g := range 3 * minOpen {
		w.put(0, fmt.Sprintf("group%03d", g), "a")
	}
	r := w.start()
	eventually(t, "the oldest are delivered", func() bool { return r.Stats().Delivered == 2*minOpen })
	for key := range w.main.contents(t) {
		if key >= fmt.Sprintf("group%03d", 2*minOpen) {
			t.Errorf("%s is among the youngest", key)
		}
	}
	if !strings.Contains(w.said.String(), "too many open buffers") {
		t.Error("the log does not say why")
	}
	w.must(r.stop())
}

func TestTheOldestBuffersAreSealedEarlyWhenTheCoveredSetIsFull(t *testing.T) {
	w := newWorld(t, 50)
	w.cfg.Covered = 30 * bitmapCost
	for s := range record.ShardID(50) {
		w.put(s, "old", "a")
	}
	r := w.start()
	eventually(t, "the first is delivered", func() bool { return r.Stats().Delivered == 50 })
	w.put(0, "young", "b")
	time.Sleep(2 * checkEvery)
	if n := w.main.len(); n != 1 {
		t.Errorf("%d objects, want one: there is room for the positions of the other", n)
	}
	w.must(r.stop())
}

// One object cannot be put, and all others can. The set of what is delivered above it does not grow without bound.
func TestOneStuckObjectStopsCollectingOnceTheCoveredSetIsFull(t *testing.T) {
	const rounds, each = 6, 20
	w := newWorld(t, rounds*each)
	w.cfg.Covered, w.cfg.BufferInterval = 3*each*bitmapCost, 20*time.Millisecond
	w.main.on(func(_ context.Context, c *Chunk) error {
		if strings.HasPrefix(c.Key, "stuck/") {
			return errDown
		}
		return nil
	})
	r := w.start()
	size := func() int64 { return r.backlog.promised.Load() + r.backlog.covered.Load() }
	for round := range rounds { // each makes one bitmap a shard of promised positions, and one of delivered ones above
		for i := range each {
			w.put(record.ShardID(round*each+i), "stuck", "a")
			w.put(record.ShardID(round*each+i), "fine", "b")
		}
		eventually(t, "it is delivered, or has to wait", func() bool {
			return r.Stats().Delivered == uint64((round+1)*each) || size() > w.cfg.Covered
		})
	}
	time.Sleep(100 * time.Millisecond) // in which nothing more may be taken
	if most := w.cfg.Covered * 3 / 2; size() > most || size() < w.cfg.Covered {
		t.Errorf("the positions take %d bytes, want %d to %d", size(), w.cfg.Covered, most)
	}
	w.main.on(nil)
	r.drain()
	w.must(r.stop())
	if c := w.holds(); c.Delivered != 2*rounds*each || size() != 0 {
		t.Errorf("%+v, and %d bytes of positions", c, size())
	}
}

// A sink that is down stops collecting: neither memory nor the spool grow any more, and the log keeps the rest.
func TestASinkThatIsDownStopsCollecting(t *testing.T) {
	w := newWorld(t, 1)
	seen := &watched{}
	w.cfg.Observer, w.cfg.BufferInterval, w.cfg.Memory = seen, 20*time.Millisecond, 1<<20
	w.main.on(func(context.Context, *Chunk) error { return errDown })
	r := w.start()
	var want []string
	for g := range 2 * maxPending { // as many objects as the backlog takes, and again
		data := numbered(100, 200)
		want = append(want, data...)
		w.put(0, fmt.Sprintf("k%03d", g), data...)
	}
	eventually(t, "the backlog is full", func() bool { return r.Stats().Unsent == maxPending })
	held, files := r.held.Load(), len(w.spooled())
	for range 20 {
		data := numbered(200, 1000)
		want = append(want, data...)
		w.put(0, "more", data...)
	}
	time.Sleep(200 * time.Millisecond)
	if now := r.Stats(); now.Unsent != maxPending || r.held.Load() > max(held, w.cfg.Memory)+2*scanBytes || len(w.spooled()) > files+3 {
		t.Errorf("unsent %d, held %d of %d, %d spool files of %d", now.Unsent, r.held.Load(), held, len(w.spooled()), files)
	}
	eventually(t, "the observer is told of the backlog", func() bool { return seen.unsent.Load() > 0 })
	w.main.on(nil)
	r.drain()
	eventually(t, "the observer is told that it is gone", func() bool { return seen.unsent.Load() == 0 })
	w.must(r.stop())
	w.main.wantLines(t, want)
	w.holds()
}

// Open buffers that take more of the disk than they leave free are sealed early; they would fill it otherwise.
func TestOpenBuffersLeaveRoomOnTheDisk(t *testing.T) {
	w := newWorld(t, 1)
	w.fs.SetCapacity(40 << 20) // of which the log takes 18
	w.restart()                // what others keep in reserve depends on it
	w.cfg.BufferSize, w.cfg.Memory = MaxBufferSize, 1<<20
	w.cfg.Compression, _ = codec.ByName("none", 0)
	r := w.start()
	var want []string
	for range 16 {
		for g := range 4 {
			data := noise(16, 16<<10)
			want = append(want, data...)
			w.put(0, fmt.Sprint("group", g), data...)
		}
	}
	eventually(t, "all is read", func() bool { return r.Stats().In == uint64(len(want)) })
	r.drain()
	w.must(r.stop())
	w.main.wantLines(t, want)
	if n := w.main.len(); n <= 4 || !strings.Contains(w.said.String(), "too much of the disk") {
		t.Errorf("%d objects, want more than one a group", n)
	}
}
