package diskbench

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
)

var errShort = errors.New("fewer records than were written")

// tailLatency: how long after its ack a waiting reader has a record in hand.
func tailLatency(ctx context.Context, b *bench) (Row, error) {
	return b.compare(ctx, "records/s", func(ctx context.Context, dir string, d time.Duration) (float64, []time.Duration, error) {
		l, err := b.open(ctx, dir, 16)
		if err != nil {
			return 0, nil, err
		}
		defer l.Close()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		seen := make(chan time.Time, 1)
		go func() {
			for from := uint64(1); l.Wait(ctx, 0, from) == nil; {
				batch := record.NewBatch()
				next, err := l.Read(ctx, 0, from, shardlog.ReadLimit{}, batch)
				now := time.Now()
				batch.Release()
				if err != nil {
					return
				}
				if next > from {
					seen <- now
				}
				from = next
			}
		}()
		run := batch(1, 1)
		var lats []time.Duration
		start := time.Now()
		for time.Since(start) < d {
			if _, err := l.Append(ctx, run, nil); err != nil {
				return 0, nil, err
			}
			t := time.Now()
			lats = append(lats, max((<-seen).Sub(t), 0))
		}
		return float64(len(lats)) / time.Since(start).Seconds(), lats, nil
	}, nil)
}

// fill writes so many bytes over 16 shards in appends like those of a busy API.
func (b *bench) fill(ctx context.Context, dir string, bytes int64) (*disk.Log, error) {
	l, err := b.open(ctx, dir, 16)
	if err != nil {
		return nil, err
	}
	runs := batch(512, 16)
	for n := int64(0); n < bytes; n += 512 * kib {
		if _, err := l.Append(ctx, runs, nil); err != nil {
			_ = l.Close()
			return nil, err
		}
	}
	return l, nil
}

// rates reads a filled log in turns with a bare program that reads as many bytes of the same files and checks one CRC.
func (b *bench) rates(ctx context.Context, read func(l *disk.Log) (int64, error)) (Row, error) {
	dir, remove, err := b.folder("read")
	if err != nil {
		return Row{}, err
	}
	defer remove()
	l, err := b.fill(ctx, dir, b.readBytes)
	if err != nil {
		return Row{}, err
	}
	defer l.Close()
	var rates [2][]float64
	for range b.Rounds {
		start := time.Now()
		n, err := read(l)
		if err != nil {
			return Row{}, err
		}
		rates[0] = append(rates[0], float64(n)/1e9/time.Since(start).Seconds())
		start = time.Now()
		if err := b.bareRead(dir, n); err != nil {
			return Row{}, err
		}
		rates[1] = append(rates[1], float64(n)/1e9/time.Since(start).Seconds())
	}
	return Row{Unit: "GB/s", Leat: median(rates[0]), Bare: median(rates[1])}, nil
}

func (b *bench) bareRead(dir string, n int64) error {
	list, err := b.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	p := make([]byte, mib)
	table := crc32.MakeTable(crc32.Castagnoli)
	for _, e := range list {
		f, err := b.fs.OpenRead(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		for off := int64(0); n > 0; off += mib {
			got, err := f.ReadAt(p, off)
			crc32.Checksum(p[:got], table)
			if n -= int64(got); err != nil {
				if err != io.EOF {
					_ = f.Close()
					return err
				}
				break
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// readShard: one shard among 16, from the page cache.
func readShard(ctx context.Context, b *bench) (Row, error) {
	return b.rates(ctx, func(l *disk.Log) (int64, error) {
		var bytes int64
		out := record.NewBatch()
		defer out.Release()
		for from := uint64(1); ; {
			out.Reset()
			next, err := l.Read(ctx, 3, from, shardlog.ReadLimit{Records: 2000, Bytes: mib}, out)
			if err != nil {
				return bytes, err
			}
			if next == from {
				break
			}
			bytes += int64(out.Size())
			from = next
		}
		if bytes < b.readBytes/16 {
			return bytes, errShort
		}
		return bytes, nil
	})
}

// scanAll: all shards in one pass, from the page cache.
func scanAll(ctx context.Context, b *bench) (Row, error) {
	return b.rates(ctx, func(l *disk.Log) (int64, error) {
		sc, err := l.Scan(nil)
		if err != nil {
			return 0, err
		}
		defer sc.Close()
		var bytes int64
		out := record.NewBatch()
		defer out.Release()
		for {
			out.Reset()
			if err := sc.Next(ctx, shardlog.ReadLimit{Records: 2000, Bytes: mib}, out); err != nil {
				return bytes, err
			}
			if out.Len() == 0 {
				break
			}
			bytes += int64(out.Size())
		}
		if bytes < b.readBytes {
			return bytes, errShort
		}
		return bytes, nil
	})
}

func openClean(ctx context.Context, b *bench) (Row, error)  { return b.openTime(ctx, true) }
func openKilled(ctx context.Context, b *bench) (Row, error) { return b.openTime(ctx, false) }

// openTime: how long a log of OpenBytes takes to open, up to its first append. A kill is played by copying the newest
// segment, as it is before it is sealed, over the sealed one.
func (b *bench) openTime(ctx context.Context, clean bool) (Row, error) {
	dir, remove, err := b.folder("open")
	if err != nil {
		return Row{}, err
	}
	defer remove()
	l, err := b.fill(ctx, dir, b.OpenBytes)
	if err != nil {
		return Row{}, err
	}
	var path string
	var saved []byte
	if !clean {
		if path, saved, err = newest(dir); err != nil {
			_ = l.Close()
			return Row{}, err
		}
	}
	if err := l.Close(); err != nil {
		return Row{}, err
	}
	if !clean {
		if err := b.replace(path, saved); err != nil {
			return Row{}, err
		}
	}
	start := time.Now()
	l, err = disk.Open(b.fs, dir, disk.Options{Reserve: -1})
	if err != nil {
		return Row{}, err
	}
	_, err = l.Append(ctx, batch(1, 1), nil)
	took := time.Since(start)
	if cerr := l.Close(); err == nil {
		err = cerr
	}
	return Row{Leat: took.Seconds(), Unit: fmt.Sprintf("s for %d MB", b.OpenBytes/1e6), P50: took, P99: took}, err
}

// newest returns the content of the segment that is being written.
func newest(dir string) (string, []byte, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	for _, e := range slices.Backward(list) {
		path := filepath.Join(dir, e.Name())
		p, err := os.ReadFile(path)
		if err != nil {
			return "", nil, err
		}
		if len(p) > 0 && p[0] != 0 { // else it is the one that is prepared
			return path, p, nil
		}
	}
	return "", nil, errors.New("the log has no segment")
}

func (b *bench) replace(path string, p []byte) error {
	f, err := b.fs.Open(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(p, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
