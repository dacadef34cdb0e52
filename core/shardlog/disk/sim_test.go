package disk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// attempt is one append or reshard of the simulation and what is known about it.
type attempt struct {
	id    int
	runs  []shardlog.Run
	first []uint64 // of the runs that were acked
	acked bool
	// producer and number of its mark; "" for none
	producer string
	n        int
	closing  []record.ShardID
	opening  []record.ShardID
}

// world is the model: what was tried, what was acked, and what a reader has seen.
type world struct {
	rng      *rand.Rand
	mu       sync.Mutex
	attempts []*attempt
	seen     map[record.ShardID][]string // contents that a reader saw; position i+1
	trim     map[record.ShardID]uint64   // the farthest that expiry may have come
	marks    map[string]int              // newest mark number handed out
	shards   record.ShardID              // next unused id
	open     []record.ShardID            // believed open
	expect   int                         // records that must be there
}

func payload(attempt, run, i int, rng *rand.Rand) string {
	size := rng.IntN(300)
	if rng.IntN(6) == 0 {
		size = rng.IntN(9000)
	}
	b := make([]byte, size)
	for j := range b {
		b[j] = byte(rng.Uint32())
	}
	return fmt.Sprintf("%d/%d/%d/%x", attempt, run, i, b)
}

// simulate runs a log through a few lives, each ended by a power failure or a kill at a random operation, and checks after
// each that the log is what it must be.
func simulate(seed uint64, seams seams) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &world{
		rng: rng, seen: map[record.ShardID][]string{}, trim: map[record.ShardID]uint64{}, marks: map[string]int{},
	}
	mem := vfs.NewMem()
	for life := range 4 {
		if err := w.live(mem, seams); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if rng.IntN(4) == 0 {
			mem = mem.Kill()
		} else {
			mem = mem.Crash(rng, []int{0, 10, 50, 90, 100}[rng.IntN(5)])
		}
	}
	l, err := Open(mem, "/log", simOptions(seams))
	if err != nil {
		return fmt.Errorf("last open: %w", err)
	}
	defer l.Close()
	return w.check(l)
}

func simOptions(s seams) Options {
	return Options{FirstSegment: minSegment, SegmentSize: minSegment, Reserve: -1, seams: s}
}

// live opens the log on a file system that stops at a random operation, checks it and works on it until then.
func (w *world) live(mem *vfs.Mem, seams seams) error {
	stop, broken := 1+w.rng.IntN(70), 0
	if w.rng.IntN(3) == 0 {
		broken = 1 + w.rng.IntN(40)
	}
	armed, working, start := false, false, 0 // most lives end while the log is at work, some while it is being opened
	if w.rng.IntN(5) == 0 {
		armed = true
	}
	fs := vfs.NewErrors(mem, func(op vfs.Op, name string, n int) vfs.Fault {
		if !armed {
			start = n
			return vfs.Fault{}
		}
		if n -= start; n == stop {
			mem.Freeze()
		}
		// Once due, the next sync or write of a segment fails.
		if broken > 0 && n >= broken && working && (op == vfs.OpSync || op == vfs.OpWrite) {
			broken = 0
			return vfs.Fault{Err: syscall.EIO}
		}
		return vfs.Fault{}
	})
	l, err := Open(fs, "/log", simOptions(seams))
	if err != nil {
		if errors.Is(err, vfs.ErrFrozen) {
			return nil
		}
		return fmt.Errorf("open: %w", err)
	}
	defer l.Close()
	if err := w.check(l); err != nil {
		if errors.Is(err, vfs.ErrFrozen) {
			return nil
		}
		return err
	}
	armed, working = true, true
	if w.shards == 0 {
		w.reshard(l, nil, 3)
	}
	var wg sync.WaitGroup
	for p := range 3 {
		rng := rand.New(rand.NewPCG(w.rng.Uint64(), uint64(p)))
		wg.Go(func() {
			for range 12 {
				if l.poisoned() != nil {
					return
				}
				w.step(l, rng, fmt.Sprint("p", p))
			}
		})
	}
	wg.Wait()
	return nil
}

// step does one random thing. Errors need no answer: what was not acked may or may not be there.
func (w *world) step(l *Log, rng *rand.Rand, producer string) {
	switch rng.IntN(24) {
	case 0:
		w.mu.Lock()
		var closing []record.ShardID
		if len(w.open) > 1 {
			i := rng.IntN(len(w.open))
			closing = []record.ShardID{w.open[i]}
		}
		w.mu.Unlock()
		w.reshard(l, closing, 1+rng.IntN(2))
	case 1:
		_ = l.submit(context.Background(), l.newGroup(groupRoll, 0))
	case 2:
		l.promise()
	case 3:
		w.expire(l)
	default:
		w.append(l, rng, producer)
	}
}

func (w *world) append(l *Log, rng *rand.Rand, producer string) {
	w.mu.Lock()
	a := &attempt{id: len(w.attempts)}
	w.attempts = append(w.attempts, a)
	if rng.IntN(2) == 0 {
		a.producer = producer
		w.marks[producer]++
		a.n = w.marks[producer]
	}
	for i := range 1 + rng.IntN(3) {
		if len(w.open) == 0 {
			break
		}
		run := shardlog.Run{Shard: w.open[rng.IntN(len(w.open))]}
		for j := range 1 + rng.IntN(4) {
			run.Entries = append(run.Entries, shardlog.Entry{Key: fmt.Sprint(a.id), Data: []byte(payload(a.id, i, j, rng))})
		}
		a.runs = append(a.runs, run)
	}
	w.mu.Unlock()
	var mark *shardlog.Mark
	if a.producer != "" {
		mark = &shardlog.Mark{Producer: a.producer, State: fmt.Append(nil, a.n)}
	}
	res, err := l.Append(context.Background(), a.runs, mark)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.acked = true
	for i := range res {
		if res[i].Err != nil {
			res[i].First = 0
		}
		a.first = append(a.first, res[i].First)
	}
}

func (w *world) reshard(l *Log, closing []record.ShardID, opening int) {
	w.mu.Lock()
	a := &attempt{id: len(w.attempts), closing: closing}
	w.attempts = append(w.attempts, a)
	var open []shardlog.Shard
	for range opening {
		a.opening = append(a.opening, w.shards)
		open = append(open, shardlog.Shard{ID: w.shards, Meta: fmt.Append(nil, a.id)})
		w.shards++
	}
	w.mu.Unlock()
	if err := l.Reshard(context.Background(), closing, open); err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.acked = true
	w.setOpen(a)
}

func (w *world) setOpen(a *attempt) {
	var open []record.ShardID
	for _, id := range w.open {
		closed := false
		for _, c := range a.closing {
			closed = closed || c == id
		}
		if !closed {
			open = append(open, id)
		}
	}
	w.open = append(open, a.opening...)
}

// expire removes the oldest segment, and notes before how far that may trim.
func (w *world) expire(l *Log) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := l.expirable(true)
	if !ok {
		return
	}
	l.idx.RLock()
	if len(l.segs) < 2 || l.segs[0] != s {
		l.idx.RUnlock()
		return
	}
	after := l.segs[1]
	l.idx.RUnlock()
	base, err := l.baseOf(after)
	if err != nil {
		return
	}
	for id := range w.shards {
		w.trim[id] = max(w.trim[id], base.of(id))
	}
	_ = l.expire(s)
}

// check compares the log with the model, and takes what it sees into the model: it must stay.
func (w *world) check(l *Log) error {
	content := map[record.ShardID]map[uint64]string{}
	stored := map[string]uint64{} // payload -> position, for payloads of records that can be read
	w.open = nil
	for _, st := range l.Shards() {
		id := st.ID
		if st.Closed.IsZero() {
			w.open = append(w.open, id)
		}
		if st.TrimHorizon > max(w.trim[id], 1) {
			return fmt.Errorf("%v is trimmed to %d, expiry came to %d", id, st.TrimHorizon, w.trim[id])
		}
		if st.Next < uint64(len(w.seen[id]))+1 {
			return fmt.Errorf("%v: next is %d, a reader saw %d records", id, st.Next, len(w.seen[id]))
		}
		content[id] = map[uint64]string{}
		b := record.NewBatch()
		from := st.TrimHorizon
		for from < st.Next {
			next, err := l.Read(context.Background(), id, from, shardlog.ReadLimit{}, b)
			if err != nil {
				return fmt.Errorf("read %v from %d: %w", id, from, err)
			}
			if next == from {
				return fmt.Errorf("read %v from %d gives nothing, next is %d", id, from, st.Next)
			}
			from = next
		}
		at := st.TrimHorizon
		for _, r := range b.Records {
			if r.Seq != at {
				return fmt.Errorf("%v has %d at %d", id, r.Seq, at)
			}
			data := string(r.Data)
			if _, twice := stored[data]; twice {
				return fmt.Errorf("%v has %.20q twice", id, data)
			}
			stored[data] = at
			content[id][at] = data
			if old := w.seen[id]; uint64(len(old)) >= at && old[at-1] != data && old[at-1] != "" {
				return fmt.Errorf("%v at %d is %.20q, a reader saw %.20q", id, at, data, old[at-1])
			}
			at++
		}
		seen := make([]string, st.Next-1)
		copy(seen, w.seen[id])
		for pos, data := range content[id] {
			seen[pos-1] = data
		}
		w.seen[id] = seen
		b.Release()
	}
	if err := w.checkScan(l, stored); err != nil {
		return err
	}
	return w.checkAttempts(l, content, stored)
}

func (w *world) checkScan(l *Log, stored map[string]uint64) error {
	sc, err := l.Scan(nil)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	defer sc.Close()
	b := record.NewBatch()
	defer b.Release()
	n := 0
	for {
		b.Reset()
		if err := sc.Next(context.Background(), shardlog.ReadLimit{Records: 170}, b); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if b.Len() == 0 {
			break
		}
		for _, r := range b.Records {
			if stored[string(r.Data)] == r.Seq {
				n++
			} else if st, ok := l.State(r.Shard); ok || st.Next > 0 {
				return fmt.Errorf("scan: %v at %d is %.20q, which a read does not show", r.Shard, r.Seq, r.Data)
			}
		}
	}
	if n != len(stored) {
		return fmt.Errorf("a scan shows %d records, reads show %d", n, len(stored))
	}
	return nil
}

func (w *world) checkAttempts(l *Log, content map[record.ShardID]map[uint64]string, stored map[string]uint64) error {
	newest := map[string]int{}
	known := 0
	for _, a := range w.attempts {
		if len(a.opening) > 0 {
			if err := w.checkReshard(l, a); err != nil {
				return err
			}
			continue
		}
		there, gone := 0, 0
		for i, run := range a.runs {
			_, ok := l.State(run.Shard)
			for j, e := range run.Entries {
				pos, is := stored[string(e.Data)]
				switch {
				case is:
					there++
					known++
					if a.acked && pos != a.first[i]+uint64(j) {
						return fmt.Errorf("append %d: record is at %d of %v, acked at %d", a.id, pos, run.Shard, a.first[i]+uint64(j))
					}
				case a.acked && a.first[i] != 0 && ok && a.first[i]+uint64(j) >= max(w.trim[run.Shard], 1):
					return fmt.Errorf("append %d was acked at %d of %v, and is not there", a.id, a.first[i]+uint64(j), run.Shard)
				default:
					gone++
				}
			}
		}
		whole := len(w.trim) == 0
		for _, run := range a.runs {
			_, ok := l.State(run.Shard)
			whole = whole && ok
		}
		if !a.acked && whole && there > 0 && gone > 0 && !w.refusable(a) {
			return fmt.Errorf("append %d is there by half: %d records of %d", a.id, there, there+gone)
		}
		if a.producer != "" && (there > 0 || a.acked && anyStored(a)) {
			newest[a.producer] = max(newest[a.producer], a.n)
		}
	}
	if known != len(stored) {
		return fmt.Errorf("%d records can be read that nobody appended", len(stored)-known)
	}
	for p, n := range newest {
		m, ok := l.Mark(p)
		var got int
		if ok {
			fmt.Sscan(string(m.State), &got)
		}
		if got < n {
			return fmt.Errorf("mark of %s is %d, its records come up to %d", p, got, n)
		}
		if len(w.trim) == 0 && got > n && !w.markAlone(p, got) {
			return fmt.Errorf("mark of %s is %d, its records come up to %d only", p, got, n)
		}
	}
	return nil
}

func anyStored(a *attempt) bool {
	for _, f := range a.first {
		if f != 0 {
			return true
		}
	}
	return len(a.runs) == 0
}

// refusable says whether a run of a may have been refused because a reshard closed its shard.
func (w *world) refusable(a *attempt) bool {
	for _, run := range a.runs {
		for _, r := range w.attempts {
			for _, id := range r.closing {
				if id == run.Shard {
					return true
				}
			}
		}
	}
	return false
}

// markAlone says whether the mark belongs to an append without records.
func (w *world) markAlone(p string, n int) bool {
	for _, a := range w.attempts {
		if a.producer == p && a.n == n {
			return len(a.runs) == 0
		}
	}
	return false
}

func (w *world) checkReshard(l *Log, a *attempt) error {
	opened, closed := 0, 0
	for _, id := range a.opening {
		l.idx.RLock()
		if sh := l.shards[id]; sh != nil && !sh.hidden {
			opened++
		}
		l.idx.RUnlock()
	}
	for _, id := range a.closing {
		if st, ok := l.State(id); !ok || !st.Closed.IsZero() {
			closed++
		}
	}
	if a.acked && (opened < len(a.opening) || closed < len(a.closing)) {
		return fmt.Errorf("reshard %d was acked: %d of %d opened, %d of %d closed", a.id, opened, len(a.opening), closed, len(a.closing))
	}
	if opened != 0 && (opened < len(a.opening) || closed < len(a.closing)) {
		return fmt.Errorf("reshard %d is there by half: %d of %d opened, %d of %d closed", a.id, opened, len(a.opening), closed, len(a.closing))
	}
	return nil
}

func TestPowerFailures(t *testing.T) {
	runs := testenv.Count(150, 10_000)
	base := uint64(rand.Uint32())
	inParallel(t, runs, func(i int) error {
		if err := simulate(base+uint64(i), seams{}); err != nil {
			return fmt.Errorf("seed %d: %w", base+uint64(i), err)
		}
		return nil
	})
}

// TestPowerFailuresFindMutants shows that the simulation catches logs that are broken on purpose.
func TestPowerFailuresFindMutants(t *testing.T) {
	for name, s := range map[string]seams{
		"no fsync":                         {noSync: true},
		"ack before fsync":                 {ackBeforeSync: true},
		"no directory fsync":               {noDirSync: true},
		"run CRC ignored":                  {skipRunCRC: true},
		"fsync retried after an error":     {retrySync: true},
		"unpromised tail is not rewritten": {keepTail: true},
	} {
		t.Run(name, func(t *testing.T) {
			runs := testenv.Count(1000, 2000)
			for i := range runs {
				if err := simulate(uint64(i), s); err != nil {
					t.Logf("caught in run %d: %v", i+1, err)
					return
				}
			}
			t.Errorf("not caught within %d runs", runs)
		})
	}
}

// inParallel runs n tests on a few goroutines and stops at the first failure.
func inParallel(t *testing.T, n int, test func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	failed := make(chan error, 4)
	for range 4 {
		wg.Go(func() {
			for i := range next {
				if err := test(i); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
			}
		})
	}
	var err error
feed:
	for i := range n {
		select {
		case next <- i:
		case err = <-failed:
			break feed
		}
	}
	close(next)
	wg.Wait()
	select {
	case err = <-failed:
	default:
	}
	if err != nil {
		t.Fatal(err)
	}
}
