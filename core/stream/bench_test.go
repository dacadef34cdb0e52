package stream

import (
	"context"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// benchStream is a stream on the real file system.
func benchStream(b *testing.B, c Config) *Stream {
	store, err := state.Open(vfs.OS(), b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	streams, err := Open(vfs.OS(), b.TempDir(), store, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := (&world{streams, store}).close(); err != nil {
			b.Error(err)
		}
	})
	s, err := streams.Create(context.Background(), "bench", c)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// benchEntries are 500 entries of 1 KiB with keys of their own.
func benchEntries() []Entry {
	entries := make([]Entry, 500)
	for i := range entries {
		entries[i] = Entry{Key: fmt.Sprintf("partition-key-%d", i), Data: make([]byte, 1024)}
	}
	return entries
}

// BenchmarkPut puts 500 records of 1 KiB a call, durably, and beside it hands the same bytes to the log without routing.
func BenchmarkPut(b *testing.B) {
	entries := benchEntries()
	for _, shards := range []int{1, 256} {
		for _, limit := range []WriteLimit{{}, {BytesPerSecond: 1 << 40, RecordsPerSecond: 1 << 30}} {
			b.Run(fmt.Sprintf("shards=%d/limit=%v", shards, limit != WriteLimit{}), func(b *testing.B) {
				s := benchStream(b, Config{Shards: shards, WriteLimit: limit})
				b.SetBytes(500 * 1024)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Put(context.Background(), entries); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("log alone", func(b *testing.B) {
		log := benchStream(b, Config{}).Log()
		run := shardlog.Run{}
		for _, e := range entries {
			run.Entries = append(run.Entries, shardlog.Entry{Key: e.Key, Data: e.Data})
		}
		b.SetBytes(500 * 1024)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := log.Append(context.Background(), []shardlog.Run{run}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRead reads 500 records of 1 KiB a call from page cache.
func BenchmarkRead(b *testing.B) {
	s := benchStream(b, Config{})
	for range 20 {
		if _, err := s.Put(context.Background(), benchEntries()); err != nil {
			b.Fatal(err)
		}
	}
	batch := record.NewBatch()
	defer batch.Release()
	at := Position{Incarnation: s.Incarnation(), Seq: 1}
	b.SetBytes(500 * 1024)
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		res, err := s.Read(context.Background(), at, shardlog.ReadLimit{Records: 500, Bytes: 1 << 20}, batch)
		if err != nil {
			b.Fatal(err)
		}
		if at = res.Next; at.Seq > 20*500 {
			at.Seq = 1
		}
	}
}
