//go:build !race

package scaletest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
)

// The environment tells a child what to do, where, and how often.
const (
	jobEnv   = "LEAT_SCALETEST_JOB"
	dirEnv   = "LEAT_SCALETEST_DIR"
	countEnv = "LEAT_SCALETEST_COUNT"
)

// fillShards is the number of shards of the long log.
const fillShards = 1000

func streamName(i int) string { return fmt.Sprintf("stream-%04d", i) }

// work is a child. It reports on standard output, and ends when its standard input does.
func work(job, dir string) (err error) {
	n, err := strconv.Atoi(os.Getenv(countEnv))
	if err != nil {
		return err
	}
	d, err := datadir.Open(vfs.OS(), dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	switch job {
	case "create":
		err = create(d, n)
	case "open":
		err = open(d, n)
	case "fill":
		_, err = d.Streams.Create(context.Background(), streamName(0), stream.Config{Shards: fillShards})
		if err == nil {
			err = fill(d, int64(n))
		}
	case "append":
		for err == nil {
			err = fill(d, 16*mib)
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// create makes streams with a record each.
func create(d *datadir.Dir, n int) error {
	for i := range n {
		s, err := d.Streams.Create(context.Background(), streamName(i), stream.Config{})
		if err == nil {
			err = putOne(s)
		}
		if err != nil {
			return err
		}
	}
	return reportIdle()
}

func putOne(s *stream.Stream) error {
	results, err := s.Put(context.Background(), []stream.Entry{{Key: "key", Data: []byte("data")}})
	if err == nil {
		err = results[0].Err
	}
	return err
}

// open makes sure that each stream can be used, the first one also for writing.
func open(d *datadir.Dir, n int) error {
	records := uint64(0)
	for i := range n {
		s, err := d.Streams.Get(streamName(i))
		if err == nil && i == 0 {
			err = putOne(s)
		}
		if err != nil {
			return err
		}
		for _, sh := range s.Log().Shards() {
			records += sh.Next - 1
		}
	}
	fmt.Println("ready", 0)
	if n == 1 {
		fmt.Println("records", records)
		return nil
	}
	return reportIdle()
}

// reportIdle reports the memory of the process once nothing happens any more.
func reportIdle() error {
	time.Sleep(1500 * time.Millisecond) // logs promise after a second of rest
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, after, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kib int64
	if _, err := fmt.Sscan(string(after), &kib); err != nil {
		return err
	}
	fmt.Println("idle", kib<<10)
	return nil
}

// fill appends so many bytes, half a megabyte at a time over half of the shards, and reports the number of records.
func fill(d *datadir.Dir, size int64) error {
	s, err := d.Streams.Get(streamName(0))
	if err != nil {
		return err
	}
	var runs [2][]shardlog.Run
	data := bytes.Repeat([]byte("0123456789abcdef"), 64)
	for i := range fillShards {
		runs[i%2] = append(runs[i%2], shardlog.Run{Shard: record.ShardID(i), Entries: []shardlog.Entry{{Key: "key", Data: data}}})
	}
	var left atomic.Int64
	left.Store(size)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for p := range errs {
		wg.Go(func() {
			for errs[p] == nil && left.Add(-int64(fillShards/2*len(data))) >= 0 {
				_, errs[p] = s.Log().Append(context.Background(), runs[p%2], nil)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Println("acked", size/int64(fillShards/2*len(data))*fillShards/2)
	return nil
}
