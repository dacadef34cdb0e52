package diskbench

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/vfs"
)

const (
	kib         = 1 << 10
	mib         = 1 << 20
	segmentSize = 64 * mib
)

// open opens a log with n shards. The disk's reserve is off: a benchmark says how fast, not how full.
func (b *bench) open(ctx context.Context, dir string, n int) (*disk.Log, error) {
	l, err := disk.Open(b.fs, dir, disk.Options{Reserve: -1})
	if err != nil || len(l.Shards()) > 0 {
		return l, err
	}
	var shards []shardlog.Shard
	for i := range n {
		shards = append(shards, shardlog.Shard{ID: record.ShardID(i)})
	}
	return l, l.Reshard(ctx, nil, shards)
}

// batch is an append of n records of 1 KiB that go round over the shards.
func batch(n, shards int) []shardlog.Run {
	data := make([]byte, n*kib)
	for i := range data {
		data[i] = byte(i * 7)
	}
	runs := make([]shardlog.Run, shards)
	for i := range n {
		r := &runs[i%shards]
		r.Shard = record.ShardID(i % shards)
		r.Entries = append(r.Entries, shardlog.Entry{Key: "key", Data: data[i*kib : (i+1)*kib]})
	}
	return runs
}

// produce appends from several goroutines for a while and returns appends a second.
func produce(ctx context.Context, l *disk.Log, producers int, d time.Duration, runs func(p int) []shardlog.Run) (float64, []time.Duration, error) {
	lats := make([][]time.Duration, producers)
	errs := make([]error, producers)
	var wg sync.WaitGroup
	start := time.Now()
	for p := range producers {
		mine := runs(p)
		wg.Go(func() {
			for time.Since(start) < d && errs[p] == nil {
				t := time.Now()
				_, errs[p] = l.Append(ctx, mine, nil)
				lats[p] = append(lats[p], time.Since(t))
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	var all []time.Duration
	for p := range producers {
		if errs[p] != nil {
			return 0, nil, errs[p]
		}
		all = append(all, lats[p]...)
	}
	return float64(len(all)) / took.Seconds(), all, nil
}

func (b *bench) logSide(shards, producers int, perAppend float64, runs func(p int) []shardlog.Run) side {
	return func(ctx context.Context, dir string, d time.Duration) (float64, []time.Duration, error) {
		l, err := b.open(ctx, dir, shards)
		if err != nil {
			return 0, nil, err
		}
		rate, lat, err := produce(ctx, l, producers, d, runs)
		if cerr := l.Close(); err == nil {
			err = cerr
		}
		return rate * perAppend, lat, err
	}
}

// bareFile is a preallocated file that is written and synced in order, and followed by the next one when it is full.
type bareFile struct {
	fs  vfs.FS
	dir string
	f   vfs.File
	n   int
	off int64
}

func (w *bareFile) write(p []byte) error {
	if w.f == nil || w.off+int64(len(p)) > segmentSize {
		w.close()
		w.n++
		f, err := w.fs.Create(filepath.Join(w.dir, fmt.Sprint("bare-", w.n)))
		if err != nil {
			return err
		}
		if err := f.Allocate(segmentSize); err != nil {
			return err
		}
		w.f, w.off = f, 0
	}
	if _, err := w.f.WriteAt(p, w.off); err != nil {
		return err
	}
	w.off += int64(len(p))
	return w.f.Sync()
}

func (w *bareFile) close() {
	if w.f != nil {
		_ = w.f.Close()
	}
}

// appendBatches: 512 KiB from each of 4 producers, against one loop that writes and syncs 512 KiB.
func appendBatches(ctx context.Context, b *bench) (Row, error) {
	const size = 512 * kib
	leat := b.logSide(4, 4, size/1e6, func(p int) []shardlog.Run {
		r := batch(512, 1)
		r[0].Shard = record.ShardID(p)
		return r
	})
	bare := func(_ context.Context, dir string, d time.Duration) (float64, []time.Duration, error) {
		w := &bareFile{fs: b.fs, dir: dir}
		defer w.close()
		p, n, start := make([]byte, size), 0, time.Now()
		for ; time.Since(start) < d; n++ {
			if err := w.write(p); err != nil {
				return 0, nil, err
			}
		}
		return float64(n) * size / 1e6 / time.Since(start).Seconds(), nil, nil
	}
	return b.compare(ctx, "MB/s", leat, bare)
}

// appendSingles: 1 KiB from each of 64 producers, against a bare group commit: a buffer, a lock, one writer.
func appendSingles(ctx context.Context, b *bench) (Row, error) {
	leat := b.logSide(4, 64, 1, func(p int) []shardlog.Run {
		r := batch(1, 1)
		r[0].Shard = record.ShardID(p % 4)
		return r
	})
	return b.compare(ctx, "acks/s", leat, func(_ context.Context, dir string, d time.Duration) (float64, []time.Duration, error) {
		return bareGroups(&bareFile{fs: b.fs, dir: dir}, 64, d)
	})
}

// bareGroups is the least that a group commit needs.
func bareGroups(w *bareFile, producers int, d time.Duration) (float64, []time.Duration, error) {
	type group struct {
		buf  []byte
		done chan struct{}
	}
	var (
		mu     sync.Mutex
		cond   = sync.NewCond(&mu)
		cur    = &group{done: make(chan struct{})}
		ended  bool
		failed error
		acks   int
		wg     sync.WaitGroup
	)
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		for {
			mu.Lock()
			for len(cur.buf) == 0 && !ended {
				cond.Wait()
			}
			g := cur
			cur = &group{done: make(chan struct{})}
			mu.Unlock()
			if len(g.buf) == 0 {
				return
			}
			if err := w.write(g.buf); err != nil {
				failed = err
			}
			close(g.done)
		}
	}()
	start := time.Now()
	for range producers {
		wg.Go(func() {
			p := make([]byte, kib)
			for time.Since(start) < d {
				mu.Lock()
				g := cur
				g.buf = append(g.buf, p...)
				cond.Signal()
				mu.Unlock()
				<-g.done
				mu.Lock()
				acks++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	mu.Lock()
	ended = true
	cond.Signal()
	mu.Unlock()
	<-writer
	w.close()
	return float64(acks) / took.Seconds(), nil, failed
}

// appendSpread: 500 records of 1 KiB spread over 256 shards, against the same over one shard; both sides are the log.
func appendSpread(ctx context.Context, b *bench) (Row, error) {
	const size = 500 * kib
	spread := b.logSide(256, 4, size/1e6, func(int) []shardlog.Run { return batch(500, 256) })
	one := b.logSide(256, 4, size/1e6, func(int) []shardlog.Run { return batch(500, 1) })
	return b.compare(ctx, "MB/s", spread, one)
}
