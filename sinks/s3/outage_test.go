package s3_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/sinks/sinktest/miniotest"
)

// An object store is gone for a while, and a quarter of what the pipeline can do keeps coming in. Memory grows by less than
// 64 MiB, nothing is lost, and once the store answers the backlog goes at twice the rate at which it came.
func TestAnOutageOfTheStore(t *testing.T) {
	const most = 64 << 20 // bytes of memory
	down := time.Duration(testenv.Count(5, 60)) * time.Second
	p := newPipeline(t, miniotest.StartOwn(t, miniotest.Options{}))

	p.produce(24<<20, 0) // warms up
	p.drain()
	began, size := time.Now(), int64(testenv.Count(96, 384))<<20
	p.produce(size, 0)
	p.drain()
	rate := float64(size) / time.Since(began).Seconds()
	t.Logf("the pipeline carries %.0f MiB/s", rate/(1<<20))

	p.server.Stop()
	memory := watchMemory()
	delivered := p.sink().Delivered
	came := int64(rate / 4 * down.Seconds())
	p.produce(came, rate/4)
	if s := p.sink(); s.Delivered != delivered || s.Retries == 0 || s.Pending == 0 {
		t.Errorf("while the store is down: %+v", s)
	}
	grown := memory.stop()
	t.Logf("down for %s: %d MiB came in, the heap grew by %d MiB, the process by %d MiB", down, came>>20, grown.heap>>20, grown.process>>20)
	if grown.heap > most {
		t.Errorf("the heap grew by %d MiB, want less than %d", grown.heap>>20, most>>20)
	}

	back := make(chan time.Time, 1)
	go func() {
		for p.sink().Delivered == delivered { // until the store is there and a pause between two tries is over
			time.Sleep(time.Millisecond)
		}
		back <- time.Now()
	}()
	up := time.Now()
	p.server.Restart(t)
	p.drain()
	answered := <-back
	took := time.Since(answered)
	fast := float64(came) / took.Seconds() / (rate / 4)
	t.Logf("delivers after %s, drained in %s: %.1f times the rate at which it came", answered.Sub(up), took, fast)
	if fast < 2 {
		t.Errorf("the backlog goes at %.1f times the rate at which it came, want twice that rate", fast)
	}
	p.stop()
	p.check()
}

// pipeline is a stream on a real directory that a real engine delivers to a bucket.
type pipeline struct {
	t      *testing.T
	server *miniotest.Server
	bucket string
	log    *disk.Log
	runner *engine.Runner
	stop   func()
	next   int // number of the next record
}

func newPipeline(t *testing.T, server *miniotest.Server) *pipeline {
	t.Helper()
	dir, p := t.TempDir(), &pipeline{t: t, server: server, bucket: server.Bucket(t)}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	p.log, err = disk.Open(vfs.OS(), filepath.Join(dir, "log"), disk.Options{Reserve: -1})
	must(err)
	t.Cleanup(func() { _ = p.log.Close() })
	must(p.log.Reshard(t.Context(), nil, []shardlog.Shard{{ID: 0}, {ID: 1}, {ID: 2}, {ID: 3}}))
	st, err := state.Open(vfs.OS(), filepath.Join(dir, "state"), state.Options{})
	must(err)
	t.Cleanup(func() { _ = st.Close() })
	gz, err := codec.ByName("gzip", 1)
	must(err)
	format, err := codec.FormatByName("json_lines")
	must(err)
	sink := open(t, config(server, p.bucket))
	p.runner = engine.New(engine.Pipeline{Name: "p", Deliveries: []delivery.Config{{
		Pipeline: "p", Name: "s3", Source: delivery.Source{Name: "s", Incarnation: "i", Log: p.log},
		Chain: stage.NewChain(), Layout: oneGroup{}, Format: format, Compression: gz, Sink: sink,
		DeadLetters: delivery.DeadLetters{Sink: sink, Compression: gz,
			Prefix: func(kind string, _ time.Time) (string, error) { return kind + "/", nil }},
		BufferSize: 5 << 20, BufferInterval: time.Minute,
		FS: vfs.OS(), Spool: filepath.Join(dir, "spool"), State: st,
	}}}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- p.runner.Run(ctx, false) }()
	var stopped atomic.Bool
	p.stop = func() {
		if stopped.CompareAndSwap(false, true) {
			cancel()
			must(<-ran)
		}
	}
	t.Cleanup(p.stop)
	return p
}

type oneGroup struct{}

func (oneGroup) Group(dst []byte, _ *stage.Out) ([]byte, error) { return dst, nil }
func (oneGroup) Prefix(_ string, at time.Time) (string, error) {
	return at.Format("2006/01/02/15/"), nil
}

func (p *pipeline) sink() engine.SinkStats { return p.runner.Stats()[0] }

func (p *pipeline) drain() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := p.runner.Drain(ctx); err != nil {
		p.t.Fatalf("drain: %v; %+v", err, p.sink())
	}
}

// tails are what log lines have behind their number.
var tails = makeTails()

func makeTails() []string {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("request served from cache upstream timed out retrying connection reset by peer user session opened")
	out := make([]string, 5000)
	for i := range out {
		tail := fmt.Appendf(nil, `,"ip":"10.%d.%d.%d","msg":"`, rng.IntN(256), rng.IntN(256), rng.IntN(256))
		for len(tail) < 500 {
			tail = fmt.Appendf(tail, "%s %x ", words[rng.IntN(len(words))], rng.Uint32())
		}
		out[i] = string(append(tail, `"}`...))
	}
	return out
}

// produce appends numbered log lines of so many bytes in all, at a rate in bytes a second or, if it is 0, as fast as it goes.
func (p *pipeline) produce(size int64, rate float64) {
	p.t.Helper()
	const batch = 500
	entries := make([]shardlog.Entry, batch)
	began := time.Now()
	for done := int64(0); done < size; {
		for i := range entries {
			line := strconv.AppendInt(append(entries[i].Data[:0], `{"id":`...), int64(p.next), 10)
			entries[i].Data = append(line, tails[p.next%len(tails)]...)
			done += int64(len(entries[i].Data))
			p.next++
		}
		run := shardlog.Run{Shard: record.ShardID(p.next / batch % 4), Entries: entries}
		if _, err := p.log.Append(context.Background(), []shardlog.Run{run}, nil); err != nil {
			p.t.Fatal(err)
		}
		if rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(float64(done) / rate * float64(time.Second)))))
		}
	}
}

// check finds each record once in the bucket.
func (p *pipeline) check() {
	p.t.Helper()
	seen := make([]byte, p.next)
	for key, body := range p.server.Objects(p.t, p.bucket) {
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			p.t.Fatalf("%s: %v", key, err)
		}
		lines, err := io.ReadAll(zr)
		if err != nil {
			p.t.Fatalf("%s: %v", key, err)
		}
		for line := range bytes.Lines(lines) {
			var id int
			if _, err := fmt.Sscanf(string(line), `{"id":%d,`, &id); err != nil || id >= len(seen) {
				p.t.Fatalf("%s holds %.80q: %v", key, line, err)
			}
			seen[id]++
		}
	}
	for id, n := range seen {
		if n != 1 {
			p.t.Fatalf("record %d of %d is %d times in the bucket", id, p.next, n)
		}
	}
}

// memory is what a process takes, in bytes.
type memory struct{ heap, process int64 }

func measureMemory() memory {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	now := memory{heap: int64(m.HeapAlloc)}
	if p, err := os.ReadFile("/proc/self/status"); err == nil {
		_, rest, _ := strings.Cut(string(p), "VmRSS:")
		_, _ = fmt.Sscan(rest, &now.process)
		now.process <<= 10
	}
	return now
}

type memoryWatch struct {
	first, most memory
	quit, done  chan struct{}
}

// watchMemory measures twice a second how much more memory the process takes than now.
func watchMemory() *memoryWatch {
	first := measureMemory()
	w := &memoryWatch{first: first, most: first, quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for {
			select {
			case <-w.quit:
				return
			case <-time.After(500 * time.Millisecond):
				now := measureMemory()
				w.most.heap, w.most.process = max(w.most.heap, now.heap), max(w.most.process, now.process)
			}
		}
	}()
	return w
}

// stop returns by how much it grew at most.
func (w *memoryWatch) stop() memory {
	close(w.quit)
	<-w.done
	return memory{heap: w.most.heap - w.first.heap, process: w.most.process - w.first.process}
}
