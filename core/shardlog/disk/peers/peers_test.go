// Package peers compares the embedded log with logs of other projects. It is a module of its own, so that they stay out of
// leat's dependencies.
package peers

import (
	"testing"

	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"

	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/vfs"
)

// One writer appends 500 records of 1 KiB at a time, each batch durable before the next.
const (
	records = 500
	size    = 1 << 10
)

func BenchmarkOneWriter(b *testing.B) {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 7)
	}
	b.Run("leat", func(b *testing.B) {
		l, err := disk.Open(vfs.OS(), b.TempDir(), disk.Options{Reserve: -1})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		if err := l.Reshard(b.Context(), nil, []shardlog.Shard{{ID: 0}}); err != nil {
			b.Fatal(err)
		}
		run := shardlog.Run{}
		for range records {
			run.Entries = append(run.Entries, shardlog.Entry{Key: "key", Data: data})
		}
		b.SetBytes(records * size)
		for b.Loop() {
			if _, err := l.Append(b.Context(), []shardlog.Run{run}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("raft-wal", func(b *testing.B) {
		w, err := raftwal.Open(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		logs := make([]*raft.Log, records)
		for i := range logs {
			logs[i] = &raft.Log{Data: data}
		}
		next := uint64(1)
		b.SetBytes(records * size)
		for b.Loop() {
			for _, l := range logs {
				l.Index = next
				next++
			}
			if err := w.StoreLogs(logs); err != nil {
				b.Fatal(err)
			}
		}
	})
}
