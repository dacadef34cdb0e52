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

func rngOf(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
