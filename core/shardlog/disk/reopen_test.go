package disk

import (
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

func TestAReopenedLogIsScannedFromItsOldestSegment(t *testing.T) {
	mem := vfs.NewMem()
	const each = 20
	for round := range 5 { // each opening begins a segment
		l := openWith(t, mem, Options{}, 1)
		for range each {
			if err := appendSize(t, l, 0, 1); err != nil {
				t.Fatal(err)
			}
		}
		sc, err := l.Scan(shardlog.Positions{0: 3})
		if err != nil {
			t.Fatal(err)
		}
		b := record.NewBatch()
		if err := sc.Next(t.Context(), shardlog.ReadLimit{}, b); err != nil {
			t.Fatal(err)
		}
		if want := (round+1)*each - 2; b.Len() != want {
			t.Fatalf("round %d: %d records, want %d", round, b.Len(), want)
		}
		b.Release()
		_ = sc.Close()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
