package disk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// written is a log on a memory file system and what is in it.
type written struct {
	mem     *vfs.Mem
	content map[record.ShardID][]string
	// limit is how far each file is known to be durable, and region what lies at an offset.
	limit   map[uint64]int64
	regions map[uint64][]stretch
}

type stretch struct {
	end    int64
	region Region
}

// writeLog fills a log with all kinds of blocks over several segments. A clean one is closed, another is left as a kill
// would leave it after its promise was written.
func writeLog(t testing.TB, clean bool) *written {
	t.Helper()
	rng := rand.New(rand.NewPCG(4, 2))
	w := &written{mem: vfs.NewMem(), content: map[record.ShardID][]string{}, limit: map[uint64]int64{}, regions: map[uint64][]stretch{}}
	l, err := Open(w.mem, "/log", simOptions(seams{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	shards := []record.ShardID{0, 1, 2}
	if err := l.Reshard(ctx, nil, []shardlog.Shard{{ID: 0, Meta: []byte("zero")}, {ID: 1}, {ID: 2}}); err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		var runs []shardlog.Run
		for j, id := range shards {
			if rng.IntN(2) == 0 {
				data := payload(i, j, 0, rng)
				runs = append(runs, shardlog.Run{Shard: id, Entries: []shardlog.Entry{{Key: "key", Data: []byte(data), Attrs: record.Attrs{{Name: "n", Value: "v"}}}}})
				w.content[id] = append(w.content[id], data)
			}
		}
		if _, err := l.Append(ctx, runs, &shardlog.Mark{Producer: fmt.Sprint("p", i%3), State: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 3 {
			l.promise()
		}
		if i == 60 {
			if err := l.Reshard(ctx, []record.ShardID{2}, []shardlog.Shard{{ID: 3}}); err != nil {
				t.Fatal(err)
			}
			shards = []record.ShardID{0, 1, 3}
		}
	}
	l.promise()
	l.promise() // the newest promise but one counts: nothing covers the newest itself
	l.back.Wait()
	if clean {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		w.mem = w.mem.Kill()
		defer l.Close()
	}
	w.survey(t)
	return w
}

// survey finds what lies where.
func (w *written) survey(t testing.TB) {
	segs, err := segmentFiles(w.mem, "/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segs {
		f, err := w.mem.OpenRead(s.path)
		if err != nil {
			t.Fatal(err)
		}
		r := blockReader{f: f, segment: s.id, end: s.size}
		add := func(end int64, region Region) { w.regions[s.id] = append(w.regions[s.id], stretch{end, region}) }
		for off := int64(0); ; {
			h, bad, err := r.next(off)
			if err != nil {
				t.Fatal(err)
			}
			if bad != nil {
				break
			}
			w.limit[s.id] = max(w.limit[s.id], int64(h.promised))
			switch h.kind {
			case kindPromise:
				add(off+int64(h.length), RegionPromise)
			case kindSnapshot:
				add(off+int64(h.length), RegionSnapshot)
			case kindIndex:
				add(s.size, RegionFooter)
				w.limit[s.id] = s.size
			default:
				add(off+headerSize, RegionHeader)
				add(off+int64(h.table), RegionRun)
				add(off+int64(h.length), RegionTable)
			}
			if off += int64(h.length); h.kind == kindIndex {
				break
			}
		}
		_ = f.Close()
	}
}

// flip turns one bit of a copy of the log and returns what the log then says: detected is how damage was reported. The
// error is about a log that shows something wrong, or less, without a word.
func (w *written) flip(segment uint64, off int64, bit uint, s seams) (detected bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	mem := w.mem.Kill()
	f, err := mem.Open("/log/" + segmentName(segment))
	if err != nil {
		return false, err
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		return false, err
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b, off); err != nil {
		return false, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return false, err
	}
	sum, err := Verify(mem, "/log", func(Damage) {})
	if err != nil {
		return false, err
	}
	detected = sum.Damaged > 0
	l, err := Open(mem, "/log", simOptions(s))
	if errors.Is(err, shardlog.ErrCorrupt) {
		return true, nil
	}
	if err != nil {
		return detected, fmt.Errorf("open: %w", err)
	}
	defer l.Close()
	for id, want := range w.content {
		from := uint64(1)
		b := record.NewBatch()
		for {
			next, err := l.Read(context.Background(), id, from, shardlog.ReadLimit{Records: 10}, b)
			if err != nil && !errors.Is(err, shardlog.ErrCorrupt) {
				return detected, fmt.Errorf("read %v: %w", id, err)
			}
			if err != nil {
				detected = true
			}
			if err != nil || next == from {
				break
			}
			if next < from || b.Len() > len(want) {
				return detected, fmt.Errorf("a read of %v from %d goes on at %d", id, from, next)
			}
			from = next
		}
		if st, _ := l.State(id); st.Next != uint64(len(want))+1 {
			return detected, fmt.Errorf("%v ends at %d without a word, %d records were acked", id, st.Next, len(want))
		}
		for i, r := range b.Records {
			if r.Seq != uint64(i+1) || string(r.Data) != want[i] || r.Key != "key" || len(r.Attrs) != 1 {
				return detected, fmt.Errorf("%v at %d reads as something else", id, i+1)
			}
		}
		b.Release()
	}
	sc, err := l.Scan(nil)
	if err != nil {
		return detected || errors.Is(err, shardlog.ErrCorrupt), nil
	}
	defer sc.Close()
	all, n := record.NewBatch(), 0
	defer all.Release()
	for id := range w.content {
		n += len(w.content[id])
	}
	for {
		at := all.Len()
		if err := sc.Next(context.Background(), shardlog.ReadLimit{}, all); err != nil {
			return true, nil
		}
		if all.Len() == at {
			break
		}
	}
	if all.Len() != n {
		return detected, fmt.Errorf("a scan shows %d records of %d without a word", all.Len(), n)
	}
	return detected, nil
}

// flips turns n bits at or below the last durable promise, about as many in each region.
func (w *written) flips(n int, seed uint64, s seams) (counts map[Region]int, err error) {
	counts = map[Region]int{}
	rng := rand.New(rand.NewPCG(seed, 5))
	byRegion := map[Region][][3]int64{} // segment, start, end
	for id, list := range w.regions {
		start := int64(0)
		for _, st := range list {
			if end := min(st.end, w.limit[id]); start < end {
				byRegion[st.region] = append(byRegion[st.region], [3]int64{int64(id), start, end})
			}
			start = st.end
		}
	}
	regions := []Region{RegionHeader, RegionTable, RegionRun, RegionSnapshot, RegionPromise, RegionFooter}
	for i := range n {
		region := regions[i%len(regions)]
		list := byRegion[region]
		if len(list) == 0 {
			continue
		}
		at := list[rng.IntN(len(list))]
		off, bit := at[1]+rng.Int64N(at[2]-at[1]), uint(rng.IntN(8))
		detected, err := w.flip(uint64(at[0]), off, bit, s)
		if err == nil && !detected {
			err = errors.New("nothing noticed")
		}
		if err != nil {
			return counts, fmt.Errorf("seed %d: bit %d at %d of segment %d (%s): %w", seed, bit, off, at[0], region, err)
		}
		counts[region]++
	}
	return counts, nil
}

func TestBitFlipsAreDetected(t *testing.T) {
	for _, clean := range []bool{true, false} {
		w := writeLog(t, clean)
		counts, err := w.flips(testenv.Count(120, 1500), uint64(rand.Uint32()), seams{})
		if err != nil {
			t.Errorf("clean %v: %v", clean, err)
		}
		t.Logf("clean %v: detected %v", clean, counts)
	}
}

func TestBitFlipsFindMutants(t *testing.T) {
	for name, s := range map[string]seams{"index trusted": {trustIndex: true}, "run CRC ignored": {skipRunCRC: true}} {
		w := writeLog(t, true)
		if _, err := w.flips(2000, 1, s); err == nil {
			t.Errorf("%s: not caught", name)
		} else {
			t.Logf("%s: caught: %v", name, err)
		}
	}
}

// TestErrorAtEveryOperation lets every k-th operation fail, write short or find no space, and checks the log afterwards.
func TestErrorAtEveryOperation(t *testing.T) {
	faults := map[string]vfs.Fault{
		"i/o error": {Err: syscall.EIO}, "short write": {Err: syscall.EIO, Bytes: 100}, "no space": {Err: syscall.ENOSPC},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			step := testenv.Count(9, 1)
			inParallel(t, 500/step, func(i int) error {
				k := 1 + i*step
				if err := failAt(uint64(k), k, fault); err != nil {
					return fmt.Errorf("operation %d: %w", k, err)
				}
				return nil
			})
		})
	}
}

func failAt(seed uint64, k int, fault vfs.Fault) error {
	rng := rand.New(rand.NewPCG(seed, 3))
	w := &world{rng: rng, seen: map[record.ShardID][]string{}, trim: map[record.ShardID]uint64{}, marks: map[string]int{}}
	mem := vfs.NewMem()
	fs := vfs.NewErrors(mem, func(_ vfs.Op, _ string, n int) vfs.Fault {
		if n == k {
			return fault
		}
		return vfs.Fault{}
	})
	for range 3 { // the first opening may be what fails
		l, err := Open(fs, "/log", simOptions(seams{}))
		if err != nil {
			if errors.Is(err, shardlog.ErrCorrupt) {
				return err
			}
			continue
		}
		if err := w.check(l); err != nil && !isIO(err) && !errors.Is(err, fault.Err) {
			_ = l.Close()
			return err
		}
		if w.shards == 0 {
			w.reshard(l, nil, 3)
		}
		var wg sync.WaitGroup
		for p := range 2 {
			rng := rand.New(rand.NewPCG(seed, uint64(p)))
			wg.Go(func() {
				for range 20 {
					w.step(l, rng, fmt.Sprint("p", p))
				}
			})
		}
		wg.Wait()
		_ = l.Close()
	}
	for _, world := range []*vfs.Mem{mem.Kill(), mem.Crash(rng, 50), mem.Kill().Crash(rng, 0)} {
		l, err := Open(world, "/log", simOptions(seams{}))
		if err != nil {
			return err
		}
		seen := maps.Clone(w.seen) // these are different outcomes of one history
		err = w.check(l)
		w.seen = seen
		_ = l.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
