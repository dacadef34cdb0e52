package disk

import (
	"errors"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

// A killed process leaves what it wrote, durable or not, and the next one reads it. What readers see then must outlive a
// power failure, for by then a delivery may have passed it on.

func TestWhatIsReadAfterAKillOutlivesAPowerFailure(t *testing.T) {
	kills, err := killEverywhere(t, seams{})
	if err != nil {
		t.Error(err)
	}
	t.Logf("killed before each of %d operations", kills)
}

func TestAPowerFailureAfterAKillFindsAMutant(t *testing.T) {
	kills, err := killEverywhere(t, seams{noDirSync: true})
	if err == nil {
		t.Error("segments whose names are not synced: not caught")
	}
	t.Logf("caught at operation %d: %v", kills, err)
}

// killEverywhere kills a log's process before each operation of its file system, until it comes to its end.
func killEverywhere(t *testing.T, s seams) (kills int, err error) {
	for k := 1; ; k++ {
		mem := vfs.NewMem()
		fs := vfs.NewErrors(mem, func(_ vfs.Op, _ string, n int) vfs.Fault {
			if n == k {
				mem.Freeze()
			}
			return vfs.Fault{}
		})
		l, err := Open(fs, "/log", simOptions(s))
		if err == nil {
			if err = l.Reshard(t.Context(), nil, []shardlog.Shard{{ID: 0}}); err == nil {
				err = fill(t, l, 16)
			}
			l.back.Wait()
			defer l.Close()
		}
		if err != nil && !errors.Is(err, vfs.ErrFrozen) {
			return k, err
		}
		if fs.Ops() < k {
			return k - 1, nil
		}
		for _, appends := range []int{0, 12} {
			if err := readTwice(t, mem.Kill(), appends, s); err != nil {
				return k, fmt.Errorf("killed before operation %d, then %d appends: %w", k, appends, err)
			}
		}
	}
}

// fill makes appends of which three fill a segment, with promises and rolls between.
func fill(t *testing.T, l *Log, appends int) error {
	for i := range appends {
		err := appendSize(t, l, 0, 20_000)
		if err == nil && i%7 == 6 {
			err = l.submit(t.Context(), l.newGroup(groupRoll, 0))
		}
		if err != nil {
			return err
		}
		if i%5 == 4 {
			l.promise()
		}
	}
	return nil
}

// readTwice opens what a kill left, appends to it, and lets the power fail before anything that was not synced reaches the
// disk.
func readTwice(t *testing.T, mem *vfs.Mem, appends int, s seams) error {
	l, err := Open(mem, "/log", simOptions(s))
	if err != nil {
		return err
	}
	defer l.Close()
	if _, ok := l.State(0); !ok {
		return nil // killed before the shard was there
	}
	if err := fill(t, l, appends); err != nil {
		return err
	}
	seen, _ := l.State(0)
	again, err := Open(mem.Crash(rngOf(1), 0), "/log", simOptions(seams{}))
	if err != nil {
		return err
	}
	defer again.Close()
	if st, _ := again.State(0); st.Next < seen.Next {
		return fmt.Errorf("next is %d, readers saw %d", st.Next, seen.Next)
	}
	b := record.NewBatch()
	defer b.Release()
	for from := uint64(1); from < seen.Next; {
		if from, err = again.Read(t.Context(), 0, from, shardlog.ReadLimit{}, b); err != nil {
			return err
		}
	}
	if d := again.Damages(); len(d) > 0 {
		return fmt.Errorf("false damage: %v", d)
	}
	return nil
}
