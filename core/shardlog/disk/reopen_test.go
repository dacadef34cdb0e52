package disk

import (
	"context"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

func TestAReopenedLogIsScannedFromItsOldestSegment(t *testing.T) {
	fsys, ctx := vfs.NewMem(), context.Background()
	const rounds, each = 5, 20
	for round := range rounds { // each opening begins a segment
		log, err := Open(fsys, "/log", Options{Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			if err := log.Reshard(ctx, nil, []shardlog.Shard{{ID: 0}}); err != nil {
				t.Fatal(err)
			}
		}
		for range each {
			if _, err := log.Append(ctx, []shardlog.Run{{Entries: []shardlog.Entry{{Data: []byte("x")}}}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		scan, err := log.Scan(shardlog.Positions{0: 3})
		if err != nil {
			t.Fatal(err)
		}
		batch := record.NewBatch()
		if err := scan.Next(ctx, shardlog.ReadLimit{Records: 1000, Bytes: 1 << 20}, batch); err != nil {
			t.Fatal(err)
		}
		if want := (round+1)*each - 2; batch.Len() != want {
			t.Fatalf("round %d: %d records, want %d", round, batch.Len(), want)
		}
		batch.Release()
		if err := scan.Close(); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
