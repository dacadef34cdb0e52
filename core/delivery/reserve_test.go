package delivery

import (
	"context"
	"testing"
	"time"

	"github.com/leatstream/leat/core/codec"
)

// A spool that filled the disk would keep the state from storing that its objects are delivered, and so from shrinking.
func TestADeliveryDoesNotLockItselfOutOfAFullDisk(t *testing.T) {
	w := newWorld(t, 1)
	for range 20 {
		w.put(0, "k", numbered(16, 64<<10)...)
	}
	room, err := w.fs.Usage("/")
	w.must(err)
	w.fs.SetCapacity(int64(room.Total-room.Free) + 6<<20)
	w.restart() // the state looks at the size of its disk when it is opened
	w.cfg.Compression, _ = codec.ByName("none", 0)
	w.main.on(func(context.Context, *Chunk) error { return errDown })

	r := w.start()
	eventually(t, "an object waits for room", func() bool { return r.spool.lacks(MinBufferSize) != nil })
	time.Sleep(50 * time.Millisecond)
	if room, err := w.fs.Usage("/"); err != nil || room.Free < room.Total/reserveShare {
		t.Errorf("%d bytes of %d are free, %v", room.Free, room.Total, err)
	}
	select {
	case err := <-r.result:
		t.Fatalf("the delivery ended: %v", err)
	default:
	}
	w.main.on(nil)
	r.drain()
	w.must(r.stop())
	if got := w.holds(); got.Delivered != 20*16 || got.Pending != 0 {
		t.Errorf("%+v", got)
	}
}
