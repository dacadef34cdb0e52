package turns

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheNewestIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := Turns{free: 2}
		var mu sync.Mutex
		var order []int
		running, most := 0, 0
		count := func(i, n int) {
			mu.Lock()
			defer mu.Unlock()
			if running += n; n > 0 {
				order = append(order, i)
			}
			most = max(most, running)
		}
		for i := range 6 {
			go func() {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				gone := errors.New("the pipeline is gone")
				if i == 4 {
					time.AfterFunc(time.Second, func() { cancel(gone) })
				}
				if err := turns.Wait(ctx); err != nil {
					if i != 4 || err != gone {
						t.Errorf("%d: %v", i, err)
					}
					return
				}
				count(i, 1)
				time.Sleep(time.Minute + time.Duration(i)*time.Second)
				count(i, -1)
				turns.Leave()
			}()
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		turns.mu.Lock()
		defer turns.mu.Unlock()
		if got := fmt.Sprint(order); got != "[0 1 5 3 2]" || most != 2 || turns.free != 2 {
			t.Errorf("order %s, %d at a time, %d turns free at the end", got, most, turns.free)
		}
	})
}
