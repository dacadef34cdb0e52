package disk

import (
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

func TestALogIsReadWhileItIsWritten(t *testing.T) {
	mem := vfs.NewMem()
	l := openWith(t, mem, Options{}, 1)
	if err := appendSize(t, l, 0, 10); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := appendSize(t, l, 0, 3000); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	last := uint64(0)
	for range testenv.Count(30, 300) {
		before, _ := l.State(0)
		r, err := OpenReadOnly(mem, "/log")
		if err != nil {
			t.Error(err)
			break
		}
		st, _ := r.State(0)
		if st.Next < before.Next || st.Next < last {
			t.Errorf("next is %d, it was %d when the log was opened for reading", st.Next, before.Next)
		}
		last = st.Next
		b := record.NewBatch()
		if _, err := r.Read(t.Context(), 0, max(st.Next, 21)-20, shardlog.ReadLimit{}, b); err != nil {
			t.Error(err)
		}
		b.Release()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	if _, err := OpenReadOnly(mem, "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
}

func TestVerifyOfAKilledLogFindsNoDamage(t *testing.T) {
	for _, clean := range []bool{true, false} {
		w := writeLog(t, clean)
		sum, err := Verify(w.mem, "/log", func(d Damage) { t.Error(&d) })
		if err != nil || sum.Records == 0 || sum.Damaged != 0 {
			t.Errorf("clean %v: %+v, %v", clean, sum, err)
		}
	}
}

// The log that writes expires segments under one that only reads.
func TestAScanEndsWhenAFileIsGone(t *testing.T) {
	mem := vfs.NewMem()
	l := openWith(t, mem, Options{}, 1)
	for range 30 {
		if err := appendSize(t, l, 0, 20_000); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenReadOnly(mem, "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sc, err := r.Scan(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	for range 5 { // more than r has open
		if s, ok := l.expirable(true); !ok {
			t.Fatal("nothing to expire")
		} else if err := l.expire(s); err != nil {
			t.Fatal(err)
		}
	}
	b := record.NewBatch()
	defer b.Release()
	for at := -1; err == nil && b.Len() > at; {
		at = b.Len()
		err = sc.Next(t.Context(), shardlog.ReadLimit{}, b)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a scan over a file that is gone: %v", err)
	}
}
